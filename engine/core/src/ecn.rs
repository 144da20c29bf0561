//! Explicit congestion notification across the tunnel (RFC 6040).
//!
//! On the way out the outer header carries the inner packet's traffic class as it is: its ECN field, which is the
//! normal mode of section 4.1, and its DSCP (the uniform model of RFC 2983). On the way in what the path did to the
//! outer ECN field is told to the inner packet, as section 4.2 says; its DSCP stays as it was sealed.

use crate::checksum::Sum;
use crate::drops::DropReason;
use crate::packet::IPV4_HEADER_BYTES;

const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;
const ECN_BITS: u8 = 0b11;

/// No IP packet is shorter, of either version.
type Header = [u8; IPV4_HEADER_BYTES];

/// As [`crate::packet::IpHeader`] has it, without the rest.
fn traffic_class(header: &Header) -> u8 {
    if header[0] >> 4 == 4 { header[1] } else { header[0] << 4 | header[1] >> 4 }
}

/// Tells an opened IP packet what the path did to the traffic class of the datagram that it came in. An error: the
/// packet must not pass, because its sender would never learn of the congestion.
pub fn decapsulate(outer_class: u8, packet: &mut [u8]) -> Result<(), DropReason> {
    // As almost every packet comes.
    if outer_class & ECN_BITS == 0 {
        return Ok(());
    }
    let header = packet.first_chunk_mut().ok_or(DropReason::MalformedPacket)?;
    let inner = traffic_class(header);
    let ecn = combine(inner & ECN_BITS, outer_class & ECN_BITS).ok_or(DropReason::Congestion)?;
    if ecn != inner & ECN_BITS {
        set_traffic_class(header, inner & !ECN_BITS | ecn);
    }
    Ok(())
}

/// Figure 4 of the RFC.
fn combine(inner: u8, outer: u8) -> Option<u8> {
    match (inner, outer) {
        (0, CE) => None,
        (0, _) | (CE, _) => Some(inner),
        (_, CE) => Some(CE),
        (ECT_0, ECT_1) => Some(ECT_1),
        _ => Some(inner),
    }
}

fn set_traffic_class(header: &mut Header, class: u8) {
    if header[0] >> 4 == 4 {
        let before = [header[0], header[1]];
        header[1] = class;
        correct_checksum(header, before);
    } else {
        header[0] = header[0] & 0xf0 | class >> 4;
        header[1] = class << 4 | header[1] & 0x0f;
    }
}

/// RFC 1624, equation 3. A checksum that was wrong stays wrong.
fn correct_checksum(header: &mut Header, before: [u8; 2]) {
    let not = |word: [u8; 2]| word.map(|byte| !byte);
    let checksum = [header[10], header[11]];
    let sum = Sum::default().bytes(&not(checksum)).bytes(&not(before)).bytes(&header[..2]);
    header[10..12].copy_from_slice(&sum.complement());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows: inner Not-ECT, ECT(0), ECT(1), CE. Columns: outer, in the same order.
    const FIGURE_4: [[Option<u8>; 4]; 4] = [
        [Some(0), Some(0), Some(0), None],
        [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)],
        [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)],
        [Some(CE), Some(CE), Some(CE), Some(CE)],
    ];
    const ORDER: [u8; 4] = [0, ECT_0, ECT_1, CE];

    fn packet(is_v6: bool, class: u8) -> Vec<u8> {
        let mut packet = vec![0; 60];
        if is_v6 {
            packet[0] = 0x60 | class >> 4;
            packet[1] = class << 4 | 0x0a;
            packet[2..4].copy_from_slice(&[0xbc, 0xde]);
        } else {
            (packet[0], packet[1], packet[8]) = (0x45, class, 64);
            crate::segment::set_ipv4_length(&mut packet, 60);
        }
        packet
    }

    #[test]
    fn inner_and_outer_are_combined_as_in_figure_4_of_the_rfc() {
        for is_v6 in [false, true] {
            for (row, inner) in ORDER.into_iter().enumerate() {
                for (column, outer) in ORDER.into_iter().enumerate() {
                    for dscp in [0, 0b1011_1000, 0b1111_1100] {
                        let mut arrived = packet(is_v6, dscp | inner);
                        let passed = decapsulate(0b0101_0100 | outer, &mut arrived);
                        match FIGURE_4[row][column] {
                            Some(ecn) => assert_eq!((passed, arrived), (Ok(()), packet(is_v6, dscp | ecn))),
                            None => assert_eq!(passed, Err(DropReason::Congestion)),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_header_checksum_is_not_laundered() {
        let mut arrived = packet(false, ECT_0);
        arrived[10] ^= 0x40;
        assert_eq!(decapsulate(CE, &mut arrived), Ok(()));
        assert_ne!(Sum::default().bytes(&arrived[..20]).complement(), [0, 0]);
    }

    proptest! {
        #[test]
        fn the_header_checksum_stays_right(
            mut header in any::<[u8; 20]>(), outer in any::<u8>(), inner in prop::sample::select(vec![ECT_0, ECT_1]),
        ) {
            header[0] = 0x45;
            header[1] = header[1] & !ECN_BITS | inner;
            crate::segment::set_ipv4_length(&mut header, 20);
            prop_assert_eq!(decapsulate(outer, &mut header), Ok(()));
            prop_assert_eq!(Sum::default().bytes(&header).complement(), [0, 0]);
        }

        #[test]
        fn whatever_is_opened_never_panics(mut packet in prop::collection::vec(any::<u8>(), 0..30), outer in any::<u8>()) {
            let _ = decapsulate(outer, &mut packet);
        }
    }
}
