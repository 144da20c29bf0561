//! Initiations of peers that are not there yet: the other side may be told first that they are to be.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::drops::DropReason;
use crate::path::Path;
use crate::wireguard::{Initiation, PublicKey};

/// As many handshakes as a node may be finishing at the same moment. Whoever knows our key can fill it with keys
/// of its own, at the cost for us of 2 KB each; then a peer has to ask again, as it would without this.
const MAX_EARLY: usize = 16;
/// Adding a peer after its last message takes milliseconds; after 5 s it asks again anyway.
const EARLY_TIME: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Early(VecDeque<Held>);

#[derive(Debug)]
struct Held {
    key: PublicKey,
    source: Path,
    initiation: Box<Initiation>,
}

impl Held {
    fn expires_at(&self) -> Instant {
        self.initiation.received_at() + EARLY_TIME
    }
}

impl Early {
    /// Keeps the newest one of each key. Returns why one was dropped for it, or it for one that is kept.
    pub(super) fn push(
        &mut self,
        key: PublicKey,
        source: Path,
        initiation: Box<Initiation>,
    ) -> Option<DropReason> {
        let known = self.0.iter().position(|held| held.key == key);
        if known.is_some_and(|at| !initiation.is_newer_than(&self.0[at].initiation)) {
            return Some(DropReason::WireguardReplay);
        }
        let displaced = match known {
            Some(at) => self.0.remove(at),
            None if self.0.len() == MAX_EARLY => self.0.pop_front(),
            None => None,
        };
        self.0.push_back(Held { key, source, initiation });
        displaced.map(|_| DropReason::WireguardRefused)
    }

    /// Where it came from, and the initiation.
    pub(super) fn take(&mut self, key: &PublicKey) -> Option<(Path, Initiation)> {
        let at = self.0.iter().position(|held| held.key == *key)?;
        self.0.remove(at).map(|held| (held.source, *held.initiation))
    }

    /// How many there were.
    pub(super) fn drop_expired(&mut self, now: Instant) -> usize {
        let before = self.0.len();
        self.0.retain(|held| now < held.expires_at());
        before - self.0.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.0.front().map(Held::expires_at)
    }
}
