//! The engine's edge: UDP ports, a TUN device, and the threads between them.
//!
//! Everything that is decided stands in `shadowmesh_core`; everything `unsafe` stands in the folder of the
//! operating system, behind the same few functions (`Port`, `Tun`, `Signal`, `wait`). System calls are
//! made with libc and not with a crate for TUN and UDP: a super-packet is read with its virtio header, cut
//! and sealed straight into the buffer of one segmented send, and such crates copy in between.

mod engine;
mod events;
mod offloads;
mod outbox;
mod ports;
mod rx;
mod shared;
mod threads;
mod tx;

#[cfg(not(target_os = "linux"))]
compile_error!("the engine has an edge for Linux only so far");

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;

pub use engine::{Config, Counters, Engine, Error, MAX_CONTROL_BYTES};
pub use events::Event;
pub use offloads::Offloads;
