//! Cuts what Linux hands over as one packet of up to 64 KB (TSO, USO) into packets that fit the overlay.
//!
//! Nothing is copied: each packet is made in place by writing its headers right before its payload, over
//! the tail of the packet before, which its user has consumed by then. Therefore packets are lent out one
//! at a time.

use crate::checksum::Sum;
use crate::drops::DropReason;
use crate::packet::{IPV4_HEADER_BYTES, IpHeader, TCP, UDP};
use crate::vnet::{Gso, VnetHeader};

/// IPv4 or IPv6 with a few extension headers, and the longest TCP header.
const MAX_HEADER_BYTES: usize = 256;

const TCP_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const TCP_CHECKSUM_AT: usize = 16;
const UDP_CHECKSUM_AT: usize = 6;
const TCP_FLAGS_AT: usize = 13;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// A packet from the TUN device, before it is cut.
#[derive(Debug)]
pub struct SuperPacket<'a> {
    ip: IpHeader,
    packet: &'a mut [u8],
    cut: Option<Cut>,
    next: usize,
    count: usize,
}

#[derive(Debug)]
struct Cut {
    headers: [u8; MAX_HEADER_BYTES],
    header_bytes: usize,
    transport_at: usize,
    segment_bytes: usize,
    protocol: u8,
}

impl<'a> SuperPacket<'a> {
    /// Refuses what contradicts itself. A packet that needs no cutting gets its checksum completed here.
    pub fn parse(vnet: &VnetHeader, packet: &'a mut [u8]) -> Result<Self, DropReason> {
        let ip = IpHeader::parse(packet).ok_or(DropReason::MalformedPacket)?;
        let packet = &mut packet[..ip.total_bytes];
        let cut = match vnet.gso {
            Gso::None => {
                if vnet.needs_checksum {
                    complete_checksum(vnet, packet).ok_or(DropReason::MalformedPacket)?;
                }
                None
            }
            _ => Some(Cut::parse(vnet, &ip, packet).ok_or(DropReason::MalformedPacket)?),
        };
        let count = cut
            .as_ref()
            .map_or(1, |cut| (packet.len() - cut.header_bytes).div_ceil(cut.segment_bytes).max(1));
        Ok(Self { ip, packet, cut, next: 0, count })
    }

    pub fn ip(&self) -> &IpHeader {
        &self.ip
    }

    /// How many packets it becomes; at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of all packets that it becomes.
    pub fn total_bytes(&self) -> usize {
        let repeated = self.cut.as_ref().map_or(0, |cut| cut.header_bytes);
        self.packet.len() + (self.count - 1) * repeated
    }

    /// The next packet. What it overwrites belongs to the one before, which must not be needed any more.
    pub fn next_packet(&mut self) -> Option<&[u8]> {
        if self.next == self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let Some(cut) = &self.cut else {
            return Some(self.packet);
        };
        let start = index * cut.segment_bytes;
        let end = (start + cut.header_bytes + cut.segment_bytes).min(self.packet.len());
        let packet = &mut self.packet[start..end];
        cut.write_headers(packet, &self.ip, index, index + 1 == self.count);
        Some(packet)
    }
}

impl Cut {
    fn parse(vnet: &VnetHeader, ip: &IpHeader, packet: &[u8]) -> Option<Self> {
        let transport_at = usize::from(vnet.checksum_start);
        // hdr_len of the vnet header is only a hint: some kernels give more than the headers.
        let transport = packet.get(transport_at..)?;
        let (protocol, transport_bytes) = match vnet.gso {
            Gso::Udp => (UDP, UDP_HEADER_BYTES),
            _ => (TCP, usize::from(transport.get(12)? >> 4) * 4),
        };
        let minimum = if protocol == TCP { TCP_HEADER_BYTES } else { UDP_HEADER_BYTES };
        let header_bytes = transport_at + transport_bytes;
        let right_family = match vnet.gso {
            Gso::TcpV4 => ip.source.is_ipv4(),
            Gso::TcpV6 => ip.source.is_ipv6(),
            _ => true,
        };
        if !right_family
            || !vnet.needs_checksum
            || vnet.segment_bytes == 0
            || ip.is_fragment
            || transport_at < ip.header_bytes
            || transport_bytes < minimum
            || header_bytes > MAX_HEADER_BYTES
        {
            return None;
        }
        let mut headers = [0; MAX_HEADER_BYTES];
        headers[..header_bytes].copy_from_slice(packet.get(..header_bytes)?);
        Some(Self { headers, header_bytes, transport_at, segment_bytes: vnet.segment_bytes.into(), protocol })
    }

    fn write_headers(&self, packet: &mut [u8], ip: &IpHeader, index: usize, is_last: bool) {
        packet[..self.header_bytes].copy_from_slice(&self.headers[..self.header_bytes]);
        let total_bytes = packet.len();
        let (network, transport) = packet.split_at_mut(self.transport_at);
        let transport_bytes = transport.len() as u16;
        if ip.source.is_ipv4() {
            let id = u16::from_be_bytes([network[4], network[5]]).wrapping_add(index as u16);
            network[4..6].copy_from_slice(&id.to_be_bytes());
            set_ipv4_length(network, total_bytes as u16);
        } else {
            // In this order: an IPv6 packet may be longer than 16 bits say, its payload not.
            let payload = (total_bytes - crate::packet::IPV6_HEADER_BYTES) as u16;
            network[4..6].copy_from_slice(&payload.to_be_bytes());
        }
        let checksum_at = if self.protocol == TCP {
            let offset = (index * self.segment_bytes) as u32;
            let sequence = u32::from_be_bytes([transport[4], transport[5], transport[6], transport[7]])
                .wrapping_add(offset);
            transport[4..8].copy_from_slice(&sequence.to_be_bytes());
            if !is_last {
                transport[TCP_FLAGS_AT] &= !(FIN | PSH);
            }
            if index != 0 {
                transport[TCP_FLAGS_AT] &= !CWR;
            }
            TCP_CHECKSUM_AT
        } else {
            transport[4..6].copy_from_slice(&transport_bytes.to_be_bytes());
            UDP_CHECKSUM_AT
        };
        transport[checksum_at..checksum_at + 2].fill(0);
        let sum = Sum::pseudo_header(ip.source, ip.destination, self.protocol, transport_bytes)
            .bytes(transport)
            .complement();
        transport[checksum_at..checksum_at + 2].copy_from_slice(&never_zero(sum, self.protocol));
    }
}

/// Writes total length and header checksum.
pub(crate) fn set_ipv4_length(header: &mut [u8], total_bytes: u16) {
    header[2..4].copy_from_slice(&total_bytes.to_be_bytes());
    header[10..12].fill(0);
    let header_bytes = (usize::from(header[0] & 0x0f) * 4).clamp(IPV4_HEADER_BYTES, header.len());
    let sum = Sum::default().bytes(&header[..header_bytes]).complement();
    header[10..12].copy_from_slice(&sum);
}

/// The field holds the pseudo header's sum; what it covers is added here.
fn complete_checksum(vnet: &VnetHeader, packet: &mut [u8]) -> Option<()> {
    let covered = packet.get_mut(usize::from(vnet.checksum_start)..)?;
    let at = usize::from(vnet.checksum_offset);
    let sum = Sum::default().bytes(covered).complement();
    let protocol = if at == UDP_CHECKSUM_AT { UDP } else { TCP };
    covered.get_mut(at..at + 2)?.copy_from_slice(&never_zero(sum, protocol));
    Some(())
}

/// RFC 768: an all-zero UDP checksum would mean that there is none.
fn never_zero(sum: [u8; 2], protocol: u8) -> [u8; 2] {
    if protocol == UDP && sum == [0, 0] { [0xff, 0xff] } else { sum }
}
