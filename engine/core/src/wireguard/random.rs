use super::Secret;
use super::blake::mac32;

/// Chance from a seed. What was drawn does not follow from what the generator holds afterwards.
pub(super) struct Random(Secret);

impl Random {
    pub(super) fn new(seed: Secret) -> Self {
        Self(seed)
    }

    pub(super) fn secret(&mut self) -> Secret {
        let drawn = mac32(&self.0[..], &[b"drawn"]);
        self.0 = mac32(&self.0[..], &[b"next"]);
        drawn
    }
}
