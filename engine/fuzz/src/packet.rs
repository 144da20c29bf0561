use std::net::IpAddr;

use shadowmesh_core::first_byte::{Kind, kind};
use shadowmesh_core::icmp;
use shadowmesh_core::packet::{IpHeader, is_link_scoped};
use shadowmesh_core::vnet::{VNET_HEADER_BYTES, VnetHeader};

use crate::book::{self, checksum, transport_checksum};
use crate::input::Input;

const ICMPV6: u8 = 58;

/// Whatever reads a packet, a datagram or a header of the TUN device without any state: it takes nothing that is
/// longer than what came, and an unreachable destination is reported once, by a packet that is sound.
pub fn packet(data: &[u8]) {
    let is_wireguard = matches!(data, [1..=4, 0, 0, 0, ..]);
    assert_eq!(kind(data) == Kind::Wireguard, is_wireguard);
    if let Some(header) = data.first_chunk::<VNET_HEADER_BYTES>() {
        vnet(header);
    }
    judge(data);
    judge(&with_right_lengths(data));
}

fn vnet(header: &[u8; VNET_HEADER_BYTES]) {
    if let Some(decoded) = VnetHeader::decode(header) {
        let encoded = decoded.encode();
        assert_eq!(VnetHeader::decode(&encoded), Some(decoded));
        assert_eq!(encoded[2..], header[2..]);
    }
}

fn judge(packet: &[u8]) {
    let answer = icmp::unreachable(packet);
    let Some(ip) = IpHeader::parse(packet) else {
        assert_eq!(answer, None);
        return;
    };
    assert!(ip.header_bytes >= 20 && ip.header_bytes <= ip.total_bytes && ip.total_bytes <= packet.len());
    assert_eq!(ip.source.is_ipv4(), ip.destination.is_ipv4());
    if let Some(answer) = answer {
        assert!(!ip.is_fragment && !is_link_scoped(ip.destination));
        judge_answer(&answer, packet, &ip);
    }
}

fn judge_answer(answer: &[u8], packet: &[u8], ip: &IpHeader) {
    let header = IpHeader::parse(answer).expect("an answer is a packet");
    assert_eq!((header.source, header.destination), (ip.destination, ip.source));
    assert_eq!(header.total_bytes, answer.len());
    let (network, content) = answer.split_at(header.header_bytes);
    if header.source.is_ipv4() {
        assert!(answer.len() <= 576);
        assert_eq!((checksum(&[network]), checksum(&[content])), (0, 0));
    } else {
        assert!(answer.len() <= 1280);
        assert_eq!(transport_checksum(header.source, header.destination, ICMPV6, content), 0);
    }
    assert!(packet[..ip.total_bytes].starts_with(&content[8..]));
    assert_eq!(icmp::unreachable(answer), None);
}

/// A packet around the same content, since few bytes of chance have lengths that agree.
fn with_right_lengths(data: &[u8]) -> Vec<u8> {
    let mut input = Input::new(data);
    let protocol = input.pick(&[book::TCP, book::UDP, 1, ICMPV6, 44]);
    let (source, destination) = if input.flag() {
        let low = u128::from(input.long());
        let address = |high: u16| IpAddr::from((u128::from(high) << 112 | low).to_be_bytes());
        (address(input.word()), address(input.word()))
    } else {
        (IpAddr::from(input.long().to_be_bytes()), IpAddr::from(input.long().to_be_bytes()))
    };
    book::ip(source, destination, protocol, input.rest())
}
