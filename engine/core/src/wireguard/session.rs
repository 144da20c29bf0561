//! One pair of keys: the half that sends and the half that receives share nothing.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cipher::{Cipher, Key};
use super::noise::TransportKeys;
use super::replay::ReplayWindow;
use super::sending::SendKey;
use super::timers::{KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_AFTER_TIME, REKEY_TIMEOUT};
use super::{HEADER_BYTES, Index};
use crate::drops::DropReason;

/// How long packets sealed with the keys before a PSK change are still opened: what is on the way or reordered
/// arrives by then.
const RETIRED_TIME: Duration = Duration::from_secs(10);

pub(super) struct Session {
    pub(super) index: Index,
    /// Number of the PSK it was made with.
    pub(super) epoch: u32,
    is_initiator: bool,
    made_at: Instant,
    opens_until: Instant,
    sender: Arc<SendKey>,
    receiver: Receiver,
}

struct Receiver {
    key: Arc<Key>,
    window: ReplayWindow,
}

pub(super) struct Parties {
    pub(super) own: Index,
    pub(super) peer: Index,
    pub(super) is_initiator: bool,
}

impl Session {
    pub(super) fn new(
        parties: &Parties,
        keys: &TransportKeys,
        cipher: Cipher,
        epoch: u32,
        now: Instant,
    ) -> Self {
        Self {
            index: parties.own,
            epoch,
            is_initiator: parties.is_initiator,
            made_at: now,
            opens_until: now + REJECT_AFTER_TIME,
            sender: Arc::new(SendKey::new(cipher, &keys.send, parties.peer, now)),
            receiver: Receiver {
                key: Arc::new(Key::new(cipher, &keys.receive)),
                window: ReplayWindow::default(),
            },
        }
    }

    pub(super) fn made_at(&self) -> Instant {
        self.made_at
    }

    /// When the last packet will have been opened with it.
    pub(super) fn opens_until(&self) -> Instant {
        self.opens_until
    }

    pub(super) fn retire(&mut self, now: Instant) {
        self.opens_until = self.opens_until.min(now + RETIRED_TIME);
    }

    pub(super) fn sender(&self) -> &Arc<SendKey> {
        &self.sender
    }

    pub(super) fn wants_rekey_after_send(&self, now: Instant) -> bool {
        let is_old = self.is_initiator && now.duration_since(self.made_at) >= REKEY_AFTER_TIME;
        is_old || self.sender.wants_rekey()
    }

    /// Whoever only receives would notice the end of the keys too late.
    pub(super) fn wants_rekey_after_receipt(&self, now: Instant) -> bool {
        const LAST_MOMENT: Duration =
            REJECT_AFTER_TIME.saturating_sub(KEEPALIVE_TIMEOUT.saturating_add(REKEY_TIMEOUT));
        self.is_initiator && now.duration_since(self.made_at) >= LAST_MOMENT
    }

    pub(super) fn open(&self, counter: u64, now: Instant) -> Result<Open, DropReason> {
        if now >= self.opens_until {
            return Err(DropReason::NoSession);
        }
        Ok(Open { key: Arc::clone(&self.receiver.key), index: self.index, counter })
    }

    pub(super) fn accept(&mut self, opened: &Opened, now: Instant) -> Result<usize, DropReason> {
        let bytes = opened.packet_bytes.ok_or(DropReason::WireguardRefused)?;
        if now >= self.opens_until {
            return Err(DropReason::NoSession);
        }
        if !self.receiver.window.accept(opened.counter) {
            return Err(DropReason::WireguardReplay);
        }
        Ok(bytes)
    }
}

/// A transport datagram whose key is known.
pub struct Open {
    key: Arc<Key>,
    index: Index,
    counter: u64,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("index", &self.index).field("counter", &self.counter).finish()
    }
}

impl Open {
    /// Opens in place: the packet then stands behind the datagram's header. Whether that went well shows when
    /// [`super::Sessions::accept`] takes it.
    pub fn open(self, datagram: &mut [u8]) -> Opened {
        let sealed = datagram.get_mut(HEADER_BYTES..);
        let packet_bytes = sealed.and_then(|sealed| self.key.open(self.counter, sealed));
        Opened { index: self.index, counter: self.counter, packet_bytes }
    }
}

#[derive(Debug)]
pub struct Opened {
    index: Index,
    counter: u64,
    /// With the padding; None when it is not authentic.
    packet_bytes: Option<usize>,
}

impl Opened {
    pub fn index(&self) -> Index {
        self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(cipher: Cipher, now: Instant) -> (Session, Session) {
        let keys = |send: u8, receive: u8| TransportKeys {
            send: crate::wireguard::Secret::new([send; 32]),
            receive: crate::wireguard::Secret::new([receive; 32]),
        };
        let parties = |own, peer, is_initiator| Parties { own: Index(own), peer: Index(peer), is_initiator };
        let near = Session::new(&parties(1, 2, true), &keys(8, 9), cipher, 0, now);
        (near, Session::new(&parties(2, 1, false), &keys(9, 8), cipher, 0, now))
    }

    #[test]
    fn a_batch_is_sealed_with_one_counter_each_and_no_more_than_were_reserved() {
        let now = Instant::now();
        let (near, mut far) = pair(Cipher::default(), now);
        let mut seals = near.sender().seal(2, 40, 1280, now).unwrap();
        let mut datagrams = vec![vec![0; 64]; 2];
        for datagram in &mut datagrams {
            assert_eq!(seals.seal(&[7; 20], datagram), Some(64));
        }
        assert_eq!(seals.seal(&[7; 20], &mut [0; 64]), None);
        for datagram in &mut datagrams {
            let counter = u64::from_le_bytes(*datagram[8..].first_chunk().unwrap());
            let opened = far.open(counter, now).unwrap().open(datagram);
            assert_eq!(far.accept(&opened, now), Ok(32));
            assert_eq!(far.accept(&opened, now), Err(DropReason::WireguardReplay));
            assert_eq!(datagram[16..36], [7; 20]);
        }
    }

    #[test]
    fn keys_end_after_three_minutes_on_both_sides() {
        let now = Instant::now();
        let (near, far) = pair(Cipher::default(), now);
        let last = now + REJECT_AFTER_TIME - Duration::from_millis(1);
        assert!(near.sender().seal(1, 0, 0, last).is_some() && far.open(0, last).is_ok());
        assert!(near.sender().seal(1, 0, 0, now + REJECT_AFTER_TIME).is_none());
        assert_eq!(far.open(0, now + REJECT_AFTER_TIME).err(), Some(DropReason::NoSession));
    }

    #[test]
    fn only_the_initiator_asks_for_new_keys_because_of_their_age() {
        let now = Instant::now();
        let (near, far) = pair(Cipher::default(), now);
        let later = now + REKEY_AFTER_TIME;
        assert!(near.wants_rekey_after_send(later) && !far.wants_rekey_after_send(later));
        assert!(!near.wants_rekey_after_receipt(now + Duration::from_secs(164)));
        assert!(near.wants_rekey_after_receipt(now + Duration::from_secs(165)));
    }

    #[test]
    fn a_key_that_has_sealed_its_share_asks_for_a_new_one_and_then_seals_nothing() {
        let now = Instant::now();
        let (near, far) = pair(Cipher::Aes256Gcm, now);
        assert!(far.sender().seal(1, 256 << 30, 1280, now).is_some());
        assert!(far.wants_rekey_after_send(now), "whoever began the session");
        assert!(far.sender().seal(1, 107 << 30, 1280, now).is_none());
        assert!(near.sender().seal(1, 256 << 30, 1280, now).is_some(), "each direction has its own key");
        let (near, _) = pair(Cipher::ChaCha20Poly1305, now);
        assert!(near.sender().seal((u64::MAX - 8193) as usize, 0, 0, now).is_some());
        assert!(near.sender().seal(1, 0, 0, now).is_some());
        assert!(near.wants_rekey_after_send(now));
        assert!(near.sender().seal(1, 0, 0, now).is_none());
    }
}
