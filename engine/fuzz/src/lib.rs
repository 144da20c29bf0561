//! What untrusted bytes must not do to the core. A target is a function that takes any bytes and panics when something
//! is not as it must be.
//!
//! libFuzzer looks for such bytes (`scripts/fuzz-engine.sh`); `tests/corpus.rs` runs what it has kept, in `corpus/`.
//! The same bytes always do the same: the clock and all chance are fixed.

#![forbid(unsafe_code)]

mod allowed_ips;
mod book;
mod datagram;
mod gate;
mod input;
mod join;
mod packet;
mod super_packet;
mod world;

pub use allowed_ips::allowed_ips;
pub use datagram::datagram;
pub use gate::gate;
pub use join::join;
pub use packet::packet;
pub use super_packet::super_packet;

/// A target by the name of its program and of its folder in the corpus.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("allowed_ips", allowed_ips),
    ("datagram", datagram),
    ("gate", gate),
    ("join", join),
    ("packet", packet),
    ("super_packet", super_packet),
];
