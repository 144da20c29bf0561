use super::Secret;
use super::cipher::Cipher;

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
/// An initiation does not say which PSK is meant. The new one answers the first, and, as long as its answer was
/// not confirmed, the new and the old take turns.
pub(super) struct Psks {
    newest: Epoch,
    older: Option<Epoch>,
    is_confirmed: bool,
    has_answered: bool,
}

impl Psks {
    pub(super) fn new(psk: Secret, cipher: Cipher) -> Self {
        let newest = Epoch { psk, cipher, number: 0 };
        Self { newest, older: None, is_confirmed: false, has_answered: false }
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
        (self.is_confirmed, self.has_answered) = (false, false);
        true
    }

    pub(super) fn newest(&self) -> &Epoch {
        &self.newest
    }

    pub(super) fn older(&self) -> Option<&Epoch> {
        self.older.as_ref()
    }

    /// With which to answer an initiation.
    pub(super) fn answer(&mut self) -> Epoch {
        match &self.older {
            Some(older) if self.has_answered => {
                self.has_answered = false;
                older.clone()
            }
            _ => {
                self.has_answered = true;
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
