//! Cutting and joining are each other's inverse, and neither trusts what it reads.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is built of")]

use std::net::IpAddr;
use std::ops::Range;

use proptest::prelude::*;
use shadowmesh_core::checksum::Sum;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::join::{Joiner, Joins};
use shadowmesh_core::packet::{IpHeader, TCP, UDP};
use shadowmesh_core::segment::SuperPacket;
use shadowmesh_core::vnet::{Gso, VNET_HEADER_BYTES, VnetHeader};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

#[derive(Debug, Clone)]
struct Flow {
    is_v6: bool,
    protocol: u8,
    tcp_flags: u8,
    options: usize,
    sequence: u32,
    id: u16,
    port: u16,
}

impl Flow {
    fn tcp(is_v6: bool) -> Self {
        Self {
            is_v6,
            protocol: TCP,
            tcp_flags: ACK,
            options: 12,
            sequence: u32::MAX - 3000,
            id: 0xfff0,
            port: 443,
        }
    }

    fn transport_at(&self) -> usize {
        if self.is_v6 { 40 } else { 20 }
    }

    fn header_bytes(&self) -> usize {
        self.transport_at() + if self.protocol == TCP { 20 + self.options } else { 8 }
    }

    /// A whole packet; its transport checksum is complete or, as the kernel leaves it, partial.
    fn packet(&self, payload: &[u8], is_partial: bool) -> Vec<u8> {
        let total = self.header_bytes() + payload.len();
        let mut packet = vec![0; total];
        let at = self.transport_at();
        if self.is_v6 {
            packet[0] = 0x60;
            packet[4..6].copy_from_slice(&((total - 40) as u16).to_be_bytes());
            (packet[6], packet[7]) = (self.protocol, 64);
            (packet[8], packet[23], packet[24], packet[39]) = (0xfd, 1, 0xfd, 2);
        } else {
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&(total as u16).to_be_bytes());
            packet[4..6].copy_from_slice(&self.id.to_be_bytes());
            (packet[6], packet[8], packet[9]) = (0x40, 64, self.protocol);
            packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
            let sum = Sum::default().bytes(&packet[..20]).complement();
            packet[10..12].copy_from_slice(&sum);
        }
        packet[at + 2..at + 4].copy_from_slice(&self.port.to_be_bytes());
        let checksum_at = if self.protocol == TCP {
            packet[at + 4..at + 8].copy_from_slice(&self.sequence.to_be_bytes());
            packet[at + 12] = ((5 + self.options / 4) << 4) as u8;
            packet[at + 13] = self.tcp_flags;
            packet[at + 14..at + 16].copy_from_slice(&[1, 0]);
            packet[at + 20..at + 20 + self.options].fill(1);
            at + 16
        } else {
            packet[at + 4..at + 6].copy_from_slice(&((total - at) as u16).to_be_bytes());
            at + 6
        };
        packet[self.header_bytes()..].copy_from_slice(payload);
        let ip = IpHeader::parse(&packet).unwrap();
        let pseudo = Sum::pseudo_header(ip.source, ip.destination, self.protocol, (total - at) as u16);
        let sum = if is_partial { pseudo.folded() } else { pseudo.bytes(&packet[at..]).complement() };
        packet[checksum_at..checksum_at + 2].copy_from_slice(&sum);
        packet
    }

    fn vnet(&self, segment: usize) -> VnetHeader {
        VnetHeader {
            gso: match (self.protocol, self.is_v6) {
                (UDP, _) => Gso::Udp,
                (_, false) => Gso::TcpV4,
                (_, true) => Gso::TcpV6,
            },
            needs_checksum: true,
            // Wrong on purpose: it is a hint that must not be trusted.
            header_bytes: 9,
            segment_bytes: segment as u16,
            checksum_start: self.transport_at() as u16,
            checksum_offset: if self.protocol == TCP { 16 } else { 6 },
        }
    }
}

fn cut(vnet: &VnetHeader, packet: &mut [u8]) -> Result<Vec<Vec<u8>>, DropReason> {
    let mut packets = SuperPacket::parse(vnet, packet)?;
    let (count, total) = (packets.count(), packets.total_bytes());
    let mut pieces = Vec::new();
    while let Some(piece) = packets.next_packet() {
        pieces.push(piece.to_vec());
    }
    assert_eq!(pieces.len(), count);
    assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), total);
    Ok(pieces)
}

fn join(packets: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    join_with(Joins::ALL, packets)
}

fn join_with(joins: Joins, packets: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    let (mut arena, mut ranges): (Vec<u8>, Vec<Range<usize>>) = (Vec::new(), Vec::new());
    for packet in packets {
        ranges.push(arena.len()..arena.len() + packet.len());
        arena.extend_from_slice(packet);
        // What lies between packets is padding and a tag.
        arena.extend_from_slice(&[0xaa; 7]);
    }
    let mut joiner = Joiner::new(joins);
    for range in ranges {
        joiner.push(&arena, range);
    }
    let mut joined = Vec::new();
    joiner.finish(&mut arena, |vnet, arena, pieces| {
        let bytes = pieces.iter().flat_map(|piece| arena[piece.clone()].to_vec()).collect();
        joined.push((*vnet, bytes));
    });
    joined
}

fn assert_sound(packet: &[u8]) {
    let ip = IpHeader::parse(packet).unwrap();
    assert_eq!(ip.total_bytes, packet.len());
    if ip.source.is_ipv4() {
        assert_eq!(Sum::default().bytes(&packet[..20]).complement(), [0, 0]);
    }
    let transport = &packet[ip.header_bytes..];
    let sum = Sum::pseudo_header(ip.source, ip.destination, ip.protocol, transport.len() as u16);
    assert_eq!(sum.bytes(transport).complement(), [0, 0]);
}

fn flow() -> impl Strategy<Value = Flow> {
    (any::<bool>(), prop_oneof![Just(TCP), Just(UDP)], 0usize..=10, any::<u32>(), any::<u16>()).prop_map(
        |(is_v6, protocol, options, sequence, id)| Flow {
            is_v6,
            protocol,
            tcp_flags: ACK,
            options: options * 4,
            sequence,
            id,
            port: 443,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_cut_is_sound_and_joins_to_what_it_was(
        flow in flow(),
        payload in prop::collection::vec(any::<u8>(), 1..20_000),
        segment in 300usize..1400,
        has_push in any::<bool>(),
    ) {
        let flow = Flow { tcp_flags: if has_push { ACK | PSH } else { ACK }, ..flow };
        let whole = flow.packet(&payload, true);
        let pieces = cut(&flow.vnet(segment), &mut whole.clone()).unwrap();
        prop_assert_eq!(pieces.len(), payload.len().div_ceil(segment));
        for piece in &pieces {
            assert_sound(piece);
        }
        let joined = join(&pieces);
        let mut rest: Vec<u8> = Vec::new();
        for (_, packet) in &joined {
            rest.extend_from_slice(&packet[flow.header_bytes()..]);
        }
        prop_assert_eq!(rest, payload);
        if pieces.len() > 1 && pieces.len() <= 64 {
            prop_assert_eq!(joined.len(), 1);
            let (vnet, packet) = &joined[0];
            prop_assert_eq!(packet, &whole);
            prop_assert_eq!(vnet.gso, flow.vnet(segment).gso);
            prop_assert_eq!(usize::from(vnet.segment_bytes), segment);
        }
    }

    #[test]
    fn headers_that_contradict_the_packet_never_panic(
        header in any::<[u8; VNET_HEADER_BYTES]>(),
        small in prop::array::uniform4(0u16..80),
        kind in prop::sample::select(vec![0u8, 1, 4, 5]),
        mut packet in prop::collection::vec(any::<u8>(), 0..400),
        version in prop::sample::select(vec![0x45u8, 0x60, 0x4f]),
    ) {
        if let Some(vnet) = VnetHeader::decode(&header) {
            let _ = cut(&vnet, &mut packet.clone());
        }
        let mut header = header;
        header[0] = 1;
        header[1] = kind;
        for (field, value) in header[2..].chunks_exact_mut(2).zip(small) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        if packet.len() >= 40 {
            packet[0] = version;
            let length = packet.len() as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            packet[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        }
        let _ = cut(&VnetHeader::decode(&header).unwrap(), &mut packet.clone());
        join(&[packet.clone(), packet]);
    }

    #[test]
    fn any_mixture_of_flows_arrives_complete_and_in_order_in_each_flow(
        choices in prop::collection::vec((0u16..12, 1usize..3, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut next = [1000u32; 12];
        for (port, size, has_push, is_fin) in choices {
            let flags = ACK | if has_push { PSH } else { 0 } | if is_fin { FIN } else { 0 };
            let sequence = next[usize::from(port)];
            let payload: Vec<u8> = (0..size * 50).map(|i| (sequence as usize + i) as u8).collect();
            next[usize::from(port)] += payload.len() as u32;
            sent.push(Flow { port, sequence, tcp_flags: flags, ..Flow::tcp(port % 2 == 0) }.packet(&payload, false));
        }
        let mut arrived = [1000u32; 12];
        for (vnet, mut packet) in join(&sent) {
            for piece in cut(&vnet, &mut packet).unwrap() {
                assert_sound(&piece);
                let at = IpHeader::parse(&piece).unwrap().header_bytes;
                let port = u16::from_be_bytes([piece[at + 2], piece[at + 3]]);
                let sequence = u32::from_be_bytes(piece[at + 4..at + 8].try_into().unwrap());
                prop_assert_eq!(sequence, arrived[usize::from(port)]);
                arrived[usize::from(port)] += (piece.len() - at - 32) as u32;
            }
        }
        prop_assert_eq!(arrived, next);
    }
}

#[test]
fn fin_and_push_stay_on_the_last_segment_and_cwr_on_the_first() {
    let flow = Flow { tcp_flags: ACK | FIN | PSH | CWR, ..Flow::tcp(false) };
    let pieces = cut(&flow.vnet(1000), &mut flow.packet(&[5; 2500], true)).unwrap();
    let flags: Vec<u8> = pieces.iter().map(|piece| piece[20 + 13]).collect();
    assert_eq!(flags, [ACK | CWR, ACK, ACK | FIN | PSH]);
    let ids: Vec<[u8; 2]> = pieces.iter().map(|piece| [piece[4], piece[5]]).collect();
    assert_eq!(ids, [[0xff, 0xf0], [0xff, 0xf1], [0xff, 0xf2]]);
}

/// Fails where overflow is checked, as in `cargo test` without `--release`.
#[test]
fn the_longest_ipv6_packet_has_a_length_that_fits() {
    let flow = Flow::tcp(true);
    for payload in [65_535 - 32 - 40, 65_535 - 32] {
        let whole = flow.packet(&vec![7; payload], true);
        let pieces = cut(&flow.vnet(65_535), &mut whole.clone()).unwrap();
        assert_eq!(pieces.len(), 1);
        assert_sound(&pieces[0]);
    }
}

#[test]
fn a_missing_checksum_is_completed_on_a_packet_that_is_not_cut() {
    for is_v6 in [false, true] {
        let flow = Flow::tcp(is_v6);
        let vnet = VnetHeader { gso: Gso::None, segment_bytes: 0, ..flow.vnet(0) };
        let pieces = cut(&vnet, &mut flow.packet(b"hello", true)).unwrap();
        assert_eq!(pieces, [flow.packet(b"hello", false)]);
    }
}

#[test]
fn a_udp_checksum_that_comes_out_as_zero_is_written_as_all_ones() {
    let flow = Flow { protocol: UDP, options: 0, ..Flow::tcp(false) };
    let zero = flow.packet(&[0, 0], false);
    let sum = [zero[26], zero[27]];
    let vnet = VnetHeader { gso: Gso::None, segment_bytes: 0, ..flow.vnet(0) };
    let pieces = cut(&vnet, &mut flow.packet(&sum, true)).unwrap();
    assert_eq!(pieces[0][26..28], [0xff, 0xff]);
}

#[test]
fn a_packet_with_a_wrong_checksum_is_not_laundered_by_joining() {
    let flow = Flow::tcp(true);
    let first = flow.packet(&[1; 500], false);
    let mut second =
        Flow { sequence: flow.sequence.wrapping_add(500), ..flow.clone() }.packet(&[2; 500], false);
    second[100] ^= 1;
    let joined = join(&[first.clone(), second.clone()]);
    assert_eq!(joined, [(VnetHeader::PLAIN, first), (VnetHeader::PLAIN, second)]);
}

#[test]
fn packets_that_differ_in_what_a_receiver_must_see_are_not_joined() {
    let flow = Flow::tcp(false);
    let first = flow.packet(&[1; 500], false);
    let next = Flow { sequence: flow.sequence.wrapping_add(500), ..flow.clone() };
    for at in [1, 6, 8, 20 + 11, 20 + 15, 20 + 25] {
        let mut second = next.packet(&[2; 500], false);
        second[at] ^= 2;
        let fixed = refresh_checksums(second);
        assert_eq!(join(&[first.clone(), fixed]).len(), 2, "byte {at}");
    }
    let gap = Flow { sequence: flow.sequence.wrapping_add(501), ..flow.clone() };
    assert_eq!(join(&[first.clone(), gap.packet(&[2; 500], false)]).len(), 2);
    assert_eq!(join(&[first.clone(), next.packet(&[2; 501], false)]).len(), 2);
    assert_eq!(join(&[first, next.packet(&[2; 500], false)]).len(), 1);
}

#[test]
fn fragments_and_packets_with_options_or_extension_headers_go_alone() {
    let first = Flow::tcp(false);
    let pair = |is_v6| {
        [0, 500].map(|offset| {
            let sequence = first.sequence.wrapping_add(offset);
            Flow { is_v6, sequence, ..first.clone() }.packet(&[offset as u8; 500], false)
        })
    };
    let change = |packets: [Vec<u8>; 2], change: fn(&mut Vec<u8>)| {
        packets.map(|mut packet| {
            change(&mut packet);
            packet
        })
    };
    let changed = [
        change(pair(false), |packet| packet[6] |= 0x20),
        change(pair(false), |packet| packet[7] = 1),
        change(pair(false), |packet| {
            packet[0] = 0x46;
            packet[3] += 4;
            packet.splice(20..20, [1, 1, 1, 0]);
        }),
        change(pair(true), |packet| packet[6] = 44),
        change(pair(true), |packet| {
            packet[5] += 8;
            let next = std::mem::replace(&mut packet[6], 60);
            packet.splice(40..40, [next, 0, 1, 4, 0, 0, 0, 0]);
        }),
    ];
    for packets in changed {
        let alone = packets.clone().map(|packet| (VnetHeader::PLAIN, packet));
        assert_eq!(join(&packets), alone);
    }
    assert_eq!(
        [false, true].map(|is_v6| join(&pair(is_v6)).len()),
        [1, 1],
        "without the change they are joined"
    );
}

#[test]
fn what_the_device_does_not_take_joined_goes_alone() {
    for (protocol, joins) in [(TCP, Joins { tcp: false, udp: true }), (UDP, Joins { tcp: true, udp: false })]
    {
        let flow = Flow { protocol, options: 0, ..Flow::tcp(true) };
        let next = Flow { sequence: flow.sequence.wrapping_add(500), ..flow.clone() };
        let packets = [flow.packet(&[1; 500], false), next.packet(&[2; 500], false)];
        assert_eq!(join_with(joins, &packets).len(), 2);
        assert_eq!(join(&packets).len(), 1);
    }
}

fn refresh_checksums(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].fill(0);
    let sum = Sum::default().bytes(&packet[..20]).complement();
    packet[10..12].copy_from_slice(&sum);
    packet[36..38].fill(0);
    let (source, destination) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    let pseudo = Sum::pseudo_header(source, destination, TCP, (packet.len() - 20) as u16);
    let sum = pseudo.bytes(&packet[20..]).complement();
    packet[36..38].copy_from_slice(&sum);
    packet
}
