//! The fields of an IP packet that the engine looks at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;
pub const IPV4_HEADER_BYTES: usize = 20;
pub const IPV6_HEADER_BYTES: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpHeader {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IPv4 protocol, or the first next header of IPv6.
    pub protocol: u8,
    pub header_bytes: usize,
    /// Of the whole packet; what lies behind it is padding.
    pub total_bytes: usize,
    pub is_fragment: bool,
    /// DSCP and ECN.
    pub traffic_class: u8,
}

impl IpHeader {
    /// None when it is no IP packet, or shorter than it says.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::parse_v4(packet),
            6 => Self::parse_v6(packet),
            _ => None,
        }
    }

    fn parse_v4(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; IPV4_HEADER_BYTES] = packet.first_chunk()?;
        let header_bytes = usize::from(fixed[0] & 0x0f) * 4;
        let total_bytes = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if header_bytes < IPV4_HEADER_BYTES || total_bytes < header_bytes || total_bytes > packet.len() {
            return None;
        }
        Some(Self {
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]).into(),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]).into(),
            protocol: fixed[9],
            header_bytes,
            total_bytes,
            // More fragments, or an offset.
            is_fragment: u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0,
            traffic_class: fixed[1],
        })
    }

    fn parse_v6(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; IPV6_HEADER_BYTES] = packet.first_chunk()?;
        let total_bytes = IPV6_HEADER_BYTES + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        if total_bytes > packet.len() {
            return None;
        }
        let (_, source) = fixed[..24].split_last_chunk::<16>()?;
        let destination = fixed.last_chunk::<16>()?;
        Some(Self {
            source: Ipv6Addr::from(*source).into(),
            destination: Ipv6Addr::from(*destination).into(),
            protocol: fixed[6],
            header_bytes: IPV6_HEADER_BYTES,
            total_bytes,
            is_fragment: fixed[6] == 44,
            traffic_class: fixed[0] << 4 | fixed[1] >> 4,
        })
    }
}

/// Multicast, broadcast and link-local destinations: they mean a link, and the overlay is none.
pub fn is_link_scoped(destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}
