//! The WireGuard protocol, as the router sees it. Nothing outside this folder knows which library stands behind.
//!
//! [`Interface`] is this host's static key and reads what arrives; [`Sessions`] is the state towards one peer.
//! Sealing and opening need neither: [`Seal`] and [`Open`] are made under the router's lock and used outside it.

mod interface;
mod sessions;

use std::fmt;

use sanstun::{Committed, Decrypted, PendingDecapsulate, PendingEncapsulate, TunnelId};
use zeroize::Zeroizing;

pub use interface::{Interface, Received};
pub use sessions::Sessions;

/// A key that must not be copied around or printed.
pub type Secret = Zeroizing<[u8; 32]>;

const HEADER_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const PADDING: usize = 16;

/// Length of the datagram that carries a packet of `packet_bytes`.
pub const fn sealed_bytes(packet_bytes: usize) -> usize {
    HEADER_BYTES + packet_bytes.next_multiple_of(PADDING) + TAG_BYTES
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..")
    }
}

/// A reserved counter and the key it belongs to: seals one packet.
#[derive(Debug)]
pub struct Seal(PendingEncapsulate);

impl Seal {
    /// Length of the datagram, which begins at the start of `datagram`; None when there is no room.
    pub fn seal(self, packet: &[u8], datagram: &mut [u8]) -> Option<usize> {
        self.0.encrypt(packet, datagram).ok().map(|sealed| sealed.len())
    }
}

/// Names one of our keys on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Index(TunnelId);

/// A transport datagram whose key is known.
#[derive(Debug)]
pub struct Open {
    index: Index,
    pending: PendingDecapsulate,
}

impl Open {
    /// Opens `datagram` into `packet`; whether that went well shows when [`Sessions::accept`] takes it.
    pub fn open(self, datagram: &[u8], packet: &mut [u8]) -> Opened {
        let decrypted = self.pending.decrypt(datagram, packet).map(|_, _| ());
        Opened { index: self.index, decrypted }
    }
}

#[derive(Debug)]
pub struct Opened {
    index: Index,
    decrypted: Decrypted<()>,
}

impl Opened {
    pub fn index(&self) -> Index {
        self.index
    }
}

/// Length of the packet with its padding; None for a keepalive.
fn packet_bytes(committed: &Committed<()>) -> Option<usize> {
    match committed {
        Committed::Data { len, .. } => Some(*len),
        Committed::Keepalive => None,
    }
}
