//! UDP to TUN: receives a batch, opens it, joins what belongs together and writes it.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use shadowmesh_core::Path;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::ecn;
use shadowmesh_core::first_byte::{Kind, kind};
use shadowmesh_core::gate::Verdict;
use shadowmesh_core::join::{Joiner, Joins};
use shadowmesh_core::vnet::VnetHeader;
use shadowmesh_core::wireguard::{Open, Opened};

use crate::engine::MAX_CONTROL_BYTES;
use crate::events::Event;
use crate::os::{Message, Port, Received, Tun, WriteError};
use crate::shared::Shared;

/// The virtio header and the pieces of a joined packet.
const MAX_SLICES: usize = 80;

/// What it takes to carry a batch from a port to the device; nothing of it is made anew for the next one.
pub(crate) struct Receiver<'a> {
    shared: &'a Shared,
    /// Datagrams, and after they were opened their packets, in place.
    received: Received,
    /// Where each datagram lies, what it came in, and its key.
    open: Vec<(Range<usize>, Message, Open)>,
    /// Where each datagram begins.
    opened: Vec<(usize, Message, Opened)>,
    /// With the traffic class of the datagram.
    packets: Vec<(Range<usize>, u8)>,
    joiner: Joiner,
}

impl<'a> Receiver<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let joins = shared.tun.as_ref().map_or(Joins::NONE, Tun::joins);
        Self {
            shared,
            received: Received::new(),
            open: Vec::new(),
            opened: Vec::new(),
            packets: Vec::new(),
            joiner: Joiner::new(joins),
        }
    }

    /// Takes one batch of what has come to a port. Returns whether the device got any of it. The outer error ends the
    /// engine, the inner one is the port's.
    pub(crate) fn take(&mut self, port: &Port) -> Result<io::Result<bool>, String> {
        if let Err(error) = port.receive(&mut self.received) {
            self.shared.drops.count(DropReason::UdpReceive);
            return Ok(Err(error));
        }
        self.receive();
        self.deliver().map(Ok)
    }

    /// Looks at every datagram of the batch once; the lock is taken only if there is WireGuard among them.
    fn receive(&mut self) {
        let Self { shared, received, open, .. } = self;
        let mut router = None;
        let now = Instant::now();
        for message in received.messages() {
            let source = message.source;
            for range in message.datagrams() {
                let datagram = &received.arena()[range.clone()];
                match kind(datagram) {
                    Kind::Wireguard => {
                        let router = router.get_or_insert_with(|| shared.router());
                        if let Some(opening) = router.receive(source, datagram, now) {
                            open.push((range, *message, opening));
                        }
                    }
                    kind @ (Kind::Stun | Kind::Control) => hand_up(shared, kind, datagram, source, now),
                    Kind::Relay => shared.drops.count(DropReason::RelayFrame),
                    Kind::Unknown => shared.drops.count(DropReason::UnknownDatagram),
                }
            }
        }
        if let Some(router) = router {
            shared.perform(router);
        }
    }

    fn deliver(&mut self) -> Result<bool, String> {
        let Self { shared, received, open, opened, packets, joiner, .. } = self;
        if open.is_empty() {
            return Ok(false);
        }
        let arena = received.arena_mut();
        for (range, message, opening) in open.drain(..) {
            let start = range.start;
            opened.push((start, message, opening.open(&mut arena[range])));
        }
        let mut router = shared.router();
        let now = Instant::now();
        for (at, message, opened) in opened.drain(..) {
            let packet = router.accept(opened, message.source, arena, at, now);
            packets.extend(packet.map(|packet| (packet, message.traffic_class)));
        }
        shared.perform(router);
        let Some(tun) = &shared.tun else {
            shared.drops.count_many(DropReason::NoDevice, packets.len() as u64);
            packets.clear();
            return Ok(false);
        };
        for (packet, outer_class) in packets.drain(..) {
            match ecn::decapsulate(outer_class, &mut arena[packet.clone()]) {
                Ok(()) => joiner.push(arena, packet),
                Err(reason) => shared.drops.count(reason),
            }
        }
        let mut is_gone = false;
        joiner.finish(arena, |vnet, arena, pieces| match write(tun, vnet, arena, pieces) {
            Ok(()) => {}
            Err(WriteError::Refused) => shared.drops.count_many(DropReason::TunWrite, pieces.len() as u64),
            Err(WriteError::Gone) => is_gone = true,
        });
        if is_gone { Err(format!("TUN device {} was removed", tun.name())) } else { Ok(true) }
    }
}

/// To Python, if the gate lets it through.
fn hand_up(shared: &Shared, kind: Kind, datagram: &[u8], source: Path, now: Instant) {
    if datagram.len() > MAX_CONTROL_BYTES {
        shared.drops.count(DropReason::ControlTooLong);
        return;
    }
    let is_of_peer = || shared.is_at_peer(source.address);
    match shared.gate().judge(kind, datagram, source.address, is_of_peer, now) {
        Verdict::HandUp => {
            shared.control_received.fetch_add(1, Ordering::Relaxed);
            shared.tell(Event::Control { payload: datagram.to_vec(), source });
        }
        Verdict::Reply(reply) => {
            shared.drops.count(DropReason::ControlCookie);
            if shared.ports.send(&reply, source).is_err() {
                shared.drops.count(DropReason::UdpSend);
            }
        }
        Verdict::Drop(reason) => shared.drops.count(reason),
    }
}

fn write(tun: &Tun, vnet: &VnetHeader, arena: &[u8], pieces: &[Range<usize>]) -> Result<(), WriteError> {
    let header = vnet.encode();
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    slices[0] = IoSlice::new(&header);
    for (slice, piece) in slices[1..].iter_mut().zip(pieces) {
        *slice = IoSlice::new(&arena[piece.clone()]);
    }
    tun.write(&slices[..=pieces.len()])
}
