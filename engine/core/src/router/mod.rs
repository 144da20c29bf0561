//! Which peer a packet belongs to, what waits, and the WireGuard state of all peers.
//!
//! The thread that sends has [`Sending`], which takes no lock, and comes to the router only with what must wait.
//! The thread that receives takes the router's lock for a batch at a time: [`Router::receive`] and
//! [`Router::accept`] stand before and after opening it. The ciphers run outside. After any call, drain
//! [`Router::poll`].

mod early;
mod peers;
mod sending;
mod unrouted;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::allowed_ips::Prefix;
use crate::drops::{DropReason, Drops};
use crate::icmp;
use crate::packet::IpHeader;
use crate::path::Path;
use crate::wireguard::{
    Cipher, Draw, HEADER_BYTES, Initiation, Interface, Open, Opened, PublicKey, Received, Seals, Secret,
    Sessions, sealed_bytes,
};
use early::Early;
use peers::{Peer, PeerTable, Slot};
pub use sending::Sending;
use unrouted::Unrouted;

/// A peer with three sessions costs 9 KB: 40 MB for a full table, and a node trusts dozens.
pub const MAX_PEERS: usize = 4_096;

/// What the shell must do, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    Send {
        datagram: Vec<u8>,
        destination: Path,
    },
    /// A packet for the TUN device.
    Deliver(Vec<u8>),
    Unrouted(IpAddr),
    Handshake(PublicKey),
    /// Authentic datagrams of this peer come from there. It was followed, if it is to be.
    Roamed(PublicKey, Path),
}

/// What to do with a packet from the TUN device.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// To be sealed and sent there.
    To(Path, Seals),
    /// Cut it and give each packet to [`Router::hold`].
    Hold,
    Drop(DropReason),
}

#[derive(Debug)]
pub struct PeerConfig {
    pub public_key: PublicKey,
    pub psk: Secret,
    pub cipher: Cipher,
    pub path: Path,
    pub allowed_ips: Vec<Prefix>,
    pub keepalive: Duration,
    pub initiate: bool,
    /// Whether its path moves to where its datagrams come from, as WireGuard does it; otherwise that is only told.
    pub follow: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterError {
    /// The peer's public key is our own, or of low order.
    UnusableKey,
    PrefixTaken(Prefix),
    TooManyPeers,
    TooManyPrefixes,
    UnknownPeer,
}

#[derive(Debug, Clone)]
pub struct PeerSnapshot {
    pub public_key: PublicKey,
    pub path: Path,
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub rx_packets: u64,
    pub handshake_age: Option<Duration>,
}

#[derive(Debug)]
pub struct Router {
    interface: Interface,
    own: Vec<IpAddr>,
    drops: Arc<Drops>,
    peers: PeerTable,
    unrouted: Unrouted,
    early: Early,
    outputs: VecDeque<Output>,
}

impl Router {
    /// `own`: the only addresses that packets of peers are let through to. `mtu`: of the TUN device; no packet is
    /// padded beyond it.
    pub fn new(interface: Interface, own: Vec<IpAddr>, mtu: usize, drops: Arc<Drops>) -> Self {
        Self {
            interface,
            own,
            drops,
            peers: PeerTable::new(mtu),
            unrouted: Unrouted::default(),
            early: Early::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Stays the same for as long as the router lives.
    pub fn sending(&self) -> Arc<Sending> {
        Arc::clone(self.peers.sending())
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Adds a peer, or replaces PSK, path, keepalive and prefixes of the one that is there. An initiation of it that
    /// came within the last 2 s is answered. On an error nothing has changed.
    pub fn add_peer(&mut self, config: PeerConfig, now: Instant) -> Result<(), RouterError> {
        if config.public_key == self.interface.public_key() {
            return Err(RouterError::UnusableKey);
        }
        let known = self.peers.find(&config.public_key);
        self.peers.check_prefixes(known, &config.allowed_ips)?;
        let slot = match known {
            Some(slot) => {
                self.replace_peer(slot, &config, now);
                slot
            }
            None => self.insert_peer(&config, now)?,
        };
        self.peers.set_prefixes(slot, config.allowed_ips);
        self.peers.register(slot);
        self.drop_expired_initiations(now);
        if let Some((source, initiation)) = self.early.take(&config.public_key)
            && let Err(reason) = self.answer(slot, source, initiation, now)
        {
            self.drops.count(reason);
        }
        if config.initiate {
            self.initiate(slot, now, Sessions::initiate_anew);
        }
        self.release_unrouted(now);
        Ok(())
    }

    pub fn set_path(&mut self, public_key: PublicKey, path: Path) -> Result<(), RouterError> {
        let slot = self.peers.find(&public_key).ok_or(RouterError::UnknownPeer)?;
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.set_path(path);
        }
        Ok(())
    }

    /// Where the peer is, and an address of IPv6 that it may use here.
    pub fn find_peer(&mut self, public_key: PublicKey) -> Result<(Path, Option<Ipv6Addr>), RouterError> {
        let slot = self.peers.find(&public_key);
        let peer = slot.and_then(|slot| self.peers.get_mut(slot)).ok_or(RouterError::UnknownPeer)?;
        Ok((peer.path(), peer.ipv6_address()))
    }

    pub fn remove_peer(&mut self, public_key: PublicKey) {
        if let Some(peer) = self.peers.remove(&public_key) {
            self.drops.count_many(DropReason::NoSession, peer.waiting.len() as u64);
        }
    }

    /// Keeps a packet until its peer has a session, or until there is such a peer.
    pub fn hold(&mut self, packet: &[u8], now: Instant) {
        let Some(ip) = IpHeader::parse(packet) else {
            self.drops.count(DropReason::MalformedPacket);
            return;
        };
        if let Some(slot) = self.peers.route(ip.destination) {
            self.send_or_wait(slot, packet.to_vec(), now);
            return;
        }
        if let Some(oldest) = self.unrouted.packets.push(packet.to_vec(), now) {
            self.give_up(&oldest);
        }
        if self.unrouted.is_news(ip.destination, now) {
            self.outputs.push_back(Output::Unrouted(ip.destination));
        }
    }

    /// Takes a WireGuard datagram. Handshakes are dealt with here; data is to be opened by the caller.
    pub fn receive(&mut self, source: Path, datagram: &[u8], now: Instant) -> Option<Open> {
        match self.try_receive(source, datagram, now) {
            Ok(open) => open,
            Err(reason) => {
                self.drops.count(reason);
                None
            }
        }
    }

    /// Takes an opened datagram, which begins at `at` of `arena`. Returns where its IP packet lies, without
    /// padding; None for a keepalive and for whatever must not pass.
    pub fn accept(
        &mut self,
        opened: Opened,
        source: Path,
        arena: &[u8],
        at: usize,
        now: Instant,
    ) -> Option<Range<usize>> {
        match self.try_accept(opened, source, arena, at, now) {
            Ok(range) => range,
            Err(reason) => {
                self.drops.count(reason);
                None
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(packet) = self.unrouted.packets.pop_expired(now) {
            self.give_up(&packet);
        }
        self.drop_expired_initiations(now);
        for slot in self.peers.slots() {
            let next = self.peers.get_mut(slot).and_then(|peer| peer.sessions.next_timeout());
            if next.is_none_or(|at| now < at) {
                continue;
            }
            let draw = self.draw();
            let Some(peer) = self.peers.get_mut(slot) else {
                continue;
            };
            let (outputs, destination) = (&mut self.outputs, peer.path());
            let gave_up = peer.sessions.handle_timeout(&self.interface, draw, now, |datagram| {
                outputs.push_back(Output::Send { datagram, destination });
            });
            if gave_up {
                let waited = peer.waiting.take(|_| true).len();
                self.drops.count_many(DropReason::NoSession, waited as u64);
            }
            self.peers.register(slot);
        }
    }

    pub fn next_timeout(&mut self) -> Option<Instant> {
        let sessions = self.peers.iter_mut().filter_map(|peer| peer.sessions.next_timeout());
        let held = [self.unrouted.packets.next_timeout(), self.early.next_timeout()];
        sessions.chain(held.into_iter().flatten()).min()
    }

    pub fn peers(&self, now: Instant) -> Vec<PeerSnapshot> {
        self.peers.iter().map(|peer| peer.snapshot(now)).collect()
    }

    fn insert_peer(&mut self, config: &PeerConfig, now: Instant) -> Result<Slot, RouterError> {
        if !self.peers.has_room() {
            return Err(RouterError::TooManyPeers);
        }
        let (key, psk) = (config.public_key, config.psk.clone());
        let sessions = Sessions::new(&self.interface, key, psk, config.cipher, config.keepalive, now)
            .ok_or(RouterError::UnusableKey)?;
        Ok(self.peers.insert(Peer::new(config, sessions)))
    }

    fn replace_peer(&mut self, slot: Slot, config: &PeerConfig, now: Instant) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.set_path(config.path);
            peer.follow = config.follow;
            let is_new = peer.sessions.replace_psk(config.psk.clone(), config.cipher, config.keepalive, now);
            if is_new {
                self.answer_again(slot, now);
            }
        }
    }

    fn initiate(
        &mut self,
        slot: Slot,
        now: Instant,
        initiate: fn(&mut Sessions, &Interface, Draw, Instant) -> Option<Vec<u8>>,
    ) {
        let draw = self.draw();
        if let Some(peer) = self.peers.get_mut(slot)
            && let Some(datagram) = initiate(&mut peer.sessions, &self.interface, draw, now)
        {
            self.outputs.push_back(Output::Send { datagram, destination: peer.path() });
            self.peers.register(slot);
        }
    }

    fn draw(&mut self) -> Draw {
        self.interface.draw(|index| self.peers.has_index(index))
    }

    fn send_or_wait(&mut self, slot: Slot, packet: Vec<u8>, now: Instant) {
        let mtu = self.peers.sending().mtu();
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        if let Some(mut seals) = peer.sessions.seal(1, packet.len(), mtu, now) {
            let mut datagram = vec![0; sealed_bytes(packet.len())];
            if let Some(length) = seals.seal(&packet, &mut datagram) {
                datagram.truncate(length);
                peer.outgoing.count_sent(1, packet.len());
                let destination = peer.path();
                self.outputs.push_back(Output::Send { datagram, destination });
            }
            return;
        }
        if peer.waiting.push(packet, now).is_some() {
            self.drops.count(DropReason::NoSession);
        }
        self.initiate(slot, now, Sessions::initiate);
    }

    /// It is answered where it came from, but does not move the path, as it would in WireGuard: it proves the static
    /// key and not the PSK. The first packet under the new keys moves it.
    fn answer(
        &mut self,
        slot: Slot,
        source: Path,
        initiation: Initiation,
        now: Instant,
    ) -> Result<(), DropReason> {
        let draw = self.draw();
        let peer = self.peers.get_mut(slot).ok_or(DropReason::WireguardRefused)?;
        let response = peer.sessions.handle_initiation(initiation, draw, now)?;
        peer.asked_from = Some(source);
        self.peers.register(slot);
        self.outputs.push_back(Output::Send { datagram: response, destination: source });
        Ok(())
    }

    /// What the peer asked before we had the PSK that it meant.
    fn answer_again(&mut self, slot: Slot, now: Instant) {
        let draw = self.draw();
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        if let Some(datagram) = peer.sessions.answer_again(&mut self.interface, draw, now) {
            let destination = peer.asked_from.unwrap_or(peer.path());
            self.peers.register(slot);
            self.outputs.push_back(Output::Send { datagram, destination });
        }
    }

    fn drop_expired_initiations(&mut self, now: Instant) {
        self.drops.count_many(DropReason::WireguardRefused, self.early.drop_expired(now) as u64);
    }

    fn release_unrouted(&mut self, now: Instant) {
        let peers = &self.peers;
        let released = self
            .unrouted
            .packets
            .take(|packet| IpHeader::parse(packet).is_some_and(|ip| peers.route(ip.destination).is_some()));
        for packet in released {
            self.hold(&packet, now);
        }
    }

    fn give_up(&mut self, packet: &[u8]) {
        self.drops.count(DropReason::Unrouted);
        self.outputs.extend(icmp::unreachable(packet).map(Output::Deliver));
    }

    fn try_receive(
        &mut self,
        source: Path,
        datagram: &[u8],
        now: Instant,
    ) -> Result<Option<Open>, DropReason> {
        match self.interface.receive(source.address, datagram, now)? {
            Received::CookieReply(reply) => {
                self.outputs.push_back(Output::Send { datagram: reply, destination: source });
            }
            Received::Data(index, counter) => {
                let (_, peer) = self.peers.at(index)?;
                return peer.sessions.open(index, counter, now).map(Some);
            }
            Received::Cookie(index, cookie) => {
                let (_, peer) = self.peers.at(index)?;
                peer.sessions.handle_cookie(&cookie, now)?;
            }
            Received::Initiation(key, initiation) => match self.peers.find(&key) {
                Some(slot) => self.answer(slot, source, *initiation, now)?,
                None => {
                    let dropped = self.early.push(key, source, initiation);
                    dropped.map_or(Ok(()), Err)?;
                }
            },
            Received::Response(index, response) => {
                let (slot, peer) = self.peers.at(index)?;
                let confirmation = peer.sessions.handle_response(index, &response, now)?;
                self.outputs.push_back(Output::Send { datagram: confirmation, destination: source });
                self.heard_from(slot, source, now);
            }
        }
        Ok(None)
    }

    fn try_accept(
        &mut self,
        opened: Opened,
        source: Path,
        arena: &[u8],
        at: usize,
        now: Instant,
    ) -> Result<Option<Range<usize>>, DropReason> {
        let (slot, peer) = self.peers.at(opened.index())?;
        let length = peer.sessions.accept(&opened, now)?;
        self.heard_from(slot, source, now);
        let Some(length) = length else {
            return Ok(None);
        };
        let at = at + HEADER_BYTES;
        let packet = arena.get(at..at + length).ok_or(DropReason::MalformedPacket)?;
        let ip = IpHeader::parse(packet).ok_or(DropReason::MalformedPacket)?;
        if !self.peers.may_send_as(slot, ip.source) {
            return Err(DropReason::SourceNotAllowed);
        }
        if !self.own.contains(&ip.destination) {
            return Err(DropReason::DestinationNotOwn);
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.rx_packets += 1;
            peer.rx_bytes += ip.total_bytes as u64;
        }
        Ok(Some(at..at + ip.total_bytes))
    }

    /// Something that only the peer can have sent: it may have moved, and a session may have begun.
    fn heard_from(&mut self, slot: Slot, source: Path, now: Instant) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        if peer.path() != source && peer.is_news(source, now) {
            self.outputs.push_back(Output::Roamed(peer.public_key, source));
        }
        if !peer.sessions.take_new_handshake() {
            return;
        }
        self.outputs.push_back(Output::Handshake(peer.public_key));
        let waiting = peer.waiting.take(|_| true);
        self.peers.register(slot);
        for packet in waiting {
            self.send_or_wait(slot, packet, now);
        }
    }
}
