use std::sync::Arc;
use std::time::Instant;

use super::Index;
use super::sending::SendHalf;
use super::session::Session;

/// The sessions with one peer: the one in use, the one before it, and one that the peer has not used yet.
pub(super) struct KeyRing {
    sending: Arc<SendHalf>,
    previous: Option<Box<Session>>,
    current: Option<Box<Session>>,
    next: Option<Box<Session>>,
}

impl KeyRing {
    pub(super) fn new(now: Instant) -> Self {
        Self { sending: Arc::new(SendHalf::new(now)), previous: None, current: None, next: None }
    }

    /// Seals with the session in use.
    pub(super) fn sending(&self) -> &Arc<SendHalf> {
        &self.sending
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = Index> + '_ {
        [&self.previous, &self.current, &self.next].into_iter().flatten().map(|session| session.index)
    }

    pub(super) fn current(&self) -> Option<&Session> {
        self.current.as_deref()
    }

    pub(super) fn find(&mut self, index: Index) -> Option<&mut Session> {
        let sessions = [&mut self.previous, &mut self.current, &mut self.next];
        sessions.into_iter().flatten().map(Box::as_mut).find(|session| session.index == index)
    }

    /// We began it, so the peer has the keys already.
    pub(super) fn add_initiated(&mut self, session: Session, now: Instant) {
        let old = self.next.take().or(self.current.take());
        self.replace_current(Box::new(session), old, now);
    }

    /// The peer began it; it is used when the peer has used it.
    pub(super) fn add_answered(&mut self, session: Session) {
        self.next = Some(Box::new(session));
    }

    /// Whether the session is now in use and was not before.
    pub(super) fn confirm(&mut self, index: Index, now: Instant) -> bool {
        let Some(next) = self.next.take_if(|next| next.index == index) else {
            return false;
        };
        let old = self.current.take();
        self.replace_current(next, old, now);
        true
    }

    /// Erases what opens nothing any more.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        for session in [&mut self.previous, &mut self.next] {
            session.take_if(|session| now >= session.opens_until());
        }
    }

    pub(super) fn clear(&mut self) {
        self.sending.replace(None);
        (self.previous, self.current, self.next) = (None, None, None);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let expiring = [&self.previous, &self.next].into_iter().flatten();
        expiring.map(|session| session.opens_until()).min()
    }

    fn replace_current(&mut self, session: Box<Session>, mut old: Option<Box<Session>>, now: Instant) {
        self.sending.replace(Some(Arc::clone(session.sender())));
        if let Some(old) = &mut old
            && old.epoch != session.epoch
        {
            old.retire(now);
        }
        self.previous = old;
        self.current = Some(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wireguard::cipher::Cipher;
    use crate::wireguard::noise::TransportKeys;
    use crate::wireguard::session::Parties;
    use std::sync::Weak;

    #[test]
    fn a_key_is_freed_when_it_is_replaced_twice_or_cleared() {
        let now = Instant::now();
        let mut ring = KeyRing::new(now);
        let keys: Vec<Weak<_>> = (0..3)
            .map(|number| {
                let parties = Parties { own: Index(number), peer: Index(9), is_initiator: true };
                let keys = TransportKeys { send: [1; 32].into(), receive: [2; 32].into() };
                let session = Session::new(&parties, &keys, Cipher::default(), 0, now);
                let key = Arc::downgrade(session.sender());
                ring.add_initiated(session, now);
                assert!(ring.sending().seal(1, 0, 0, now).is_some());
                key
            })
            .collect();
        let is_there = || keys.iter().map(|key| key.strong_count() > 0).collect::<Vec<_>>();
        assert_eq!(is_there(), [false, true, true]);
        ring.clear();
        assert_eq!(is_there(), [false, false, false]);
        assert!(ring.sending().seal(1, 0, 0, now).is_none());
    }
}
