//! Cookies for our own handshake: a sender shows with one that it receives where it sends from. None is kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;

use super::message1::Head;
use crate::wireguard::Secret;
use crate::wireguard::blake::mac16;
use crate::wireguard::mac::{MAC_BYTES, Mac, cookie};
use crate::wireguard::random::Random;

pub(super) const REPLY_BYTES: usize = 64;
const REPLY_HEADER: [u8; 4] = [0x42, 1, 0, 0];
const NONCE_BYTES: usize = 12;
/// A secret lives that long, and is accepted for as long again.
const SECRET_TIME: Duration = Duration::from_secs(120);

pub(super) struct Cookies {
    sealing: LessSafeKey,
    random: Random,
    /// The newest, and the one before if it is not too old.
    secrets: [Option<Secret>; 2],
    drawn_at: Instant,
}

impl Cookies {
    /// `key`: seals replies. `seed`: of secrets and nonces.
    pub(super) fn new(key: &Secret, seed: Secret, now: Instant) -> Self {
        let mut random = Random::new(seed);
        let secrets = [Some(random.secret()), None];
        Self { sealing: sealing(key), random, secrets, drawn_at: now }
    }

    /// Whether mac2 shows a cookie that this source was given. Zero is none at all.
    pub(super) fn are_shown_by(&mut self, head: &Head, source: SocketAddr, now: Instant) -> bool {
        if head.mac2 == [0; MAC_BYTES] {
            return false;
        }
        self.turn(now);
        self.secrets
            .iter()
            .flatten()
            .any(|secret| mac16(&cookie(secret, source), &[head.header, head.mac1]).ct_eq(head.mac2).into())
    }

    /// For the source of a first datagram of M1.
    pub(super) fn reply(&mut self, head: &Head, source: SocketAddr, now: Instant) -> [u8; REPLY_BYTES] {
        self.turn(now);
        let drawn = self.random.secret();
        let nonce = *drawn.first_chunk().expect("32 bytes were drawn");
        let cookie = self.secrets[0].as_ref().map_or([0; MAC_BYTES], |secret| cookie(secret, source));
        sealed_reply(&self.sealing, head, nonce, cookie)
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.drawn_at);
        if age >= SECRET_TIME {
            let before = self.secrets[0].take().filter(|_| age < 2 * SECRET_TIME);
            self.secrets = [Some(self.random.secret()), before];
            self.drawn_at = now;
        }
    }
}

pub(super) fn sealing(key: &Secret) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).expect("AES-256 takes 32 bytes"))
}

pub(super) fn sealed_reply(
    sealing: &LessSafeKey,
    head: &Head,
    nonce: [u8; NONCE_BYTES],
    mut cookie: Mac,
) -> [u8; REPLY_BYTES] {
    let mut reply = [0; REPLY_BYTES];
    reply[..4].copy_from_slice(&REPLY_HEADER);
    reply[4..20].copy_from_slice(head.cid_and_message_id());
    let bound = Aad::from([&reply[..20], head.macs].concat());
    let tag = sealing.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound, &mut cookie);
    reply[20..32].copy_from_slice(&nonce);
    reply[32..48].copy_from_slice(&cookie);
    reply[48..].copy_from_slice(tag.expect("16 bytes are not too long").as_ref());
    reply
}
