//! The ciphers of transport data, and for how long one key of each may be used.

use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

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

/// How much one key has sealed. Several threads may reserve at once: no counter is given out twice, and no
/// limit is exceeded.
#[derive(Debug, Default)]
pub(super) struct Usage {
    packets: AtomicU64,
    blocks: AtomicU64,
}

impl Usage {
    /// Counters for that many packets of `bytes` bytes together; None when the key may not seal as much.
    pub(super) fn reserve(&self, cipher: Cipher, packets: u64, bytes: u64) -> Option<Range<u64>> {
        if let Some(limits) = cipher.block_limits() {
            // Each packet may end in a part of a block, and has one more for its length.
            let blocks = packets.saturating_mul(2).saturating_add(bytes / BLOCK_BYTES);
            add_up_to(limits.reject_after, &self.blocks, blocks)?;
        }
        let first = add_up_to(REJECT_AFTER_MESSAGES, &self.packets, packets)?;
        Some(first..first + packets)
    }

    pub(super) fn wants_rekey(&self, cipher: Cipher) -> bool {
        let has_many = |limits: BlockLimits| self.blocks.load(Relaxed) >= limits.rekey_after;
        self.packets.load(Relaxed) >= REKEY_AFTER_MESSAGES || cipher.block_limits().is_some_and(has_many)
    }
}

/// What it was before. Nothing is added over the limit, so it cannot wrap however often it is asked for.
fn add_up_to(limit: u64, used: &AtomicU64, more: u64) -> Option<u64> {
    let add = |used: u64| used.checked_add(more).filter(|sum| *sum <= limit);
    used.fetch_update(Relaxed, Relaxed, add).ok()
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

    fn block_limits(self) -> Option<BlockLimits> {
        let aes = BlockLimits { rekey_after: AES_REKEY_AFTER_BLOCKS, reject_after: AES_REJECT_AFTER_BLOCKS };
        (self == Self::Aes256Gcm).then_some(aes)
    }
}

/// How many blocks one key may seal.
struct BlockLimits {
    rekey_after: u64,
    reject_after: u64,
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
    use std::sync::Barrier;

    #[test]
    fn aes_asks_for_a_new_key_before_it_refuses_and_counts_bytes() {
        let aes = Usage::default();
        assert_eq!(aes.reserve(Cipher::Aes256Gcm, 0, 255 << 30), Some(0..0));
        assert!(!aes.wants_rekey(Cipher::Aes256Gcm));
        assert!(aes.reserve(Cipher::Aes256Gcm, 0, 1 << 30).is_some());
        assert!(aes.wants_rekey(Cipher::Aes256Gcm));
        assert!(aes.reserve(Cipher::Aes256Gcm, 0, 106 << 30).is_some());
        assert!(aes.reserve(Cipher::Aes256Gcm, 0, 1 << 30).is_none());
        assert!(aes.reserve(Cipher::Aes256Gcm, 1, 1_280).is_some(), "what was refused is not counted");
        let chacha = Usage::default();
        assert!(chacha.reserve(Cipher::ChaCha20Poly1305, 0, 363 << 30).is_some());
        assert!(!chacha.wants_rekey(Cipher::ChaCha20Poly1305));
    }

    #[test]
    fn every_cipher_ends_before_its_counter_does_and_stays_ended() {
        for cipher in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
            let used = |packets| Usage { packets: AtomicU64::new(packets), blocks: AtomicU64::new(0) };
            assert!(!used((1 << 60) - 1).wants_rekey(cipher));
            assert!(used(1 << 60).wants_rekey(cipher));
            let last = u64::MAX - 8193;
            let usage = used(last);
            assert_eq!(usage.reserve(cipher, 1, 0), Some(last..last + 1));
            for _ in 0..10_000 {
                assert_eq!(usage.reserve(cipher, 1, 0), None);
            }
        }
    }

    #[test]
    fn threads_that_reserve_at_once_never_get_the_same_counter_or_more_than_the_key_allows() {
        const LEFT: u64 = 1_000_000;
        let usage =
            Usage { packets: AtomicU64::new(REJECT_AFTER_MESSAGES - LEFT), blocks: AtomicU64::new(0) };
        let start = Barrier::new(2);
        let reserve_all = || -> Vec<Range<u64>> {
            start.wait();
            let reserve = |packets| usage.reserve(Cipher::default(), packets, 0);
            std::iter::from_fn(|| reserve(7).or_else(|| reserve(1))).collect()
        };
        let mut given: Vec<Range<u64>> = std::thread::scope(|scope| {
            let threads = [scope.spawn(reserve_all), scope.spawn(reserve_all)];
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        given.sort_by_key(|range| range.start);
        assert_eq!(given.first().map(|range| range.start), Some(REJECT_AFTER_MESSAGES - LEFT));
        assert_eq!(given.last().map(|range| range.end), Some(REJECT_AFTER_MESSAGES));
        assert!(given.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}
