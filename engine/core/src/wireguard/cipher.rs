//! The ciphers of transport data, and for how long one key of each may be used.

use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::{Secret, TAG_BYTES};

/// WireGuard's own limits (the paper, section 6.1, and the kernel's noise.h). RFC 8446, section 5.5, has none
/// for ChaCha20-Poly1305: the counter would wrap first.
const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
const REJECT_AFTER_MESSAGES: u64 = u64::MAX - 8192;

/// RFC 8446, section 5.5: at most 2^24.5 full-size records under one AES-GCM key, for a safety margin of
/// 2^-57. A full record has 2^14 bytes, which are 2^10 blocks, so that is 2^34.5 blocks, about 388 GB. Packets
/// have any size, therefore blocks are counted; a new key is asked for at 2^34.
const AES_REKEY_AFTER_BLOCKS: u64 = 1 << 34;
const AES_REJECT_AFTER_BLOCKS: u64 = 24_296_004_000;
const BLOCK_BYTES: u64 = 16;

/// What seals transport data between two peers. The handshake is the same for both, and says nothing of it:
/// the two must have agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cipher {
    /// WireGuard's.
    #[default]
    ChaCha20Poly1305,
    /// Between own nodes whose processors have AES instructions: a quarter of the time.
    Aes256Gcm,
}

/// How much one key has sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) packets: u64,
    pub(super) blocks: u64,
}

impl Usage {
    pub(super) fn plus(self, packets: u64, bytes: u64) -> Self {
        // Each packet may end in a part of a block, and has one more for its length.
        let blocks = bytes / BLOCK_BYTES + 2 * packets;
        Self { packets: self.packets.saturating_add(packets), blocks: self.blocks.saturating_add(blocks) }
    }
}

impl Cipher {
    /// Whether this processor has instructions for AES; without them ChaCha20-Poly1305 is faster.
    pub fn has_aes_instructions() -> bool {
        #[cfg(target_arch = "x86_64")]
        return std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        return std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        false
    }

    pub(super) fn wants_rekey(self, usage: Usage) -> bool {
        let is_aes = self == Self::Aes256Gcm;
        usage.packets >= REKEY_AFTER_MESSAGES || is_aes && usage.blocks >= AES_REKEY_AFTER_BLOCKS
    }

    pub(super) fn allows(self, usage: Usage) -> bool {
        let is_aes = self == Self::Aes256Gcm;
        usage.packets <= REJECT_AFTER_MESSAGES && !(is_aes && usage.blocks > AES_REJECT_AFTER_BLOCKS)
    }
}

/// One direction's key. Sealing and opening take their counter from outside.
pub(super) struct Key(LessSafeKey);

impl Key {
    pub(super) fn new(cipher: Cipher, key: &Secret) -> Self {
        let algorithm = match cipher {
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Cipher::Aes256Gcm => &AES_256_GCM,
        };
        Self(LessSafeKey::new(UnboundKey::new(algorithm, &key[..]).expect("both take 32 bytes")))
    }

    /// None for what is longer than any packet.
    pub(super) fn seal(&self, counter: u64, packet: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let tag = self.0.seal_in_place_separate_tag(nonce(counter), Aad::empty(), packet).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Length of the packet, which then begins where its ciphertext did; None when it is not authentic.
    pub(super) fn open(&self, counter: u64, sealed: &mut [u8]) -> Option<usize> {
        self.0.open_in_place(nonce(counter), Aad::empty(), sealed).ok().map(|packet| packet.len())
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_asks_for_a_new_key_before_it_refuses_and_counts_bytes() {
        let gigabytes = |number: u64| Usage::default().plus(0, number << 30);
        assert!(!Cipher::Aes256Gcm.wants_rekey(gigabytes(255)));
        assert!(Cipher::Aes256Gcm.wants_rekey(gigabytes(256)));
        assert!(Cipher::Aes256Gcm.allows(gigabytes(362)));
        assert!(!Cipher::Aes256Gcm.allows(gigabytes(363)));
        assert!(!Cipher::ChaCha20Poly1305.wants_rekey(gigabytes(363)));
    }

    #[test]
    fn every_cipher_ends_before_its_counter_does() {
        for cipher in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
            let used = |packets| Usage { packets, blocks: 0 };
            assert!(!cipher.wants_rekey(used((1 << 60) - 1)));
            assert!(cipher.wants_rekey(used(1 << 60)));
            assert!(cipher.allows(used(u64::MAX - 8192)));
            assert!(!cipher.allows(used(u64::MAX - 8191)));
        }
    }
}
