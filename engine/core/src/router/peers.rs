//! The peers, and by what each is found: its key, our indices towards it, the addresses it may use.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sending::{Outgoing, Sending, Table};
use super::{MAX_PEERS, PeerConfig, PeerSnapshot, RouterError};
use crate::allowed_ips::{AllowedIps, MAX_PREFIXES, Prefix};
use crate::drops::DropReason;
use crate::hold::Hold;
use crate::path::Path;
use crate::wireguard::{Index, PublicKey, Sessions};

/// While a peer that is not followed sends from elsewhere: often enough that its new path is found in a moment, and no
/// event for every packet.
const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// Where a peer stands in the table, for as long as it is there.
pub(super) type Slot = usize;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) public_key: PublicKey,
    path: Path,
    pub(super) follow: bool,
    /// Where its last initiation came from.
    pub(super) asked_from: Option<Path>,
    told_at: Option<Instant>,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) sessions: Sessions,
    /// Packets that wait for a session.
    pub(super) waiting: Hold,
    pub(super) rx_bytes: u64,
    pub(super) rx_packets: u64,
    /// An address that was found among its allowed ones, as long as these do not change.
    sends_as: Option<IpAddr>,
    allowed_ips: Vec<Prefix>,
    /// What `by_index` has for this peer.
    indices: Vec<Index>,
}

impl Peer {
    pub(super) fn new(config: &PeerConfig, sessions: Sessions) -> Self {
        Self {
            public_key: config.public_key,
            path: config.path,
            follow: config.follow,
            asked_from: None,
            told_at: None,
            outgoing: Arc::new(Outgoing::new(config.path, Arc::clone(sessions.sending()))),
            sessions,
            waiting: Hold::default(),
            rx_bytes: 0,
            rx_packets: 0,
            sends_as: None,
            allowed_ips: Vec::new(),
            indices: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> Path {
        self.path
    }

    pub(super) fn ipv6_address(&self) -> Option<Ipv6Addr> {
        self.allowed_ips.iter().find_map(|prefix| match prefix.network() {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
    }

    pub(super) fn set_path(&mut self, path: Path) {
        self.path = path;
        self.outgoing.set_path(path);
    }

    /// Something authentic came from elsewhere. Follows it, or says whether that is to be told.
    pub(super) fn is_news(&mut self, source: Path, now: Instant) -> bool {
        if self.follow {
            self.set_path(source);
            return true;
        }
        let is_recent = |at: Instant| now.duration_since(at) < TELL_INTERVAL;
        let is_news = !self.told_at.is_some_and(is_recent);
        if is_news {
            self.told_at = Some(now);
        }
        is_news
    }

    pub(super) fn snapshot(&self, now: Instant) -> PeerSnapshot {
        let (tx_packets, tx_bytes) = self.outgoing.sent();
        PeerSnapshot {
            public_key: self.public_key,
            path: self.path,
            tx_bytes,
            rx_bytes: self.rx_bytes,
            tx_packets,
            rx_packets: self.rx_packets,
            handshake_age: self.sessions.handshake_at().map(|at| now.duration_since(at)),
        }
    }
}

/// Indices are random numbers of our own, so nobody can choose some that collide.
#[derive(Debug, Default)]
struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The table takes its buckets from the low bits and its tags from the high ones.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

#[derive(Debug)]
pub(super) struct PeerTable {
    sending: Arc<Sending>,
    peers: Vec<Option<Peer>>,
    by_key: HashMap<PublicKey, Slot>,
    by_index: HashMap<Index, Slot, BuildHasherDefault<IndexHasher>>,
    routes: AllowedIps<Slot>,
}

impl PeerTable {
    pub(super) fn new(mtu: usize) -> Self {
        Self {
            sending: Arc::new(Sending::new(mtu)),
            peers: Vec::new(),
            by_key: HashMap::new(),
            by_index: HashMap::default(),
            routes: AllowedIps::default(),
        }
    }

    /// Sends to the peers of this table.
    pub(super) fn sending(&self) -> &Arc<Sending> {
        &self.sending
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.peers.iter_mut().flatten()
    }

    /// Every slot that may be taken.
    pub(super) fn slots(&self) -> std::ops::Range<Slot> {
        0..self.peers.len()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.peers.get_mut(slot)?.as_mut()
    }

    pub(super) fn find(&self, public_key: &PublicKey) -> Option<Slot> {
        self.by_key.get(public_key).copied()
    }

    pub(super) fn route(&self, address: IpAddr) -> Option<Slot> {
        self.routes.lookup(address)
    }

    /// The peer whom one of our indices belongs to.
    pub(super) fn at(&mut self, index: Index) -> Result<(Slot, &mut Peer), DropReason> {
        let slot = *self.by_index.get(&index).ok_or(DropReason::WireguardRefused)?;
        let peer = self.peers[slot].as_mut().ok_or(DropReason::WireguardRefused)?;
        Ok((slot, peer))
    }

    /// Whether packets from there may come from this peer.
    pub(super) fn may_send_as(&mut self, slot: Slot, source: IpAddr) -> bool {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return false;
        };
        if peer.sends_as == Some(source) {
            return true;
        }
        let may = self.routes.lookup(source) == Some(slot);
        if may {
            peer.sends_as = Some(source);
        }
        may
    }

    pub(super) fn has_index(&self, index: Index) -> bool {
        self.by_index.contains_key(&index)
    }

    pub(super) fn has_room(&self) -> bool {
        self.by_key.len() < MAX_PEERS
    }

    pub(super) fn insert(&mut self, peer: Peer) -> Slot {
        let slot = self.peers.iter().position(Option::is_none).unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        self.by_key.insert(peer.public_key, slot);
        self.peers[slot] = Some(peer);
        slot
    }

    pub(super) fn remove(&mut self, public_key: &PublicKey) -> Option<Peer> {
        let slot = self.by_key.remove(public_key)?;
        let peer = self.peers[slot].take()?;
        for prefix in &peer.allowed_ips {
            self.routes.remove(prefix);
        }
        self.publish();
        for index in &peer.indices {
            self.by_index.remove(index);
        }
        Some(peer)
    }

    /// Whether the peer in `own`, or a new one, may have these prefixes.
    pub(super) fn check_prefixes(&self, own: Option<Slot>, prefixes: &[Prefix]) -> Result<(), RouterError> {
        for prefix in prefixes {
            if self.routes.get(prefix).is_some_and(|owner| Some(owner) != own) {
                return Err(RouterError::PrefixTaken(*prefix));
            }
        }
        if self.routes.len() + prefixes.len() > MAX_PREFIXES {
            return Err(RouterError::TooManyPrefixes);
        }
        Ok(())
    }

    pub(super) fn set_prefixes(&mut self, slot: Slot, prefixes: Vec<Prefix>) {
        let Some(peer) = &mut self.peers[slot] else {
            return;
        };
        if peer.allowed_ips == prefixes {
            return;
        }
        for prefix in std::mem::replace(&mut peer.allowed_ips, prefixes) {
            self.routes.remove(&prefix);
        }
        for prefix in &peer.allowed_ips {
            self.routes.insert(*prefix, slot);
        }
        self.publish();
    }

    /// Brings `by_index` up to date after the peer's keys may have changed.
    pub(super) fn register(&mut self, slot: Slot) {
        let Some(peer) = &mut self.peers[slot] else {
            return;
        };
        if peer.sessions.indices().eq(peer.indices.iter().copied()) {
            return;
        }
        for index in peer.indices.drain(..) {
            self.by_index.remove(&index);
        }
        peer.indices.extend(peer.sessions.indices());
        for index in &peer.indices {
            self.by_index.insert(*index, slot);
        }
    }

    /// The whole table, because peers and prefixes seldom change: a full one costs a millisecond or two.
    fn publish(&mut self) {
        self.iter_mut().for_each(|peer| peer.sends_as = None);
        let peers = self.peers.iter().map(|peer| Some(Arc::clone(&peer.as_ref()?.outgoing)));
        self.sending.replace(Table { routes: self.routes.clone(), peers: peers.collect() });
    }
}
