use std::net::IpAddr;

use shadowmesh_core::packet::IpHeader;
use shadowmesh_core::segment::SuperPacket;
use shadowmesh_core::vnet::{Gso, VNET_HEADER_BYTES, VnetHeader};

use crate::book::{self, TCP, UDP, checksum, transport_checksum};
use crate::input::Input;

/// What the engine reads from a TUN device at once.
const MAX_PACKET_BYTES: usize = 65_536;

/// What is read from the TUN device, made up whole: refused, or cut into packets that are sound and hold the payload
/// once and in order. If the first byte is odd, what came is put right in the fields that chance seldom gets right.
pub fn super_packet(data: &[u8]) {
    let mut input = Input::new(data);
    let is_put_right = input.flag();
    let (vnet, packet) =
        if is_put_right { put_right(&mut input) } else { (raw_vnet(&mut input), input.rest().to_vec()) };
    let mut buffer = packet.clone();
    let Some(vnet) = vnet else { return };
    let Ok(mut packets) = SuperPacket::parse(&vnet, &mut buffer) else { return };
    let (ip, count, total_bytes) = (*packets.ip(), packets.count(), packets.total_bytes());
    let mut pieces = Vec::new();
    while let Some(piece) = packets.next_packet() {
        pieces.push(piece.to_vec());
    }
    assert_eq!(pieces.len(), count);
    assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), total_bytes);
    assert_eq!(Some(ip), IpHeader::parse(&packet));
    let whole = &packet[..ip.total_bytes];
    match vnet.gso {
        Gso::None => judge_uncut(&vnet, whole, &pieces),
        _ => judge_cut(&vnet, &ip, whole, &pieces),
    }
}

fn raw_vnet(input: &mut Input<'_>) -> Option<VnetHeader> {
    let header = input.bytes(VNET_HEADER_BYTES).first_chunk()?;
    VnetHeader::decode(header)
}

/// Nothing but the checksum field may differ.
fn judge_uncut(vnet: &VnetHeader, whole: &[u8], pieces: &[Vec<u8>]) {
    let [piece] = pieces else {
        panic!("{} pieces", pieces.len());
    };
    let mut piece = piece.clone();
    if vnet.needs_checksum {
        let at = usize::from(vnet.checksum_start) + usize::from(vnet.checksum_offset);
        piece[at..at + 2].copy_from_slice(&whole[at..at + 2]);
    }
    assert_eq!(piece, whole);
}

fn judge_cut(vnet: &VnetHeader, ip: &IpHeader, whole: &[u8], pieces: &[Vec<u8>]) {
    let at = usize::from(vnet.checksum_start);
    let protocol = if vnet.gso == Gso::Udp { UDP } else { TCP };
    let header_bytes = at + if protocol == UDP { 8 } else { usize::from(whole[at + 12] >> 4) * 4 };
    let mut payload = Vec::new();
    for piece in pieces {
        let header = IpHeader::parse(piece).expect("a piece is a packet");
        assert_eq!(header.total_bytes, piece.len());
        assert_eq!((header.source, header.destination), (ip.source, ip.destination));
        let (network, transport) = piece.split_at(at);
        if header.source.is_ipv4() {
            assert_eq!(checksum(&[&network[..header.header_bytes]]), 0);
        }
        assert_eq!(transport_checksum(header.source, header.destination, protocol, transport), 0);
        assert_transport(transport, &whole[at..], protocol, payload.len());
        let content = &piece[header_bytes..];
        assert!(content.len() <= vnet.segment_bytes.into());
        payload.extend_from_slice(content);
    }
    assert_eq!(payload, whole[header_bytes..]);
}

fn assert_transport(transport: &[u8], whole: &[u8], protocol: u8, offset: usize) {
    assert_eq!(transport[..4], whole[..4]);
    if protocol == UDP {
        assert_eq!(usize::from(u16::from_be_bytes([transport[4], transport[5]])), transport.len());
        return;
    }
    let sequence = |header: &[u8]| u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    assert_eq!(sequence(transport), sequence(whole).wrapping_add(offset as u32));
}

/// A packet as the kernel gives it, of any length, and its header with few fields left to chance.
fn put_right(input: &mut Input<'_>) -> (Option<VnetHeader>, Vec<u8>) {
    let (is_v6, gso) = (input.flag(), input.pick(&[Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp]));
    let protocol = if gso == Gso::Udp { UDP } else { TCP };
    let (address_bytes, extension_bytes) = (if is_v6 { 40 } else { 20 }, input.below(32));
    let vnet = VnetHeader {
        gso,
        needs_checksum: input.byte() != 0,
        header_bytes: input.word(),
        segment_bytes: input.word(),
        checksum_start: (address_bytes + extension_bytes) as u16,
        checksum_offset: if protocol == UDP { 6 } else { 16 },
    };
    let length = usize::from(input.word()).min(MAX_PACKET_BYTES - address_bytes);
    let mut content: Vec<u8> = input.rest().to_vec();
    content.extend((content.len()..length).map(|at| at as u8));
    content.truncate(length);
    let (source, destination) = if is_v6 {
        (IpAddr::from([0xfd; 16]), IpAddr::from([0xfc; 16]))
    } else {
        (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]))
    };
    // An IPv4 packet says its length in 16 bits.
    content.truncate(if is_v6 { length } else { length.min(65_515) });
    (Some(vnet), book::ip(source, destination, protocol, &content))
}
