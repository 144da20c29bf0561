//! Joins packets of one TCP or UDP flow into one that Linux takes as if its network card had joined them (GRO).
//!
//! The payload is not copied: what is joined is named as ranges to be written one after the other. The kernel
//! believes the checksum of a joined packet, so each piece's checksum is verified before it is joined; a
//! packet that does not fit goes alone, and the kernel judges it.

use std::net::IpAddr;
use std::ops::Range;

use crate::checksum::Sum;
use crate::packet::{IPV6_HEADER_BYTES, IpHeader, TCP, UDP};
use crate::segment::set_ipv4_length;
use crate::vnet::{Gso, VnetHeader};

/// Flows that are joined at the same time; a packet of one more flow closes the oldest.
const MAX_OPEN_FLOWS: usize = 8;
/// Linux refuses more than 64 UDP segments in older kernels; with headers it also stays far below IOV_MAX.
const MAX_PIECES: usize = 64;
const MAX_PACKET_BYTES: usize = 65_535;

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// Packets to be written as one.
#[derive(Debug)]
struct Joined {
    /// The first packet whole, then the payload of each further one.
    pieces: Vec<Range<usize>>,
    flow: Option<Flow>,
    is_open: bool,
    has_push: bool,
    next_sequence: u32,
    total_bytes: usize,
    segment_bytes: usize,
}

/// What all packets of a joined one have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flow {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ports: [u8; 4],
    header_bytes: usize,
    transport_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    flow: Flow,
    sequence: u32,
    payload_bytes: usize,
    has_push: bool,
}

/// Collects the packets of one batch. Order within a flow is kept.
#[derive(Debug, Default)]
pub struct Joiner {
    joined: Vec<Joined>,
    used: usize,
    first_open: usize,
    joins: Joins,
}

/// Which packets are joined at all: the device may not take them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joins {
    pub tcp: bool,
    /// Linux 6.2.
    pub udp: bool,
}

impl Joins {
    pub const NONE: Self = Self { tcp: false, udp: false };
    pub const ALL: Self = Self { tcp: true, udp: true };

    fn allow(self, protocol: u8) -> bool {
        if protocol == TCP { self.tcp } else { self.udp }
    }
}

impl Joiner {
    pub fn new(joins: Joins) -> Self {
        Self { joins, ..Self::default() }
    }

    /// Adds the packet at `range` of `arena`: a whole IP packet without padding behind it.
    pub fn push(&mut self, arena: &[u8], range: Range<usize>) {
        let packet = &arena[range.clone()];
        let candidate = Candidate::parse(packet).filter(|c| self.joins.allow(c.flow.protocol));
        let Some(candidate) = candidate else {
            // It may belong to a flow that is open (a FIN, say), which must not be overtaken.
            if let Some(flow) = Flow::parse(packet).map(|(flow, _)| flow) {
                self.close(&flow);
            }
            self.start(range, None);
            return;
        };
        let open = self.joined[self.first_open..self.used]
            .iter_mut()
            .find(|joined| joined.is_open && joined.flow.is_some_and(|f| f.same_flow(&candidate.flow)));
        if let Some(joined) = open {
            if joined.takes(arena, packet, &candidate) {
                joined.add(&range, &candidate);
                return;
            }
            joined.is_open = false;
        }
        self.start(range, Some(candidate));
    }

    /// Completes the headers of everything pushed, in order, and starts afresh.
    pub fn finish(&mut self, arena: &mut [u8], mut write: impl FnMut(&VnetHeader, &[u8], &[Range<usize>])) {
        for joined in &self.joined[..self.used] {
            let vnet = joined.write_headers(arena);
            write(&vnet, arena, &joined.pieces);
        }
        self.used = 0;
        self.first_open = 0;
    }

    fn close(&mut self, flow: &Flow) {
        for joined in &mut self.joined[self.first_open..self.used] {
            if joined.flow.is_some_and(|f| f.same_flow(flow)) {
                joined.is_open = false;
            }
        }
    }

    fn start(&mut self, range: Range<usize>, candidate: Option<Candidate>) {
        if self.used == self.joined.len() {
            self.joined.push(Joined::empty());
        }
        let joined = &mut self.joined[self.used];
        self.used += 1;
        joined.begin(range, candidate);
        self.first_open = self.first_open.max(self.used.saturating_sub(MAX_OPEN_FLOWS));
    }
}

impl Flow {
    fn parse(packet: &[u8]) -> Option<(Self, IpHeader)> {
        let ip = IpHeader::parse(packet)?;
        if ip.is_fragment || (ip.source.is_ipv4() && ip.header_bytes != 20) {
            return None;
        }
        let transport = packet.get(ip.header_bytes..)?;
        let transport_bytes = match ip.protocol {
            TCP => usize::from(transport.get(12)? >> 4) * 4,
            UDP => 8,
            _ => return None,
        };
        let minimum = if ip.protocol == TCP { 20 } else { 8 };
        if transport_bytes < minimum || transport.len() < transport_bytes {
            return None;
        }
        let flow = Self {
            source: ip.source,
            destination: ip.destination,
            protocol: ip.protocol,
            ports: *transport.first_chunk()?,
            header_bytes: ip.header_bytes + transport_bytes,
            transport_at: ip.header_bytes,
        };
        Some((flow, ip))
    }

    fn same_flow(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.ports == other.ports
            && self.source == other.source
            && self.destination == other.destination
    }
}

impl Candidate {
    /// None when it must go alone, whatever comes before or after.
    fn parse(packet: &[u8]) -> Option<Self> {
        let (flow, _) = Flow::parse(packet)?;
        let transport = &packet[flow.transport_at..];
        let payload_bytes = packet.len() - flow.header_bytes;
        let (sequence, has_push) = if flow.protocol == TCP {
            if transport[13] & !PSH != ACK {
                return None;
            }
            (u32::from_be_bytes(*transport[4..].first_chunk()?), transport[13] & PSH != 0)
        } else {
            let length = u16::from_be_bytes([transport[4], transport[5]]);
            // A UDP checksum of zero is "none", and joining would make it one.
            if usize::from(length) != transport.len() || transport[6..8] == [0, 0] {
                return None;
            }
            (0, false)
        };
        let sum = Sum::pseudo_header(flow.source, flow.destination, flow.protocol, transport.len() as u16);
        if payload_bytes == 0 || sum.bytes(transport).complement() != [0, 0] {
            return None;
        }
        Some(Self { flow, sequence, payload_bytes, has_push })
    }
}

impl Joined {
    fn empty() -> Self {
        Self {
            pieces: Vec::with_capacity(MAX_PIECES),
            flow: None,
            is_open: false,
            has_push: false,
            next_sequence: 0,
            total_bytes: 0,
            segment_bytes: 0,
        }
    }

    fn begin(&mut self, range: Range<usize>, candidate: Option<Candidate>) {
        self.pieces.clear();
        self.total_bytes = range.len();
        self.pieces.push(range);
        self.flow = candidate.map(|c| c.flow);
        self.is_open = candidate.is_some_and(|c| !c.has_push);
        self.has_push = candidate.is_some_and(|c| c.has_push);
        self.segment_bytes = candidate.map_or(0, |c| c.payload_bytes);
        self.next_sequence = candidate.map_or(0, |c| c.sequence.wrapping_add(c.payload_bytes as u32));
    }

    fn takes(&self, arena: &[u8], packet: &[u8], candidate: &Candidate) -> bool {
        let first = &arena[self.pieces[0].clone()];
        let flow = &candidate.flow;
        self.flow == Some(candidate.flow)
            && candidate.payload_bytes <= self.segment_bytes
            && self.total_bytes + candidate.payload_bytes <= MAX_PACKET_BYTES
            && self.pieces.len() < MAX_PIECES
            && same_network_header(first, packet)
            && (flow.protocol == UDP
                || (candidate.sequence == self.next_sequence
                    && same_tcp_header(
                        &first[flow.transport_at..flow.header_bytes],
                        &packet[flow.transport_at..],
                    )))
    }

    fn add(&mut self, range: &Range<usize>, candidate: &Candidate) {
        self.pieces.push(range.start + candidate.flow.header_bytes..range.end);
        self.total_bytes += candidate.payload_bytes;
        self.next_sequence = self.next_sequence.wrapping_add(candidate.payload_bytes as u32);
        self.has_push = candidate.has_push;
        // All segments but the last are equal when the kernel cuts it again.
        self.is_open = !candidate.has_push && candidate.payload_bytes == self.segment_bytes;
    }

    fn write_headers(&self, arena: &mut [u8]) -> VnetHeader {
        let Some(flow) = self.flow.filter(|_| self.pieces.len() > 1) else {
            return VnetHeader::PLAIN;
        };
        let headers = &mut arena[self.pieces[0].clone()];
        let (network, transport) = headers.split_at_mut(flow.transport_at);
        let transport_bytes = (self.total_bytes - flow.transport_at) as u16;
        if flow.source.is_ipv4() {
            set_ipv4_length(network, self.total_bytes as u16);
        } else {
            let payload = (self.total_bytes - IPV6_HEADER_BYTES) as u16;
            network[4..6].copy_from_slice(&payload.to_be_bytes());
        }
        let checksum_at = if flow.protocol == TCP {
            if self.has_push {
                transport[13] |= PSH;
            }
            16
        } else {
            transport[4..6].copy_from_slice(&transport_bytes.to_be_bytes());
            6
        };
        let sum = Sum::pseudo_header(flow.source, flow.destination, flow.protocol, transport_bytes);
        transport[checksum_at..checksum_at + 2].copy_from_slice(&sum.folded());
        VnetHeader {
            gso: match (flow.protocol, flow.source) {
                (UDP, _) => Gso::Udp,
                (_, IpAddr::V4(_)) => Gso::TcpV4,
                (_, IpAddr::V6(_)) => Gso::TcpV6,
            },
            needs_checksum: true,
            header_bytes: flow.header_bytes as u16,
            segment_bytes: self.segment_bytes as u16,
            checksum_start: flow.transport_at as u16,
            checksum_offset: checksum_at as u16,
        }
    }
}

/// Type of service, do-not-fragment and time to live; for IPv6 also the flow label.
fn same_network_header(a: &[u8], b: &[u8]) -> bool {
    if a[0] >> 4 == 4 {
        a[1] == b[1] && a[6] == b[6] && a[8] == b[8]
    } else {
        a[..4] == b[..4] && a[7] == b[7]
    }
}

/// Acknowledgement, window, urgent pointer and options: a receiver must see each change of them.
fn same_tcp_header(a: &[u8], b: &[u8]) -> bool {
    a[8..13] == b[8..13] && a[14..16] == b[14..16] && a[18..] == b[18..a.len()]
}
