use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cipher::Cipher;
use super::interface::{Asked, Cookie, Draw, Initiation, Response};
use super::keyring::KeyRing;
use super::mac::MacWriter;
use super::message;
use super::noise::{Initiator, Stamp, TransportKeys};
use super::psks::{Epoch, Psks};
use super::sending::{Seals, SendHalf};
use super::session::{Open, Opened, Parties, Session};
use super::timers::{Due, REKEY_AFTER_TIME, Timers};
use super::{HEADER_BYTES, Index, Interface, PublicKey, Secret, TAG_BYTES};
use crate::drops::DropReason;

/// Initiations of one peer closer together than this are a flood (the kernel's INITIATIONS_PER_SECOND is 50).
const MIN_INITIATION_INTERVAL: Duration = Duration::from_millis(20);
/// A peer that begins WireGuard's handshake beside the message that brings the new PSK is that much ahead of it.
const ANSWER_AGAIN_TIME: Duration = Duration::from_secs(2);
/// For the answer that left the peer together with what we heard of it otherwise.
const ANSWER_GRACE: Duration = Duration::from_millis(250);

/// All WireGuard state towards one peer.
pub struct Sessions {
    peer: PublicKey,
    psks: Psks,
    ring: KeyRing,
    pending: Option<Box<Pending>>,
    macs: MacWriter,
    timers: Timers,
    /// The last that we sent.
    stamp: Stamp,
    /// The greatest of the peer's: what is not greater is a replay.
    peer_stamp: Stamp,
    peer_initiated_at: Option<Instant>,
    /// Its last initiation, when it was answered and no handshake has come of it yet.
    asked: Option<Asked>,
    has_new_handshake: bool,
}

/// An initiation that waits for its answer.
struct Pending {
    index: Index,
    noise: Initiator,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("peer", &self.peer)
            .field("handshake_at", &self.handshake_at())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// None for a public key that no honest peer has.
    pub fn new(
        interface: &Interface,
        peer: PublicKey,
        psk: Secret,
        cipher: Cipher,
        keepalive: Duration,
        now: Instant,
    ) -> Option<Self> {
        interface.keys.agrees_with(&peer).then(|| Self {
            peer,
            psks: Psks::new(psk, cipher),
            ring: KeyRing::new(now),
            pending: None,
            macs: MacWriter::new(&peer),
            timers: Timers::new(keepalive, now),
            stamp: [0; 12],
            peer_stamp: [0; 12],
            peer_initiated_at: None,
            asked: None,
            has_new_handshake: false,
        })
    }

    /// The session goes on carrying data until a handshake has confirmed the new PSK. An initiation that was sent
    /// already is sent anew, as the peer may have answered it with the old PSK.
    /// Returns whether it is another PSK than before.
    pub fn replace_psk(&mut self, psk: Secret, cipher: Cipher, keepalive: Duration, now: Instant) -> bool {
        self.note_sent();
        self.timers.set_persistent_keepalive(keepalive, now);
        let is_new = self.psks.replace(psk, cipher);
        if is_new && self.pending.take().is_some() {
            self.timers.restart_initiation(now);
        }
        is_new
    }

    /// Seals data without these sessions being asked, which take notice of it at their next call.
    pub fn sending(&self) -> &Arc<SendHalf> {
        self.ring.sending()
    }

    /// By which of our indices the peer may address us.
    pub fn indices(&self) -> impl Iterator<Item = Index> + '_ {
        self.ring.indices().chain(self.pending.as_ref().map(|pending| pending.index))
    }

    /// When the session in use was agreed.
    pub fn handshake_at(&self) -> Option<Instant> {
        self.ring.current().map(Session::made_at)
    }

    /// The initiation to send, unless one is on its way already.
    pub fn initiate(&mut self, interface: &Interface, draw: Draw, now: Instant) -> Option<Vec<u8>> {
        if self.timers.is_initiating() && self.pending.is_some() {
            return None;
        }
        self.begin(interface, draw, now)
    }

    /// The initiation to send although one was sent: the peer may have had it before it had us. None when a session with
    /// the newest PSK has been agreed already, and while the peer still keeps the last one for us: its answer must be
    /// close then, which another initiation would undo. If it is not, because one of the two was lost, that one
    /// follows at a deadline.
    pub fn initiate_anew(&mut self, interface: &Interface, draw: Draw, now: Instant) -> Option<Vec<u8>> {
        let is_fresh = |session: &Session| {
            session.epoch == self.psks.newest().number
                && now.duration_since(session.made_at()) < REKEY_AFTER_TIME
        };
        if self.ring.current().is_some_and(is_fresh) {
            return None;
        }
        if self.pending.is_some() && self.timers.has_initiated_within(ANSWER_AGAIN_TIME, now) {
            self.timers.hasten_retry(now + ANSWER_GRACE);
            return None;
        }
        self.begin(interface, draw, now)
    }

    /// Counters for that many packets; None when there is no session to send with.
    pub fn seal(&mut self, packets: usize, bytes: usize, mtu: usize, now: Instant) -> Option<Seals> {
        let seals = self.sending().seal(packets, bytes, mtu, now);
        if seals.is_none() && self.ring.current().is_some() {
            self.timers.want_rekey(now);
        }
        seals
    }

    /// The response to send back.
    pub fn handle_initiation(
        &mut self,
        initiation: Initiation,
        draw: Draw,
        now: Instant,
    ) -> Result<Vec<u8>, DropReason> {
        if initiation.stamp <= self.peer_stamp {
            return Err(DropReason::WireguardReplay);
        }
        self.note_sent();
        self.peer_stamp = initiation.stamp;
        let received_at = initiation.received_at;
        let is_flood = |at: Instant| received_at.duration_since(at) < MIN_INITIATION_INTERVAL;
        if self.peer_initiated_at.is_some_and(is_flood) {
            return Err(DropReason::WireguardRefused);
        }
        self.peer_initiated_at = Some(received_at);
        let epoch = self.psks.answer(received_at);
        self.answer_with(&epoch, initiation, draw, now)
    }

    /// The response to send although the initiation was answered: that was a moment ago, and with the PSK that has been
    /// replaced now. Its sender had the new one before us.
    pub fn answer_again(&mut self, interface: &mut Interface, draw: Draw, now: Instant) -> Option<Vec<u8>> {
        let asked = self.asked.take_if(|asked| now.duration_since(asked.received_at) < ANSWER_AGAIN_TIME)?;
        let epoch = self.psks.newest().clone();
        let initiation = interface.read_again(&asked)?;
        self.answer_with(&epoch, initiation, draw, now).ok()
    }

    fn answer_with(
        &mut self,
        epoch: &Epoch,
        initiation: Initiation,
        draw: Draw,
        now: Instant,
    ) -> Result<Vec<u8>, DropReason> {
        let Initiation { noise, message, sender, received_at, .. } = initiation;
        self.asked = Some(Asked { message, sender, received_at });
        let (keys, noise) = noise.finish(&epoch.psk).map_err(|_| DropReason::WireguardRefused)?;
        let parties = Parties { own: draw.index, peer: sender, is_initiator: false };
        self.ring.add_answered(Session::new(&parties, &keys, epoch.cipher, epoch.number, now));
        self.timers.made_session(now);
        self.timers.sent(now);
        Ok(self.macs.write(message::response(draw.index, sender, &noise), now))
    }

    /// The keepalive that confirms the session to the peer.
    pub fn handle_response(
        &mut self,
        index: Index,
        response: &Response,
        now: Instant,
    ) -> Result<Vec<u8>, DropReason> {
        self.note_sent();
        let refused = DropReason::WireguardRefused;
        let pending = self.pending.as_deref_mut().filter(|pending| pending.index == index).ok_or(refused)?;
        // The old PSK only if the peer cannot be reached otherwise: it may be the one that was changed last.
        let has_session = self.ring.current().is_some_and(|current| now < current.opens_until());
        let older = self.psks.older().filter(|_| !has_session);
        let (keys, epoch) = read(&mut pending.noise, self.psks.newest(), response)
            .or_else(|| read(&mut pending.noise, older?, response))
            .ok_or(refused)?;
        self.pending = None;
        let parties = Parties { own: index, peer: response.sender, is_initiator: true };
        self.ring.add_initiated(Session::new(&parties, &keys, epoch.cipher, epoch.number, now), now);
        self.timers.made_session(now);
        self.timers.received(now);
        self.complete_handshake(epoch.number);
        self.keepalive(now).ok_or(refused)
    }

    pub fn handle_cookie(&mut self, cookie: &Cookie, now: Instant) -> Result<(), DropReason> {
        match self.macs.handle_cookie(&cookie.nonce, &cookie.sealed, now) {
            true => Ok(()),
            false => Err(DropReason::WireguardRefused),
        }
    }

    pub fn open(&mut self, index: Index, counter: u64, now: Instant) -> Result<Open, DropReason> {
        self.ring.find(index).ok_or(DropReason::NoSession)?.open(counter, now)
    }

    /// Length of the packet with its padding; None for a keepalive.
    pub fn accept(&mut self, opened: &Opened, now: Instant) -> Result<Option<usize>, DropReason> {
        self.note_sent();
        let session = self.ring.find(opened.index()).ok_or(DropReason::NoSession)?;
        let bytes = session.accept(opened, now)?;
        let epoch = session.epoch;
        let wants_rekey = session.wants_rekey_after_receipt(now);
        if self.ring.confirm(opened.index(), now) {
            self.asked = None;
            self.complete_handshake(epoch);
        } else if wants_rekey {
            self.timers.want_rekey(now);
        }
        if bytes == 0 {
            self.timers.received(now);
            return Ok(None);
        }
        self.timers.received_data(now);
        Ok(Some(bytes))
    }

    /// Whether a handshake was completed since the last call.
    pub fn take_new_handshake(&mut self) -> bool {
        std::mem::take(&mut self.has_new_handshake)
    }

    /// What is due, as datagrams to send. Returns true when the peer did not answer for so long that whatever
    /// waits for a session is given up.
    pub fn handle_timeout(
        &mut self,
        interface: &Interface,
        draw: Draw,
        now: Instant,
        mut send: impl FnMut(Vec<u8>),
    ) -> bool {
        self.note_sent();
        self.ring.drop_expired(now);
        let mut draw = Some(draw);
        let mut gave_up = false;
        while let Some(due) = self.timers.poll(now) {
            let keepalive = if due == Due::Keepalive { self.keepalive(now) } else { None };
            match due {
                Due::Keepalive if keepalive.is_some() => keepalive.into_iter().for_each(&mut send),
                Due::Keepalive | Due::Initiation => {
                    let draw = draw.take_if(|_| !self.timers.is_initiating());
                    let initiation = draw.and_then(|draw| self.begin(interface, draw, now));
                    initiation.into_iter().for_each(&mut send);
                }
                Due::GiveUp => {
                    self.pending = None;
                    gave_up = true;
                }
                Due::Forget => {
                    self.ring.clear();
                    self.psks.forget_older();
                }
            }
        }
        gave_up
    }

    pub fn next_timeout(&mut self) -> Option<Instant> {
        self.note_sent();
        [self.timers.next_timeout(), self.ring.next_timeout()].into_iter().flatten().min()
    }

    fn begin(&mut self, interface: &Interface, draw: Draw, now: Instant) -> Option<Vec<u8>> {
        self.note_sent();
        self.stamp = interface.stamp(&self.stamp, now);
        let (noise, message) = Initiator::begin(&interface.keys, &self.peer, draw.seed, &self.stamp).ok()?;
        self.pending = Some(Box::new(Pending { index: draw.index, noise }));
        self.timers.sent_initiation(draw.jitter, now);
        Some(self.macs.write(message::initiation(draw.index, &message), now))
    }

    /// Tells the timers of the data that was sent meanwhile. Comes first wherever they are moved or asked, so that
    /// they hear of everything in its order.
    fn note_sent(&mut self) {
        let Some((first, last)) = self.sending().take_sent() else {
            return;
        };
        self.timers.sent_data(first);
        self.timers.sent_data(last);
        if self.ring.current().is_some_and(|session| session.wants_rekey_after_send(last)) {
            self.timers.want_rekey(last);
        }
    }

    fn complete_handshake(&mut self, epoch: u32) {
        self.psks.confirm(epoch);
        self.has_new_handshake = true;
        if epoch == self.psks.newest().number {
            self.pending = None;
        }
        if self.pending.is_none() {
            self.timers.stop_initiating();
        }
    }

    fn keepalive(&mut self, now: Instant) -> Option<Vec<u8>> {
        let mut datagram = vec![0; HEADER_BYTES + TAG_BYTES];
        let session = self.ring.current()?;
        session.sender().seal(1, 0, 0, now)?.seal(&[], &mut datagram)?;
        if session.wants_rekey_after_send(now) {
            self.timers.want_rekey(now);
        }
        self.timers.sent(now);
        Some(datagram)
    }
}

fn read(noise: &mut Initiator, epoch: &Epoch, response: &Response) -> Option<(TransportKeys, Epoch)> {
    let keys = noise.finish(&epoch.psk, &response.noise).ok()?;
    Some((keys, epoch.clone()))
}
