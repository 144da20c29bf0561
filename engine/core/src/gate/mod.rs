//! Which STUN and control datagrams are handed up. To refuse one costs less here than to send it; Python would need ten
//! times as long. Spec: docs/spec/datagrams.md, section 5; docs/spec/session.md, section 6.3.
//!
//! M1 comes from anybody: mac1 shows that its sender knows our public key, and under load mac2 that it receives where it
//! sends from. All else names an id that only those know whom we expect it from.

mod cookies;
mod limiter;
mod message1;

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::drops::DropReason;
use crate::first_byte::Kind;
use crate::wireguard::Secret;
use cookies::Cookies;
use limiter::{Limiter, Rate};
use message1::{Head, is_message1};

pub const COOKIE_REPLY_BYTES: usize = cookies::REPLY_BYTES;
pub const ID_BYTES: usize = 8;
pub type Id = [u8; ID_BYTES];

/// Who has seen an id on the way can use it. Of one network: a peer that looks for a path through a hard NAT sends 256
/// probes at once, three times. Of all: at 40 us each, 16 % of a processor. Addresses of peers are exempt.
const CONTROL_OF_NETWORK: Rate = Rate { per_second: 200.0, burst: 600.0 };
const CONTROL_OF_ALL: Rate = Rate { per_second: 4_000.0, burst: 8_000.0 };
/// Datagrams of M1 a second, two for each, from which on a cookie is asked for: an M1 costs a signature, of which a core
/// makes a thousand a second.
const LOAD_PER_SECOND: f64 = 100.0;
/// The same with a cookie: the peers behind one NAT that start together, and a fifth of a core for all.
const PROVED_OF_NETWORK: Rate = Rate { per_second: 8.0, burst: 16.0 };
const PROVED_OF_ALL: Rate = Rate { per_second: 200.0, burst: 100.0 };
/// Cookie replies, of 3 us each. Nobody is kept from one by a flood that comes from elsewhere, up to the latter.
const REPLIES_TO_NETWORK: Rate = Rate { per_second: 200.0, burst: 600.0 };
const REPLIES_TO_ALL: Rate = Rate { per_second: 20_000.0, burst: 20_000.0 };

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    HandUp,
    /// To where it came from, and nothing else.
    Reply([u8; COOKIE_REPLY_BYTES]),
    Drop(DropReason),
}

pub struct Gate {
    control: Limiter,
    /// None: all is let through, within the rates.
    guard: Option<Guard>,
}

struct Guard {
    ids: HashSet<Id>,
    mac1_key: Secret,
    cookies: Cookies,
    are_cookies_demanded: bool,
    load: Load,
    proved: Limiter,
    replies: Limiter,
}

/// Datagrams of M1 that came, less what is nothing out of the ordinary. Above twice the bound it counts no further: a
/// second later all is quiet.
struct Load {
    level: f64,
    at: Instant,
}

impl Load {
    /// Counts one more. True above the bound.
    fn count(&mut self, now: Instant) -> bool {
        let drained = LOAD_PER_SECOND * now.saturating_duration_since(self.at).as_secs_f64();
        self.level = ((self.level - drained).max(0.0) + 1.0).min(2.0 * LOAD_PER_SECOND);
        self.at = now;
        self.level > LOAD_PER_SECOND
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.guard.as_ref().map(|guard| guard.ids.len());
        f.debug_struct("Gate").field("ids", &ids).finish_non_exhaustive()
    }
}

impl Gate {
    pub fn new(now: Instant) -> Self {
        Self { control: Limiter::new(CONTROL_OF_NETWORK, CONTROL_OF_ALL, now), guard: None }
    }

    /// From now on only what is expected is let through. `mac1_key` and `cookie_key`: of this node's public key. `seed`:
    /// of what is drawn for cookies.
    pub fn guard(&mut self, mac1_key: Secret, cookie_key: &Secret, seed: Secret, now: Instant) {
        self.guard = Some(Guard {
            ids: HashSet::new(),
            cookies: Cookies::new(cookie_key, seed, now),
            mac1_key,
            are_cookies_demanded: false,
            load: Load { level: 0.0, at: now },
            proved: Limiter::new(PROVED_OF_NETWORK, PROVED_OF_ALL, now),
            replies: Limiter::new(REPLIES_TO_NETWORK, REPLIES_TO_ALL, now),
        });
    }

    pub fn open_id(&mut self, id: Id) {
        if let Some(guard) = &mut self.guard {
            guard.ids.insert(id);
        }
    }

    pub fn close_id(&mut self, id: Id) {
        if let Some(guard) = &mut self.guard {
            guard.ids.remove(&id);
        }
    }

    /// While it holds, no M1 is handed up without one, however few come.
    pub fn demand_cookies(&mut self, are_demanded: bool) {
        if let Some(guard) = &mut self.guard {
            guard.are_cookies_demanded = are_demanded;
        }
    }

    pub fn judge(
        &mut self,
        kind: Kind,
        datagram: &[u8],
        source: SocketAddr,
        is_of_peer: impl FnOnce() -> bool,
        now: Instant,
    ) -> Verdict {
        if let Some(guard) = &mut self.guard {
            if is_message1(datagram) {
                return guard.judge_message1(datagram, source, now);
            }
            if !guard.expects(kind, datagram) {
                return Verdict::Drop(DropReason::ControlUnknownId);
            }
        }
        if self.control.allows(source, now) || is_of_peer() {
            Verdict::HandUp
        } else {
            Verdict::Drop(DropReason::ControlRate)
        }
    }
}

impl Guard {
    fn expects(&self, kind: Kind, datagram: &[u8]) -> bool {
        let offset = match kind {
            Kind::Stun => 8, // the first bytes of its transaction id
            _ => 4,
        };
        let id = datagram.get(offset..).and_then(<[u8]>::first_chunk);
        id.is_some_and(|id| self.ids.contains(id))
    }

    fn judge_message1(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> Verdict {
        let Some(head) = Head::parse(datagram) else {
            return Verdict::Drop(DropReason::ControlMalformed);
        };
        if !head.has_mac1(&self.mac1_key) {
            return Verdict::Drop(DropReason::ControlMac);
        }
        let is_busy = self.load.count(now);
        if !is_busy && !self.are_cookies_demanded {
            return Verdict::HandUp;
        }
        if self.cookies.are_shown_by(&head, source, now) {
            return match self.proved.allows(source, now) {
                true => Verdict::HandUp,
                false => Verdict::Drop(DropReason::ControlRate),
            };
        }
        // One reply an M1, to its first datagram.
        match head.is_first() && self.replies.allows(source, now) {
            true => Verdict::Reply(self.cookies.reply(&head, source, now)),
            false => Verdict::Drop(DropReason::ControlCookie),
        }
    }
}

#[cfg(test)]
mod tests;
