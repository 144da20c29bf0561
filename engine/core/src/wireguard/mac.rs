//! mac1, mac2 and cookies (the paper, sections 5.3 and 5.4.7).
//!
//! mac1 shows that the sender knows our public key. Under load a sender must also show, by mac2, that it
//! receives at the address it sends from: we answer with a cookie, of which we keep no state.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use subtle::ConstantTimeEq;

use super::blake::{hash, mac16};
use super::{PublicKey, Secret};

/// How long a cookie is good: the secret behind it is changed this often.
pub(super) const COOKIE_TIME: Duration = Duration::from_secs(120);
/// A cookie that was on the way is used for this much less.
const COOKIE_LATENCY: Duration = Duration::from_secs(5);

pub(crate) const MAC_BYTES: usize = 16;
pub(crate) type Mac = [u8; MAC_BYTES];

/// Of the one who receives.
struct MacKeys {
    mac1: [u8; 32],
    cookie: [u8; 32],
}

impl MacKeys {
    fn new(receiver: &PublicKey) -> Self {
        Self { mac1: hash(&[b"mac1----", &receiver.0]), cookie: hash(&[b"cookie--", &receiver.0]) }
    }
}

/// Body, mac1 and mac2 of a handshake message.
fn split(datagram: &[u8]) -> Option<(&[u8], &Mac, &Mac)> {
    let (rest, mac2) = datagram.split_last_chunk()?;
    let (body, mac1) = rest.split_last_chunk()?;
    Some((body, mac1, mac2))
}

/// Writes the MACs of what is sent to one peer.
pub(super) struct MacWriter {
    keys: MacKeys,
    cookie: Option<(Mac, Instant)>,
    last_mac1: Option<Mac>,
}

impl MacWriter {
    pub(super) fn new(peer: &PublicKey) -> Self {
        Self { keys: MacKeys::new(peer), cookie: None, last_mac1: None }
    }

    pub(super) fn write(&mut self, mut datagram: Vec<u8>, now: Instant) -> Vec<u8> {
        let body = datagram.len().saturating_sub(2 * MAC_BYTES);
        let mac1 = mac16(&self.keys.mac1, &[&datagram[..body]]);
        let is_fresh = |at: Instant| now.duration_since(at) < COOKIE_TIME - COOKIE_LATENCY;
        let cookie = self.cookie.filter(|(_, received_at)| is_fresh(*received_at));
        let mac2 = cookie.map_or([0; MAC_BYTES], |(cookie, _)| mac16(&cookie, &[&datagram[..body], &mac1]));
        datagram.truncate(body);
        datagram.extend_from_slice(&mac1);
        datagram.extend_from_slice(&mac2);
        self.last_mac1 = Some(mac1);
        datagram
    }

    /// Whether the cookie was for what we sent last; only then it is kept.
    pub(super) fn handle_cookie(&mut self, nonce: &[u8; 24], sealed: &[u8; 32], now: Instant) -> bool {
        let Some(mac1) = self.last_mac1 else {
            return false;
        };
        let (mut cookie, tag) = (*sealed, &sealed[MAC_BYTES..]);
        let cipher = XChaCha20Poly1305::new((&self.keys.cookie).into());
        let opened =
            cipher.decrypt_in_place_detached(nonce.into(), &mac1, &mut cookie[..MAC_BYTES], tag.into());
        let Some(cookie) = cookie.first_chunk().filter(|_| opened.is_ok()) else {
            return false;
        };
        // One cookie a message: a second reply would be a replay.
        self.last_mac1 = None;
        self.cookie = Some((*cookie, now));
        true
    }
}

/// Checks the MACs of what is sent to us, and makes cookies.
pub(super) struct CookieJar {
    keys: MacKeys,
    secret: Secret,
    made_at: Instant,
}

impl CookieJar {
    pub(super) fn new(own: &PublicKey, secret: Secret, now: Instant) -> Self {
        Self { keys: MacKeys::new(own), secret, made_at: now }
    }

    pub(super) fn has_mac1(&self, datagram: &[u8]) -> bool {
        split(datagram).is_some_and(|(body, mac1, _)| mac16(&self.keys.mac1, &[body]).ct_eq(mac1).into())
    }

    /// `fresh` becomes the secret when the present one is too old.
    pub(super) fn has_mac2(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        fresh: Secret,
        now: Instant,
    ) -> bool {
        if now.duration_since(self.made_at) >= COOKIE_TIME {
            self.secret = fresh;
            self.made_at = now;
        }
        let cookie = cookie(&self.secret, source);
        split(datagram).is_some_and(|(body, mac1, mac2)| mac16(&cookie, &[body, mac1]).ct_eq(mac2).into())
    }

    /// The cookie for the sender of `datagram`, sealed; None when that has no MACs.
    pub(super) fn seal_cookie(
        &self,
        datagram: &[u8],
        source: SocketAddr,
        nonce: &[u8; 24],
    ) -> Option<[u8; 32]> {
        let (_, mac1, _) = split(datagram)?;
        let mut sealed = [0; 32];
        let (plain, tag) = sealed.split_at_mut(MAC_BYTES);
        plain.copy_from_slice(&cookie(&self.secret, source));
        let cipher = XChaCha20Poly1305::new((&self.keys.cookie).into());
        tag.copy_from_slice(&cipher.encrypt_in_place_detached(nonce.into(), mac1, plain).ok()?);
        Some(sealed)
    }
}

/// Covers the port too: who shares an address with others has a cookie of its own.
pub(crate) fn cookie(secret: &Secret, source: SocketAddr) -> Mac {
    let port = source.port().to_be_bytes();
    match source.ip().to_canonical() {
        IpAddr::V4(address) => mac16(&secret[..], &[b"4", &address.octets(), &port]),
        IpAddr::V6(address) => mac16(&secret[..], &[b"6", &address.octets(), &port]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: PublicKey = PublicKey([7; 32]);
    const NONCE: [u8; 24] = [9; 24];

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn jar(now: Instant) -> CookieJar {
        CookieJar::new(&US, Secret::new([1; 32]), now)
    }

    fn fresh() -> Secret {
        Secret::new([2; 32])
    }

    #[test]
    fn a_cookie_makes_the_next_message_acceptable_from_that_address_and_port_only() {
        let now = Instant::now();
        let (mut jar, mut writer) = (jar(now), MacWriter::new(&US));
        let source = address("192.0.2.1:7");
        let first = writer.write(vec![5; 92], now);
        assert!(jar.has_mac1(&first) && !jar.has_mac2(&first, source, fresh(), now));
        let sealed = jar.seal_cookie(&first, source, &NONCE).unwrap();
        assert!(writer.handle_cookie(&NONCE, &sealed, now));
        let second = writer.write(vec![5; 92], now);
        assert!(jar.has_mac1(&second) && jar.has_mac2(&second, source, fresh(), now));
        for other in ["192.0.2.1:8", "192.0.2.2:7", "[2001:db8::1]:7"] {
            assert!(!jar.has_mac2(&second, address(other), fresh(), now), "{other}");
        }
        let mapped = address("[::ffff:192.0.2.1]:7");
        assert!(jar.has_mac2(&second, mapped, fresh(), now));
    }

    #[test]
    fn a_cookie_ends_with_its_secret_and_is_not_used_near_that() {
        let now = Instant::now();
        let (mut jar, mut writer) = (jar(now), MacWriter::new(&US));
        let source = address("192.0.2.1:7");
        let first = writer.write(vec![5; 148], now);
        assert!(writer.handle_cookie(&NONCE, &jar.seal_cookie(&first, source, &NONCE).unwrap(), now));
        let second = writer.write(vec![5; 148], now + Duration::from_secs(114));
        assert!(jar.has_mac2(&second, source, fresh(), now + Duration::from_secs(119)));
        assert!(!jar.has_mac2(&second, source, fresh(), now + COOKIE_TIME));
        assert!(writer.write(vec![5; 148], now + Duration::from_secs(115)).ends_with(&[0; MAC_BYTES]));
    }

    #[test]
    fn a_cookie_for_another_message_or_a_changed_or_repeated_one_is_refused() {
        let now = Instant::now();
        let (jar, mut writer) = (jar(now), MacWriter::new(&US));
        let source = address("192.0.2.1:7");
        assert!(!writer.handle_cookie(&NONCE, &[0; 32], now), "nothing was sent");
        let other = MacWriter::new(&US).write(vec![6; 148], now);
        let sent = writer.write(vec![5; 148], now);
        assert!(!writer.handle_cookie(&NONCE, &jar.seal_cookie(&other, source, &NONCE).unwrap(), now));
        let sealed = jar.seal_cookie(&sent, source, &NONCE).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed;
            changed[at] ^= 1;
            assert!(!writer.handle_cookie(&NONCE, &changed, now));
        }
        assert!(writer.handle_cookie(&NONCE, &sealed, now));
        assert!(!writer.handle_cookie(&NONCE, &sealed, now));
    }
}
