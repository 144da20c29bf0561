use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shadowmesh_core::allowed_ips::{AllowedIps, Prefix};

use crate::input::Input;

/// The longest prefix that contains an address is found, as a plain search finds it, and what is read is written alike.
pub fn allowed_ips(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut table, mut model) = (AllowedIps::default(), BTreeMap::new());
    let mut number = 0;
    while !input.is_empty() {
        number += 1;
        let action = input.byte();
        let address = address(&mut input);
        let length = input.byte();
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let Some(prefix) = Prefix::new(address, length) else {
            assert!(length > whole);
            continue;
        };
        assert!(prefix.contains(address));
        match action % 3 {
            0 => {
                table.insert(prefix, number);
                model.insert((length, prefix), number);
            }
            1 => {
                table.remove(&prefix);
                model.remove(&(length, prefix));
            }
            _ => {}
        }
        assert_eq!(table.len(), model.len());
        assert_eq!(table.get(&prefix), model.get(&(length, prefix)).copied());
        let longest = model.iter().rev().find(|((_, prefix), _)| prefix.contains(address));
        assert_eq!(table.lookup(address), longest.map(|(_, number)| *number));
    }
    read(data);
}

/// Few different ones, so that one prefix lies inside another.
fn address(input: &mut Input<'_>) -> IpAddr {
    let bits = input.word();
    if bits & 1 == 0 {
        Ipv4Addr::from_bits(u32::from(bits) << 16 | 7).into()
    } else {
        Ipv6Addr::from_bits(u128::from(bits) << 112 | 7).into()
    }
}

fn read(data: &[u8]) {
    let Some(prefix) = std::str::from_utf8(data).ok().and_then(|text| text.parse::<Prefix>().ok()) else {
        return;
    };
    assert_eq!(prefix.to_string().parse(), Ok(prefix));
}
