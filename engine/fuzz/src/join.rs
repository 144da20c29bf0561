use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use shadowmesh_core::join::{Joiner, Joins};
use shadowmesh_core::packet::IpHeader;
use shadowmesh_core::segment::SuperPacket;
use shadowmesh_core::vnet::VnetHeader;

use crate::book::{self, TCP, UDP};
use crate::input::Input;

/// More than are ever joined to one.
const MAX_PACKETS: usize = 80;

/// Packets that are joined and cut again are the same packets; within a flow also in the same order. Only the
/// identification of an IPv4 packet may change, as in the kernel.
pub fn join(data: &[u8]) {
    let mut input = Input::new(data);
    let mut joiner = Joiner::new(Joins { tcp: true, udp: input.flag() });
    let mut flows = [Flow::default(); 4];
    let mut sent = Vec::new();
    while !input.is_empty() && sent.len() < MAX_PACKETS {
        sent.extend(next_packet(&mut input, &mut flows));
    }
    // A joiner is used again and again.
    for _ in 0..2 {
        let arrived = cut(join_all(&mut joiner, &sent));
        assert_same(&by_flow(&arrived), &by_flow(&sent));
    }
}

#[derive(Clone, Copy, Default)]
struct Flow {
    sequence: u32,
}

fn next_packet(input: &mut Input<'_>, flows: &mut [Flow; 4]) -> Option<Vec<u8>> {
    if input.below(16) == 0 {
        let length = input.below(128);
        return whole_packet(input.bytes(length));
    }
    let number = input.below(flows.len());
    let (is_v6, protocol) = (number & 1 == 1, if number & 2 == 0 { TCP } else { UDP });
    let (source, destination) = addresses(is_v6);
    let transport = transport(input, number, protocol, &mut flows[number]);
    let mut packet = book::ip(source, destination, protocol, &transport);
    if !is_v6 {
        packet[4..6].copy_from_slice(&input.word().to_be_bytes());
    }
    set_checksums(&mut packet, protocol);
    for _ in 0..input.below(8).saturating_sub(5) {
        // Behind the first byte, which says what kind of a packet it is.
        let at = 1 + usize::from(input.word()) % (packet.len() - 1);
        packet[at] ^= input.byte();
    }
    if input.flag() {
        set_checksums(&mut packet, protocol);
    }
    whole_packet(&packet)
}

fn transport(input: &mut Input<'_>, number: usize, protocol: u8, flow: &mut Flow) -> Vec<u8> {
    let length = input.pick(&[0, 1, 2, 99, 100, 1200, 1400, 22_000]);
    let mut transport = vec![0, number as u8, 1, 187];
    if protocol == TCP {
        flow.sequence = flow.sequence.wrapping_add(input.below(8).saturating_sub(6) as u32);
        transport.extend_from_slice(&flow.sequence.to_be_bytes());
        let options = input.below(11);
        let flags = input.pick(&[0x10, 0x10, 0x18, 0x11, 0x12, 0x90, 0x50]);
        transport.extend_from_slice(&[0, 0, 0, 1, (5 + options as u8) << 4, flags, 1, 0, 0, 0, 0, 0]);
        transport.resize(20 + 4 * options, 1);
        flow.sequence = flow.sequence.wrapping_add(length);
    } else {
        transport.extend_from_slice(&[((length + 8) >> 8) as u8, (length + 8) as u8, 0, 0]);
    }
    transport.extend((0..length).map(|at| (at + u32::from(number as u8)) as u8));
    transport
}

fn addresses(is_v6: bool) -> (IpAddr, IpAddr) {
    if is_v6 {
        (IpAddr::from([0xfd; 16]), IpAddr::from([0xfc; 16]))
    } else {
        (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]))
    }
}

/// What the router lets through: no byte behind the packet.
fn whole_packet(packet: &[u8]) -> Option<Vec<u8>> {
    let ip = IpHeader::parse(packet)?;
    Some(packet[..ip.total_bytes].to_vec())
}

/// Of a packet without IP options; of anything else something is written somewhere.
fn set_checksums(packet: &mut [u8], protocol: u8) {
    let Some(ip) = IpHeader::parse(packet) else { return };
    let at = ip.header_bytes.min(packet.len());
    let (network, transport) = packet.split_at_mut(at);
    if ip.source.is_ipv4() {
        network[10..12].fill(0);
        let sum = book::checksum(&[network]);
        network[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let field = if protocol == TCP { 16..18 } else { 6..8 };
    if let Some(bytes) = transport.get_mut(field.clone()) {
        bytes.fill(0);
        let sum = book::transport_checksum(ip.source, ip.destination, protocol, transport);
        let sum = if sum == 0 && protocol == UDP { 0xffff } else { sum };
        transport[field].copy_from_slice(&sum.to_be_bytes());
    }
}

fn join_all(joiner: &mut Joiner, packets: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    let (mut arena, mut ranges): (Vec<u8>, Vec<Range<usize>>) = (Vec::new(), Vec::new());
    for packet in packets {
        ranges.push(arena.len()..arena.len() + packet.len());
        arena.extend_from_slice(packet);
        // What lies between packets is padding and a tag.
        arena.extend_from_slice(&[0xaa; 16]);
    }
    for range in ranges {
        joiner.push(&arena, range);
    }
    let mut joined = Vec::new();
    joiner.finish(&mut arena, |vnet, arena, pieces| {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| arena[piece.clone()].to_vec()).collect();
        joined.push((*vnet, bytes));
    });
    joined
}

fn cut(joined: Vec<(VnetHeader, Vec<u8>)>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for (vnet, mut packet) in joined {
        assert!(packet.len() <= 65_535 || vnet == VnetHeader::PLAIN);
        let mut packets = SuperPacket::parse(&vnet, &mut packet).expect("what was joined can be cut");
        while let Some(piece) = packets.next_packet() {
            pieces.push(piece.to_vec());
        }
    }
    pieces
}

/// What tells flows apart: addresses, protocol and ports; and whether it is a fragment or has IP options, which belong to
/// no flow, as in the kernel.
type Key = (IpAddr, IpAddr, u8, Vec<u8>, bool);

fn by_flow(packets: &[Vec<u8>]) -> BTreeMap<Key, Vec<Vec<u8>>> {
    let mut flows: BTreeMap<Key, Vec<Vec<u8>>> = BTreeMap::new();
    for packet in packets {
        let ip = IpHeader::parse(packet).expect("nothing else was sent");
        let ports = packet.get(ip.header_bytes..ip.header_bytes + 4).unwrap_or_default().to_vec();
        let is_apart = ip.is_fragment || (ip.source.is_ipv4() && ip.header_bytes != 20);
        let key = (ip.source, ip.destination, ip.protocol, ports, is_apart);
        flows.entry(key).or_default().push(comparable(packet, &ip));
    }
    flows
}

/// Names what differs first: the whole is long.
fn assert_same(arrived: &BTreeMap<Key, Vec<Vec<u8>>>, sent: &BTreeMap<Key, Vec<Vec<u8>>>) {
    assert!(arrived.keys().eq(sent.keys()), "other flows");
    for (key, packets) in sent {
        assert_eq!(arrived[key].len(), packets.len(), "packets of {key:?}");
        for (number, (arrived, sent)) in arrived[key].iter().zip(packets).enumerate() {
            let differs = arrived.iter().zip(sent).position(|(arrived, sent)| arrived != sent);
            assert_eq!((arrived.len(), differs), (sent.len(), None), "packet {number} of {key:?}");
        }
    }
}

/// Without the identification and the header's checksum; and of the two zeros of a checksum only one.
fn comparable(packet: &[u8], ip: &IpHeader) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if ip.source.is_ipv4() {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    let at = ip.header_bytes + if ip.protocol == TCP { 16 } else { 6 };
    if matches!(ip.protocol, TCP | UDP)
        && let Some(field) = packet.get_mut(at..at + 2)
        && *field == [0xff, 0xff]
    {
        field.fill(0);
    }
    packet
}
