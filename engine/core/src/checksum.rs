//! The Internet checksum (RFC 1071), as partial sums that can be added up before they are folded.
//!
//! Sums are over 16-bit words in memory order: RFC 1071 section 2 (B) shows that the byte order of the
//! machine does not matter as long as the result is stored in the same order.

use std::net::IpAddr;

/// A sum that is neither folded nor complemented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes that begin at an even offset of what is summed; an odd length pads with zero.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut lanes = [self.0, 0, 0, 0];
        let mut blocks = bytes.chunks_exact(16);
        for block in &mut blocks {
            for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(4)) {
                *lane += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
            }
        }
        let mut sum: u64 = lanes.iter().sum();
        let mut words = blocks.remainder().chunks_exact(2);
        for word in &mut words {
            sum += u64::from(u16::from_ne_bytes([word[0], word[1]]));
        }
        if let [last] = words.remainder() {
            sum += u64::from(u16::from_ne_bytes([*last, 0]));
        }
        Self(sum)
    }

    pub fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word.to_be()))
    }

    /// The pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1. The upper half of the IPv6
    /// length is left out: no packet here is longer than 65,535 bytes.
    pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u16) -> Self {
        let sum = Self::default().word(u16::from(protocol)).word(length);
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                sum.bytes(&source.octets()).bytes(&destination.octets())
            }
            (source, destination) => sum.bytes(&v6(source)).bytes(&v6(destination)),
        }
    }

    /// Folded and not complemented, in network order: what a partial checksum field holds.
    pub fn folded(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        (sum as u16).to_ne_bytes()
    }

    /// Folded and complemented, in network order: what a complete checksum field holds.
    pub fn complement(self) -> [u8; 2] {
        self.folded().map(|byte| !byte)
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_the_book(bytes: &[u8]) -> [u8; 2] {
        let mut sum: u32 = 0;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }

    proptest! {
        #[test]
        fn it_equals_the_plain_algorithm(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let ours = Sum::default().bytes(&bytes).complement();
            let want = by_the_book(&bytes);
            // 0x0000 and 0xffff are the same number in ones' complement.
            prop_assert!(ours == want || (bytes.iter().all(|&b| b == 0) && ours == [0xff, 0xff]));
        }

        #[test]
        fn it_may_be_summed_in_parts(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..150) {
            let at = (at * 2).min(bytes.len() & !1);
            let whole = Sum::default().bytes(&bytes).folded();
            let parts = Sum::default().bytes(&bytes[..at]).bytes(&bytes[at..]).folded();
            prop_assert_eq!(whole, parts);
        }
    }
}
