//! Packets that wait: for a peer to be added, or for a peer's handshake.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Enough for the first flight of a few connections; 64 packets of 1,280 bytes are 80 KB.
pub const MAX_HELD: usize = 64;
/// A look-up and a handshake over a bad path take less; an application's own retries take over after it.
pub const HOLD_TIME: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub struct Hold(VecDeque<(Instant, Vec<u8>)>);

impl Hold {
    /// Gives the oldest back when it is full.
    pub fn push(&mut self, packet: Vec<u8>, now: Instant) -> Option<Vec<u8>> {
        let oldest = if self.0.len() == MAX_HELD { self.0.pop_front() } else { None };
        self.0.push_back((now, packet));
        oldest.map(|(_, packet)| packet)
    }

    /// The oldest packet, if its time is over.
    pub fn pop_expired(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next_timeout()? {
            return None;
        }
        self.pop()
    }

    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.0.pop_front().map(|(_, packet)| packet)
    }

    /// Takes out all that `wanted` says yes to, oldest first.
    pub fn take(&mut self, mut wanted: impl FnMut(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            self.0.drain(..).partition(|(_, packet)| wanted(packet));
        self.0 = left;
        taken.into_iter().map(|(_, packet)| packet).collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.0.front().map(|(since, _)| *since + HOLD_TIME)
    }
}
