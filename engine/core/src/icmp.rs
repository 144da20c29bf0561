//! What this host's kernel is told about packets of its own: destination unreachable, when no peer takes one (RFC 792,
//! RFC 4443 section 3.1), and packet too big, in place of a router whose message is filtered (RFC 4443 section 3.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};

use crate::checksum::Sum;
use crate::packet::{ICMP, ICMPV6, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, IpHeader, is_link_scoped};

const HOP_LIMIT: u8 = 64;
const ICMP_HEADER_BYTES: usize = 8;
/// RFC 1812 section 4.3.2.3.
const MAX_V4_BYTES: usize = 576;
/// RFC 4443 section 2.4 (c).
const MAX_V6_BYTES: usize = 1280;
const HOST_UNREACHABLE: [u8; 2] = [3, 1];
const ADDRESS_UNREACHABLE: [u8; 2] = [1, 3];
const PACKET_TOO_BIG: [u8; 2] = [2, 0];
/// What every link carries (RFC 8200 section 5).
const MIN_V6_LINK_BYTES: u16 = 1280;
const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;

/// The answer to `packet`, or None where RFC 1122 section 3.2.2 and RFC 4443 section 2.4 (e) allow none.
///
/// It comes from the address that was not reached: this host's own address as a source would be
/// dropped by its kernel.
pub fn unreachable(packet: &[u8]) -> Option<Vec<u8>> {
    let ip = IpHeader::parse(packet)?;
    if ip.is_fragment || is_link_scoped(ip.destination) || is_error(&ip, packet) {
        return None;
    }
    match (ip.destination, ip.source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let quoted = &packet[..ip.total_bytes.min(MAX_V4_BYTES - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES)];
            let mut answer = vec![0; IPV4_HEADER_BYTES];
            answer[0] = 0x45;
            answer[8] = HOP_LIMIT;
            answer[9] = ICMP;
            answer[12..16].copy_from_slice(&from.octets());
            answer[16..20].copy_from_slice(&to.octets());
            append_icmp(&mut answer, HOST_UNREACHABLE, 0, quoted, Sum::default());
            let total_bytes = answer.len() as u16;
            crate::segment::set_ipv4_length(&mut answer, total_bytes);
            Some(answer)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let quoted = &packet[..ip.total_bytes.min(MAX_V6_BYTES - IPV6_HEADER_BYTES - ICMP_HEADER_BYTES)];
            Some(icmp_v6(from, to, ADDRESS_UNREACHABLE, 0, quoted))
        }
        _ => None,
    }
}

/// That a datagram of `bytes` between the two, of which only the headers are quoted, was too long for a link of 1,280
/// bytes. `router`: whom it comes from.
pub fn too_big(router: Ipv6Addr, source: SocketAddrV6, destination: SocketAddrV6, bytes: u16) -> Vec<u8> {
    let length = UDP_HEADER_BYTES as u16 + bytes;
    let mut quoted = ipv6_header(*source.ip(), *destination.ip(), UDP, length);
    for word in [source.port(), destination.port(), length, 0] {
        quoted.extend_from_slice(&word.to_be_bytes());
    }
    icmp_v6(router, *source.ip(), PACKET_TOO_BIG, MIN_V6_LINK_BYTES.into(), &quoted)
}

fn icmp_v6(from: Ipv6Addr, to: Ipv6Addr, type_and_code: [u8; 2], word: u32, quoted: &[u8]) -> Vec<u8> {
    let payload = (ICMP_HEADER_BYTES + quoted.len()) as u16;
    let mut answer = ipv6_header(from, to, ICMPV6, payload);
    let pseudo = Sum::pseudo_header(from.into(), to.into(), ICMPV6, payload);
    append_icmp(&mut answer, type_and_code, word, quoted, pseudo);
    answer
}

fn ipv6_header(from: Ipv6Addr, to: Ipv6Addr, carries: u8, payload: u16) -> Vec<u8> {
    let mut header = vec![0; IPV6_HEADER_BYTES];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&payload.to_be_bytes());
    header[6] = carries;
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&from.octets());
    header[24..40].copy_from_slice(&to.octets());
    header
}

/// `word`: the last four bytes of the header.
fn append_icmp(answer: &mut Vec<u8>, type_and_code: [u8; 2], word: u32, quoted: &[u8], pseudo: Sum) {
    let at = answer.len();
    answer.extend_from_slice(&type_and_code);
    answer.extend_from_slice(&[0; 2]);
    answer.extend_from_slice(&word.to_be_bytes());
    answer.extend_from_slice(quoted);
    let sum = pseudo.bytes(&answer[at..]).complement();
    answer[at + 2..at + 4].copy_from_slice(&sum);
}

fn is_error(ip: &IpHeader, packet: &[u8]) -> bool {
    let kind = packet.get(ip.header_bytes).copied().unwrap_or(0);
    match ip.protocol {
        // Anything but the query messages.
        ICMP => !matches!(kind, 0 | 8 | 13 | 14),
        ICMPV6 => kind < 128,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo_v4() -> Vec<u8> {
        let mut packet = vec![0; 28];
        packet[0] = 0x45;
        packet[9] = ICMP;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
        packet[20] = 8;
        crate::segment::set_ipv4_length(&mut packet, 28);
        packet
    }

    fn udp_v6(payload: usize) -> Vec<u8> {
        let mut packet = vec![0; 48 + payload];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(8 + payload as u16).to_be_bytes());
        packet[6] = 17;
        packet[8] = 0xfd;
        packet[23] = 1;
        packet[24] = 0xfd;
        packet[39] = 2;
        packet
    }

    #[test]
    fn an_ipv4_packet_is_answered_with_host_unreachable_and_quoted() {
        let answer = unreachable(&echo_v4()).unwrap();
        let ip = IpHeader::parse(&answer).unwrap();
        assert_eq!(ip.total_bytes, answer.len());
        assert_eq!(ip.source, IpAddr::from([10, 0, 0, 2]));
        assert_eq!(ip.destination, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(answer[20..22], HOST_UNREACHABLE);
        assert_eq!(answer[28..], echo_v4());
        assert_eq!(Sum::default().bytes(&answer[..20]).complement(), [0, 0]);
        assert_eq!(Sum::default().bytes(&answer[20..]).complement(), [0, 0]);
    }

    #[test]
    fn an_ipv6_answer_has_a_right_checksum_and_fits_the_least_mtu() {
        for payload in [0, 1, 500, 3000] {
            let answer = unreachable(&udp_v6(payload)).unwrap();
            let ip = IpHeader::parse(&answer).unwrap();
            assert!(answer.len() <= MAX_V6_BYTES);
            assert_eq!(answer[40..42], ADDRESS_UNREACHABLE);
            let sum = Sum::pseudo_header(ip.source, ip.destination, ICMPV6, (answer.len() - 40) as u16);
            assert_eq!(sum.bytes(&answer[40..]).complement(), [0, 0]);
        }
    }

    #[test]
    fn a_packet_too_big_quotes_the_headers_of_the_datagram_that_was() {
        let router = Ipv6Addr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        let (own, peer) = ("[2001:db8::1]:41641".parse().unwrap(), "[2001:db8::2]:7".parse().unwrap());
        let told = too_big(router, own, peer, 1312);
        let (outer, quoted) = (IpHeader::parse(&told).unwrap(), &told[48..]);
        assert_eq!((outer.source, outer.destination), (router.into(), IpAddr::V6(*own.ip())));
        assert_eq!(told[40..42], PACKET_TOO_BIG);
        assert_eq!(told[44..48], 1280u32.to_be_bytes());
        let sum = Sum::pseudo_header(outer.source, outer.destination, ICMPV6, (told.len() - 40) as u16);
        assert_eq!(sum.bytes(&told[40..]).complement(), [0, 0]);
        assert_eq!(quoted[4..7], [(1320u16 >> 8) as u8, 1320u16 as u8, UDP]);
        assert_eq!(quoted[8..24], own.ip().octets());
        assert_eq!(quoted[24..40], peer.ip().octets());
        assert_eq!(quoted[40..46], [0xa2, 0xa9, 0, 7, 0x05, 0x28]);
    }

    #[test]
    fn an_error_is_never_answered_with_an_error() {
        assert_eq!(unreachable(&unreachable(&echo_v4()).unwrap()), None);
        assert_eq!(unreachable(&unreachable(&udp_v6(9)).unwrap()), None);
    }
}
