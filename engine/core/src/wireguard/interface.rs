use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::limiter::Limiter;
use super::mac::CookieJar;
use super::message::{self, Message};
use super::noise::{KeyPair, MESSAGE1_BYTES, MESSAGE2_BYTES, Responder, Stamp};
use super::random::Random;
use super::{Index, PublicKey, Secret};
use crate::drops::DropReason;

/// TAI64 (cr.yp.to/libtai/tai64.html): seconds begin at 2^62, and were 10 ahead of UTC in 1970.
const TAI_EPOCH: u64 = (1 << 62) + 10;
/// Stamps are this coarse (as the kernel's), so that they do not tell the clock exactly: 17 ms.
const STAMP_STEP_NANOS: u32 = 1 << 24;
const MAX_JITTER_MS: u64 = 333;

/// This host's static key, the handshake rate limit and the cookies.
pub struct Interface {
    pub(super) keys: KeyPair,
    random: Random,
    cookies: CookieJar,
    limiter: Limiter,
    started_at: Instant,
    started_unix: Duration,
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interface").field(&self.public_key()).finish()
    }
}

/// A datagram that passed the checks that need no peer.
#[derive(Debug)]
pub enum Received {
    /// To be sent back to where it came from.
    CookieReply(Vec<u8>),
    Initiation(PublicKey, Box<Initiation>),
    Response(Index, Response),
    Cookie(Index, Cookie),
    Data(Index, u64),
}

/// Shows who sent it, if its stamp is new.
pub struct Initiation {
    pub(super) noise: Responder,
    /// From which it was read, to be read again.
    pub(super) message: [u8; MESSAGE1_BYTES],
    pub(super) stamp: Stamp,
    pub(super) sender: Index,
    pub(super) received_at: Instant,
}

/// An initiation that was answered.
pub(super) struct Asked {
    pub(super) message: [u8; MESSAGE1_BYTES],
    pub(super) sender: Index,
    pub(super) received_at: Instant,
}

impl Initiation {
    pub fn received_at(&self) -> Instant {
        self.received_at
    }

    /// Whether it was made after `other`, if both are of the same peer.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.stamp > other.stamp
    }
}

impl fmt::Debug for Initiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiation").field("sender", &self.sender).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct Response {
    pub(super) noise: [u8; MESSAGE2_BYTES],
    pub(super) sender: Index,
}

#[derive(Debug)]
pub struct Cookie {
    pub(super) nonce: [u8; 24],
    pub(super) sealed: [u8; 32],
}

/// What a handshake needs of chance: an index that is not in use, and the seed of the ephemeral key.
pub struct Draw {
    pub(super) index: Index,
    pub(super) seed: Secret,
    pub(super) jitter: Duration,
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draw").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Interface {
    /// `seed` is fresh randomness; `unix` is the wall clock at `now`, for the stamps of handshakes.
    pub fn new(private_key: &Secret, seed: Secret, now: Instant, unix: Duration) -> Self {
        let keys = KeyPair::new(private_key.clone());
        let mut random = Random::new(seed);
        let cookies = CookieJar::new(&keys.public, random.secret(), now);
        let limiter = Limiter::new(now);
        Self { keys, random, cookies, limiter, started_at: now, started_unix: unix }
    }

    pub fn public_key(&self) -> PublicKey {
        self.keys.public
    }

    pub fn draw(&mut self, is_taken: impl Fn(Index) -> bool) -> Draw {
        let mut chance = self.random.secret();
        loop {
            let [a, b, c, d, e, f, ..] = *chance;
            let index = Index(u32::from_le_bytes([a, b, c, d]));
            if !is_taken(index) {
                let jitter = u64::from(u16::from_le_bytes([e, f])) % (MAX_JITTER_MS + 1);
                return Draw { index, seed: self.random.secret(), jitter: Duration::from_millis(jitter) };
            }
            chance = self.random.secret();
        }
    }

    pub fn receive(
        &mut self,
        source: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Result<Received, DropReason> {
        match Message::parse(datagram).ok_or(DropReason::WireguardRefused)? {
            Message::Data { receiver, counter } => Ok(Received::Data(receiver, counter)),
            Message::Cookie { receiver, nonce, sealed } => {
                Ok(Received::Cookie(receiver, Cookie { nonce: *nonce, sealed: *sealed }))
            }
            Message::Initiation { sender, noise } => {
                if let Some(reply) = self.check_macs(source, datagram, sender, now)? {
                    return Ok(Received::CookieReply(reply));
                }
                let (peer, initiation) = self.read_initiation(noise, sender, now)?;
                Ok(Received::Initiation(peer, Box::new(initiation)))
            }
            Message::Response { sender, receiver, noise } => {
                if let Some(reply) = self.check_macs(source, datagram, sender, now)? {
                    return Ok(Received::CookieReply(reply));
                }
                Ok(Received::Response(receiver, Response { noise: *noise, sender }))
            }
        }
    }

    /// Reads what was answered already, to be answered once more with another PSK.
    pub(super) fn read_again(&mut self, asked: &Asked) -> Option<Initiation> {
        let Asked { message, sender, received_at } = asked;
        self.read_initiation(message, *sender, *received_at).ok().map(|(_, initiation)| initiation)
    }

    fn read_initiation(
        &mut self,
        message: &[u8; MESSAGE1_BYTES],
        sender: Index,
        received_at: Instant,
    ) -> Result<(PublicKey, Initiation), DropReason> {
        let (noise, peer, stamp) = Responder::begin(&self.keys, self.random.secret(), message)
            .map_err(|_| DropReason::WireguardRefused)?;
        Ok((peer, Initiation { noise, message: *message, stamp, sender, received_at }))
    }

    /// A stamp greater than `last`, which is the one before to the same peer.
    pub(super) fn stamp(&self, last: &Stamp, now: Instant) -> Stamp {
        let unix = self.started_unix + now.duration_since(self.started_at);
        let nanos = unix.subsec_nanos() / STAMP_STEP_NANOS * STAMP_STEP_NANOS;
        let stamp = (u128::from(unix.as_secs() + TAI_EPOCH) << 32) | u128::from(nanos);
        let mut wide = [0; 16];
        wide[4..].copy_from_slice(last);
        let stamp = stamp.max(u128::from_be_bytes(wide) + 1).to_be_bytes();
        std::array::from_fn(|at| stamp[at + 4])
    }

    /// A cookie reply, if the sender must prove its address first.
    fn check_macs(
        &mut self,
        source: SocketAddr,
        datagram: &[u8],
        sender: Index,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, DropReason> {
        if !self.cookies.has_mac1(datagram) {
            return Err(DropReason::WireguardRefused);
        }
        if !self.limiter.is_under_load(now) {
            return Ok(None);
        }
        if self.cookies.has_mac2(datagram, source, self.random.secret(), now) {
            return match self.limiter.allows(source.ip(), now) {
                true => Ok(None),
                false => Err(DropReason::WireguardRefused),
            };
        }
        let chance = self.random.secret();
        let nonce = chance.first_chunk().ok_or(DropReason::WireguardRefused)?;
        let sealed = self.cookies.seal_cookie(datagram, source, nonce).ok_or(DropReason::WireguardRefused)?;
        Ok(Some(message::cookie(sender, nonce, &sealed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(now: Instant, unix: Duration) -> Interface {
        Interface::new(&Secret::new([1; 32]), Secret::new([2; 32]), now, unix)
    }

    #[test]
    fn stamps_grow_even_when_the_clock_does_not() {
        let now = Instant::now();
        let interface = interface(now, Duration::from_secs(1_700_000_000));
        let mut last = [0; 12];
        for _ in 0..5 {
            let stamp = interface.stamp(&last, now);
            assert!(stamp > last);
            last = stamp;
        }
        assert!(interface.stamp(&last, now + Duration::from_millis(20)) > last);
        assert_eq!(last[..8], ((1_u64 << 62) + 10 + 1_700_000_000).to_be_bytes());
    }

    #[test]
    fn a_draw_never_takes_an_index_in_use() {
        let now = Instant::now();
        let first = interface(now, Duration::ZERO).draw(|_| false).index;
        assert_eq!(interface(now, Duration::ZERO).draw(|_| false).index, first);
        assert_ne!(interface(now, Duration::ZERO).draw(|index| index == first).index, first);
    }
}
