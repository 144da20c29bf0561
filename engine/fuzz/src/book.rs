//! Packets and checksums by the book: slow, plain, and without the code that is judged by them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// RFC 1071: zero over what carries its right checksum.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let sum = (sum >> 16) + (sum & 0xffff);
    !((sum >> 16) as u16 + (sum & 0xffff) as u16)
}

/// The same with the pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1.
pub(crate) fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, transport: &[u8]) -> u16 {
    let length = (transport.len() as u32).to_be_bytes();
    let (source, destination) = (octets(source), octets(destination));
    checksum(&[&source, &destination, &[0, protocol], &length, transport])
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An IP packet with its lengths and, for IPv4, its checksum; what is in it is left as it is.
pub(crate) fn ip(source: IpAddr, destination: IpAddr, protocol: u8, content: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(source, destination, protocol, content),
        (source, destination) => {
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend_from_slice(&(content.len() as u16).to_be_bytes());
            packet.extend_from_slice(&[protocol, 64]);
            packet.extend_from_slice(&v6(source).octets());
            packet.extend_from_slice(&v6(destination).octets());
            packet.extend_from_slice(content);
            packet
        }
    }
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&((20 + content.len()) as u16).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(content);
    packet
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
