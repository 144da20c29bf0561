use std::fmt;
use std::time::{Duration, Instant};

use sanstun::{Datagram, Event, Tunnel};

use super::{Index, Interface, Open, Opened, PublicKey, Seal, Secret, interface::refused, packet_bytes};
use crate::drops::DropReason;

/// How long packets sealed with the keys before the last PSK change are still opened: what is on the
/// way or reordered arrives by then.
const RETIRED_TIME: Duration = Duration::from_secs(10);

/// All WireGuard state towards one peer.
///
/// The library fixes a tunnel's PSK when the tunnel is made, so a new PSK is a second tunnel. The old one
/// carries data until the new one's first handshake is confirmed. An initiation does not say which PSK is
/// meant: the new tunnel answers the first one, and, as long as its answer was not confirmed, the old and
/// the new take turns. We ourselves never begin a handshake with the old PSK again.
pub struct Sessions {
    peer: PublicKey,
    keepalive: Duration,
    current: Keyed,
    next: Option<Keyed>,
    retired: Option<(Keyed, Instant)>,
    next_has_answered: bool,
    handshake_at: Option<Instant>,
}

struct Keyed {
    /// 11 KB: boxed, so that a peer takes that once and not three times.
    tunnel: Box<Tunnel>,
    psk: Secret,
}

impl Keyed {
    fn index(&self) -> Index {
        Index(self.tunnel.id())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("peer", &self.peer)
            .field("handshake_at", &self.handshake_at)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// None for a public key that no honest peer has.
    pub fn new(
        interface: &mut Interface,
        peer: PublicKey,
        psk: Secret,
        keepalive: Duration,
        now: Instant,
    ) -> Option<Self> {
        let tunnel = Box::new(interface.new_tunnel(peer, &psk, keepalive, now)?);
        Some(Self {
            peer,
            keepalive,
            current: Keyed { tunnel, psk },
            next: None,
            retired: None,
            next_has_answered: false,
            handshake_at: None,
        })
    }

    /// Nothing happens when it is the PSK that stands already.
    pub fn replace_psk(&mut self, interface: &mut Interface, psk: Secret, keepalive: Duration, now: Instant) {
        let newest = self.next.as_ref().unwrap_or(&self.current);
        if newest.psk == psk && self.keepalive == keepalive {
            return;
        }
        self.keepalive = keepalive;
        // The key was fine when the peer was added, so it is now.
        let Some(tunnel) = interface.new_tunnel(self.peer, &psk, keepalive, now) else {
            return;
        };
        let keyed = Keyed { tunnel: Box::new(tunnel), psk };
        self.next_has_answered = false;
        if self.current.tunnel.time_since_last_handshake(now).is_some() {
            self.next = Some(keyed);
        } else {
            self.next = None;
            self.current = keyed;
        }
    }

    /// By which of our indices the peer may address us.
    pub fn indices(&self) -> impl Iterator<Item = Index> + '_ {
        let retired = self.retired.as_ref().map(|(keyed, _)| keyed);
        [Some(&self.current), self.next.as_ref(), retired].into_iter().flatten().map(Keyed::index)
    }

    /// When the session in use was agreed.
    pub fn handshake_at(&self) -> Option<Instant> {
        self.handshake_at
    }

    /// The initiation to send, unless one is on its way already.
    pub fn initiate(&mut self, now: Instant) -> Option<Datagram> {
        self.newest().tunnel.initiate_handshake(now)
    }

    /// None when there is no session to send with.
    pub fn seal(&mut self, now: Instant) -> Option<Seal> {
        self.current.tunnel.begin_encapsulate(now).ok().map(Seal)
    }

    /// The response to send back.
    pub fn handle_initiation(
        &mut self,
        message: sanstun::HandshakeInitiation,
        now: Instant,
    ) -> Result<Datagram, DropReason> {
        let next_answers = self.next.is_some() && !self.next_has_answered;
        let keyed = match &mut self.next {
            Some(next) if next_answers => next,
            _ => &mut self.current,
        };
        let response = keyed.tunnel.handle_handshake_initiation(message, now).map_err(refused)?;
        self.next_has_answered = next_answers;
        Ok(response)
    }

    /// The keepalive that confirms the session to the peer.
    pub fn handle_response(
        &mut self,
        index: Index,
        message: sanstun::HandshakeResponse,
        now: Instant,
    ) -> Result<Datagram, DropReason> {
        let keyed = self.at(index).ok_or(DropReason::WireguardRefused)?;
        let confirmation = keyed.tunnel.handle_handshake_response(message, now).map_err(refused)?;
        self.promote(index, now);
        Ok(confirmation)
    }

    pub fn handle_cookie(
        &mut self,
        index: Index,
        message: sanstun::CookieReply,
        now: Instant,
    ) -> Result<(), DropReason> {
        let keyed = self.at(index).ok_or(DropReason::WireguardRefused)?;
        keyed.tunnel.handle_cookie_reply(message, now).map_err(refused)
    }

    pub fn open(
        &mut self,
        index: Index,
        data: sanstun::TransportData,
        now: Instant,
    ) -> Result<Open, DropReason> {
        let keyed = self.at(index).ok_or(DropReason::WireguardRefused)?;
        let pending = keyed.tunnel.begin_decapsulate(data, now).map_err(refused)?;
        Ok(Open { index, pending })
    }

    /// Length of the packet with its padding; None for a keepalive.
    pub fn accept(&mut self, opened: Opened, now: Instant) -> Result<Option<usize>, DropReason> {
        let keyed = self.at(opened.index).ok_or(DropReason::WireguardRefused)?;
        let committed = keyed.tunnel.commit_decapsulate(opened.decrypted, now).map_err(refused)?;
        self.promote(opened.index, now);
        Ok(packet_bytes(&committed))
    }

    /// Whether a handshake was completed since the last call.
    pub fn take_new_handshake(&mut self, now: Instant) -> bool {
        let Some(since) = self.current.tunnel.time_since_last_handshake(now) else {
            return false;
        };
        let handshake_at = now.checked_sub(since);
        if handshake_at <= self.handshake_at {
            return false;
        }
        self.handshake_at = handshake_at;
        true
    }

    /// What is due, as datagrams to send. Returns true when the peer did not answer for so long that its
    /// session and whatever waits for one are given up.
    pub fn handle_timeout(
        &mut self,
        interface: &mut Interface,
        now: Instant,
        mut send: impl FnMut(Datagram),
    ) -> bool {
        self.retired.take_if(|(_, until)| now >= *until);
        if let Some(next) = &mut self.next {
            next.tunnel.handle_timeout(now);
            while let Some(event) = next.tunnel.poll_event() {
                if let Event::SendHandshakeInitiation(datagram) | Event::SendKeepalive(datagram) = event {
                    send(datagram);
                }
            }
            if next.tunnel.is_expired() {
                self.renew_next(interface, now);
            }
        }
        self.current.tunnel.handle_timeout(now);
        while let Some(event) = self.current.tunnel.poll_event() {
            match event {
                Event::SendKeepalive(datagram) => send(datagram),
                Event::SendHandshakeInitiation(old_psk) => match &mut self.next {
                    None => send(old_psk),
                    Some(next) => {
                        if let Some(new_psk) = next.tunnel.initiate_handshake(now) {
                            send(new_psk);
                        }
                    }
                },
                Event::Established { .. } | Event::ConnectionExpired => {}
            }
        }
        if !self.current.tunnel.is_expired() {
            return false;
        }
        self.renew_current(interface, now);
        if !self.keepalive.is_zero()
            && let Some(datagram) = self.initiate(now)
        {
            send(datagram);
        }
        true
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let next = self.next.as_ref().and_then(|next| next.tunnel.poll_timeout());
        let retired = self.retired.as_ref().map(|(_, until)| *until);
        let current = self.current.tunnel.poll_timeout();
        [current, next, retired].into_iter().flatten().min()
    }

    fn newest(&mut self) -> &mut Keyed {
        self.next.as_mut().unwrap_or(&mut self.current)
    }

    fn at(&mut self, index: Index) -> Option<&mut Keyed> {
        let retired = self.retired.as_mut().map(|(keyed, _)| keyed);
        [Some(&mut self.current), self.next.as_mut(), retired]
            .into_iter()
            .flatten()
            .find(|keyed| keyed.index() == index)
    }

    /// The new PSK's handshake is done: it carries the data from now on.
    fn promote(&mut self, index: Index, now: Instant) {
        if let Some(next) = self.next.take_if(|next| next.index() == index) {
            let old = std::mem::replace(&mut self.current, next);
            self.retired = Some((old, now + RETIRED_TIME));
            self.next_has_answered = false;
        }
    }

    fn renew_next(&mut self, interface: &mut Interface, now: Instant) {
        if let Some(next) = &mut self.next
            && let Some(tunnel) = interface.new_tunnel(self.peer, &next.psk, self.keepalive, now)
        {
            *next.tunnel = tunnel;
        }
    }

    /// An expired tunnel never works again; the PSK stays.
    fn renew_current(&mut self, interface: &mut Interface, now: Instant) {
        if let Some(next) = self.next.take() {
            self.current = next;
        } else if let Some(tunnel) = interface.new_tunnel(self.peer, &self.current.psk, self.keepalive, now) {
            *self.current.tunnel = tunnel;
        }
    }
}
