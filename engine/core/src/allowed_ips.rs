//! Which peer an overlay address belongs to: longest prefix first, IPv4 and IPv6.
//!
//! One hash table a prefix length. An overlay uses two or three lengths (/32, /128, a routed subnet), so a
//! lookup costs two or three probes, and there is no tree to keep balanced.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A full table of peers with 16 prefixes each; only our own node adds any.
pub const MAX_PREFIXES: usize = 65_536;

/// An address prefix with all host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    network: IpAddr,
    length: u8,
}

impl Prefix {
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// None when the length does not fit the family. Host bits are cleared.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let network = match address {
            IpAddr::V4(v4) => {
                let host = 32u32.checked_sub(length.into())?;
                let mask = u32::MAX.checked_shl(host).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let host = 128u32.checked_sub(length.into())?;
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        };
        Some(Self { network, length })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.network.is_ipv4() == address.is_ipv4()
            && Self::new(address, self.length).is_some_and(|prefix| prefix == *self)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl FromStr for Prefix {
    type Err = ();

    /// `address/length`, or an address alone for that address only.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        Self::new(address, length.unwrap_or(whole)).ok_or(())
    }
}

#[derive(Debug, Clone)]
pub struct AllowedIps<T> {
    /// Longest first.
    v4: Vec<(u8, HashMap<IpAddr, T>)>,
    v6: Vec<(u8, HashMap<IpAddr, T>)>,
    prefixes: usize,
}

impl<T> Default for AllowedIps<T> {
    fn default() -> Self {
        Self { v4: Vec::new(), v6: Vec::new(), prefixes: 0 }
    }
}

impl<T: Copy> AllowedIps<T> {
    pub fn len(&self) -> usize {
        self.prefixes
    }

    pub fn is_empty(&self) -> bool {
        self.prefixes == 0
    }

    pub fn get(&self, prefix: &Prefix) -> Option<T> {
        let (_, table) = self.family(prefix.network).iter().find(|(length, _)| *length == prefix.length)?;
        table.get(&prefix.network).copied()
    }

    pub fn insert(&mut self, prefix: Prefix, value: T) {
        let family = self.family_mut(prefix.network);
        let at = family.partition_point(|(length, _)| *length > prefix.length);
        if family.get(at).is_none_or(|(length, _)| *length != prefix.length) {
            family.insert(at, (prefix.length, HashMap::new()));
        }
        if family[at].1.insert(prefix.network, value).is_none() {
            self.prefixes += 1;
        }
    }

    pub fn remove(&mut self, prefix: &Prefix) {
        let family = self.family_mut(prefix.network);
        let Some(at) = family.iter().position(|(length, _)| *length == prefix.length) else {
            return;
        };
        let removed = family[at].1.remove(&prefix.network).is_some();
        if family[at].1.is_empty() {
            family.remove(at);
        }
        self.prefixes -= usize::from(removed);
    }

    pub fn lookup(&self, address: IpAddr) -> Option<T> {
        self.family(address).iter().find_map(|(length, table)| {
            let prefix = Prefix::new(address, *length)?;
            table.get(&prefix.network).copied()
        })
    }

    fn family(&self, address: IpAddr) -> &[(u8, HashMap<IpAddr, T>)] {
        if address.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    fn family_mut(&mut self, address: IpAddr) -> &mut Vec<(u8, HashMap<IpAddr, T>)> {
        if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_prefix_wins_even_where_one_net_lies_inside_another() {
        let mut table = AllowedIps::default();
        table.insert(prefix("10.0.0.0/8"), 1);
        table.insert(prefix("10.1.0.0/16"), 2);
        table.insert(prefix("10.1.2.3"), 3);
        assert_eq!(table.lookup("10.9.9.9".parse().unwrap()), Some(1));
        assert_eq!(table.lookup("10.1.9.9".parse().unwrap()), Some(2));
        assert_eq!(table.lookup("10.1.2.3".parse().unwrap()), Some(3));
        table.remove(&prefix("10.1.0.0/16"));
        assert_eq!(table.lookup("10.1.9.9".parse().unwrap()), Some(1));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn the_families_are_apart() {
        let mut table = AllowedIps::default();
        table.insert(prefix("::/0"), 6);
        assert_eq!(table.lookup("10.0.0.1".parse().unwrap()), None);
        table.insert(prefix("0.0.0.0/0"), 4);
        assert_eq!(table.lookup("10.0.0.1".parse().unwrap()), Some(4));
        assert_eq!(table.lookup("fd00::1".parse().unwrap()), Some(6));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0/8", "host/8"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_search(
            entries in prop::collection::vec((any::<u32>(), 0u8..=32), 0..40),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            probes in prop::collection::vec(any::<u32>(), 20),
        ) {
            // A few high bits only, so that nets overlap.
            let mut model: Vec<(Prefix, usize)> = Vec::new();
            let mut table = AllowedIps::default();
            for (value, (bits, length)) in entries.into_iter().enumerate() {
                let prefix = Prefix::new(Ipv4Addr::from_bits(bits & 0xe000_0007).into(), length).unwrap();
                table.insert(prefix, value);
                model.retain(|(other, _)| *other != prefix);
                model.push((prefix, value));
            }
            for index in removed {
                if !model.is_empty() {
                    let (prefix, _) = model.swap_remove(index.index(model.len()));
                    table.remove(&prefix);
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for bits in probes {
                let address = IpAddr::from(Ipv4Addr::from_bits(bits & 0xe000_0007));
                let want = model.iter().filter(|(prefix, _)| prefix.contains(address)).max_by_key(|(prefix, _)| prefix.length);
                prop_assert_eq!(table.lookup(address), want.map(|(_, value)| *value));
            }
        }
    }
}
