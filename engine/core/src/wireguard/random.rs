use super::Secret;
use super::blake::mac32;

/// Chance from a seed. What was drawn does not follow from what the generator holds afterwards.
pub(crate) struct Random(Secret);

impl Random {
    pub(crate) fn new(seed: Secret) -> Self {
        Self(seed)
    }

    pub(crate) fn secret(&mut self) -> Secret {
        let drawn = mac32(&self.0[..], &[b"drawn"]);
        self.0 = mac32(&self.0[..], &[b"next"]);
        drawn
    }
}
