//! What the engine knows, without any I/O: every function takes bytes and the time, and gives bytes back.
//!
//! [`Router`] is the whole of it: which peer a packet belongs to, what is held until a peer or a session
//! is there, and the WireGuard state behind. Segmentation ([`segment`], [`join`]) stands beside it, because
//! it touches every packet and none of that state.
//!
//! A packet is an IP packet of the overlay; a datagram is the payload of a UDP datagram of the underlay.

#![forbid(unsafe_code)]

pub mod allowed_ips;
pub mod checksum;
pub mod drops;
pub mod ecn;
pub mod first_byte;
pub mod gate;
mod hold;
pub mod icmp;
pub mod join;
pub mod load;
pub mod packet;
mod path;
mod router;
pub mod segment;
pub mod vnet;
pub mod wireguard;

pub use path::Path;
pub use router::{MAX_PEERS, Output, PeerConfig, PeerSnapshot, Route, Router, RouterError, Sending};
