use std::time::{Duration, Instant};

use super::Secret;
use super::cipher::Cipher;

/// Below the 5 s after which an initiator that got no answer repeats (the paper, section 6.4), or could not open the one
/// that it got. Sooner it is one that was told of the newest PSK meanwhile.
const TURN_TIME: Duration = Duration::from_secs(4);

/// A PSK, and what was agreed together with it.
#[derive(Clone)]
pub(super) struct Epoch {
    pub(super) psk: Secret,
    pub(super) cipher: Cipher,
    /// Greater for a newer one.
    pub(super) number: u32,
}

/// The PSK that stands, and while a new one has not been confirmed by a handshake, the one before it.
///
/// An initiation does not say which PSK is meant. The new one answers the first, and all that soon follow; as long as no
/// answer is confirmed, the new and the old then take turns.
pub(super) struct Psks {
    newest: Epoch,
    older: Option<Epoch>,
    is_confirmed: bool,
    /// With the newest, and first since the older had its turn.
    answered_at: Option<Instant>,
}

impl Psks {
    pub(super) fn new(psk: Secret, cipher: Cipher) -> Self {
        let newest = Epoch { psk, cipher, number: 0 };
        Self { newest, older: None, is_confirmed: false, answered_at: None }
    }

    /// Whether it is another one than stands already. A PSK that no handshake has confirmed is forgotten.
    pub(super) fn replace(&mut self, psk: Secret, cipher: Cipher) -> bool {
        if self.newest.psk == psk && self.newest.cipher == cipher {
            return false;
        }
        let number = self.newest.number.wrapping_add(1);
        let old = std::mem::replace(&mut self.newest, Epoch { psk, cipher, number });
        if self.is_confirmed {
            self.older = Some(old);
        }
        (self.is_confirmed, self.answered_at) = (false, None);
        true
    }

    pub(super) fn newest(&self) -> &Epoch {
        &self.newest
    }

    pub(super) fn older(&self) -> Option<&Epoch> {
        self.older.as_ref()
    }

    /// With which to answer an initiation that came then.
    pub(super) fn answer(&mut self, received_at: Instant) -> Epoch {
        let is_repeated = |at: Instant| received_at.saturating_duration_since(at) >= TURN_TIME;
        match &self.older {
            Some(older) if self.answered_at.is_some_and(is_repeated) => {
                self.answered_at = None;
                older.clone()
            }
            _ => {
                self.answered_at.get_or_insert(received_at);
                self.newest.clone()
            }
        }
    }

    /// A handshake with the PSK of this number is done.
    pub(super) fn confirm(&mut self, number: u32) {
        if number == self.newest.number {
            self.is_confirmed = true;
            self.older = None;
        }
    }

    pub(super) fn forget_older(&mut self) {
        self.older = None;
    }
}
