//! The half of the sessions with a peer that sends. It takes no lock: one thread may seal while another one
//! replaces the keys.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::cipher::{Cipher, Key, Usage};
use super::message::data_header;
use super::timers::REJECT_AFTER_TIME;
use super::{HEADER_BYTES, Index, PADDING, Secret, TAG_BYTES};

/// One session's key to send with.
pub(super) struct SendKey {
    cipher: Cipher,
    key: Key,
    /// The peer's index.
    index: Index,
    made_at: Instant,
    used: Usage,
}

impl SendKey {
    pub(super) fn new(cipher: Cipher, key: &Secret, index: Index, now: Instant) -> Self {
        Self { cipher, key: Key::new(cipher, key), index, made_at: now, used: Usage::default() }
    }

    /// Reserves counters for that many packets; None when the key is too old or has sealed too much.
    pub(super) fn seal(
        self: &Arc<Self>,
        packets: usize,
        bytes: usize,
        mtu: usize,
        now: Instant,
    ) -> Option<Seals> {
        if now.duration_since(self.made_at) >= REJECT_AFTER_TIME {
            return None;
        }
        let counters = self.used.reserve(self.cipher, packets as u64, bytes as u64)?;
        Some(Seals { key: Arc::clone(self), counters, mtu })
    }

    pub(super) fn wants_rekey(&self) -> bool {
        self.used.wants_rekey(self.cipher)
    }
}

/// What sends data to one peer: the key in use, and what the timers will want to know of it.
pub struct SendHalf {
    key: ArcSwapOption<SendKey>,
    created_at: Instant,
    /// When data was sent that the timers do not know of yet, as nanoseconds after `created_at`, and one more.
    /// Zero: there is none.
    first_sent: AtomicU64,
    last_sent: AtomicU64,
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHalf").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

impl SendHalf {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            key: ArcSwapOption::empty(),
            created_at: now,
            first_sent: AtomicU64::new(0),
            last_sent: AtomicU64::new(0),
        }
    }

    /// Counters for that many packets; None when there is no session to send with.
    pub fn seal(&self, packets: usize, bytes: usize, mtu: usize, now: Instant) -> Option<Seals> {
        let seals = self.key.load().as_ref()?.seal(packets, bytes, mtu, now)?;
        let at = now.saturating_duration_since(self.created_at).as_nanos() as u64 + 1;
        self.last_sent.store(at, Relaxed);
        if self.first_sent.load(Relaxed) == 0 {
            self.first_sent.store(at, Release);
        }
        Some(seals)
    }

    /// Whoever seals from now on does it with this key.
    pub(super) fn replace(&self, key: Option<Arc<SendKey>>) {
        self.key.store(key);
    }

    /// When the first and the last data was sent since the last call.
    pub(super) fn take_sent(&self) -> Option<(Instant, Instant)> {
        // Most calls find nothing; a look leaves the cache line to whoever sends.
        if self.first_sent.load(Relaxed) == 0 {
            return None;
        }
        let instant = |nanos: u64| self.created_at + Duration::from_nanos(nanos - 1);
        let first = self.first_sent.swap(0, Acquire);
        Some((instant(first), instant(self.last_sent.load(Relaxed).max(first))))
    }
}

/// A key with the counters that were reserved for a batch of packets.
pub struct Seals {
    key: Arc<SendKey>,
    counters: std::ops::Range<u64>,
    mtu: usize,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("index", &self.key.index).field("counters", &self.counters).finish()
    }
}

impl PartialEq for Seals {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.key, &other.key) && self.counters == other.counters
    }
}

impl Eq for Seals {}

impl Seals {
    /// Seals one packet. Length of the datagram, which begins at the start of `datagram`; None when there is no
    /// room, or more packets than were reserved.
    pub fn seal(&mut self, packet: &[u8], datagram: &mut [u8]) -> Option<usize> {
        let padded = packet.len().next_multiple_of(PADDING).min(self.mtu.max(packet.len()));
        let total = HEADER_BYTES + padded + TAG_BYTES;
        let datagram = datagram.get_mut(..total)?;
        let counter = self.counters.next()?;
        let (header, rest) = datagram.split_at_mut(HEADER_BYTES);
        let (body, tag) = rest.split_at_mut(padded);
        header.copy_from_slice(&data_header(self.key.index, counter));
        body[..packet.len()].copy_from_slice(packet);
        body[packet.len()..].fill(0);
        tag.copy_from_slice(&self.key.key.seal(counter, body)?);
        Some(total)
    }
}
