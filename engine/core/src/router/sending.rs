//! What the thread that sends needs of the router. It takes no lock: the table is replaced as a whole, what
//! changes in a peer is replaced inside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::Route;
use super::peers::Slot;
use crate::allowed_ips::AllowedIps;
use crate::drops::DropReason;
use crate::packet::{IpHeader, is_link_scoped};
use crate::wireguard::SendHalf;

/// One peer.
#[derive(Debug)]
pub(super) struct Outgoing {
    path: ArcSwap<SocketAddr>,
    half: Arc<SendHalf>,
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Outgoing {
    pub(super) fn new(path: SocketAddr, half: Arc<SendHalf>) -> Self {
        let (packets, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { path: ArcSwap::from_pointee(path), half, packets, bytes }
    }

    pub(super) fn set_path(&self, path: SocketAddr) {
        self.path.store(Arc::new(path));
    }

    pub(super) fn count_sent(&self, packets: usize, bytes: usize) {
        self.packets.fetch_add(packets as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Packets and bytes sent.
    pub(super) fn sent(&self) -> (u64, u64) {
        (self.packets.load(Relaxed), self.bytes.load(Relaxed))
    }
}

/// The peers at one moment.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) routes: AllowedIps<Slot>,
    pub(super) peers: Vec<Option<Arc<Outgoing>>>,
}

/// Routes packets and reserves counters for them. Whatever the router changes holds for the next packet. What is
/// to be held goes to [`super::Router::hold`].
#[derive(Debug)]
pub struct Sending {
    table: ArcSwap<Table>,
    mtu: AtomicUsize,
}

impl Sending {
    pub(super) fn new(mtu: usize) -> Self {
        Self { table: ArcSwap::default(), mtu: AtomicUsize::new(mtu) }
    }

    pub(super) fn mtu(&self) -> usize {
        self.mtu.load(Relaxed)
    }

    /// Of the TUN device, when somebody has changed it: no packet is padded beyond it.
    pub fn set_mtu(&self, mtu: usize) {
        self.mtu.store(mtu, Relaxed);
    }

    pub(super) fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// Finds the peer for a packet that will become `packets` packets of `bytes` bytes together.
    pub fn route(&self, ip: &IpHeader, packets: usize, bytes: usize, now: Instant) -> Route {
        if is_link_scoped(ip.destination) {
            return Route::Drop(DropReason::LinkLocal);
        }
        let table = self.table.load();
        let slot = table.routes.lookup(ip.destination);
        let Some(peer) = slot.and_then(|slot| table.peers.get(slot)?.as_deref()) else {
            return Route::Hold;
        };
        let Some(seals) = peer.half.seal(packets, bytes, self.mtu(), now) else {
            return Route::Hold;
        };
        peer.count_sent(packets, bytes);
        Route::To(**peer.path.load(), seals)
    }
}
