//! The WireGuard protocol (www.wireguard.com/papers/wireguard.pdf), as the router sees it.
//!
//! [`Interface`] is this host's static key and reads what arrives; [`Sessions`] is the state towards one peer.
//! Its half that sends, [`SendHalf`], is shared with whoever sends, and takes no lock; an [`Open`] is made under the
//! router's lock and used outside it.
//! Nothing here reads a clock or asks the system for chance; no secret is compared in variable time.

pub(crate) mod blake;
mod cipher;
mod interface;
mod keyring;
mod limiter;
pub(crate) mod mac;
mod message;
mod noise;
mod psks;
pub(crate) mod random;
mod replay;
mod sending;
mod session;
mod sessions;
mod timers;

use std::fmt;

use zeroize::Zeroizing;

pub use cipher::Cipher;
pub use interface::{Draw, Initiation, Interface, Received};
pub use sending::{Seals, SendHalf};
pub use session::{Open, Opened};
pub use sessions::Sessions;

/// A key that must not be copied around or printed.
pub type Secret = Zeroizing<[u8; 32]>;

/// Of a transport datagram; its packet begins behind it.
pub const HEADER_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const PADDING: usize = 16;

/// The most that the datagram with a packet of `packet_bytes` may take.
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

/// Names keys on the wire: ours towards the peer, the peer's towards us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Index(u32);
