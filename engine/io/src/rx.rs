//! UDP to TUN: receives a batch, opens it, joins what belongs together and writes it. Also keeps the time.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use shadowmesh_core::drops::DropReason;
use shadowmesh_core::ecn;
use shadowmesh_core::first_byte::{Kind, kind};
use shadowmesh_core::join::{Joiner, Joins};
use shadowmesh_core::vnet::VnetHeader;
use shadowmesh_core::wireguard::{Open, Opened};

use crate::engine::MAX_CONTROL_BYTES;
use crate::events::Event;
use crate::os::{Message, Received, Tun, WriteError, wait};
use crate::shared::Shared;

/// Deadlines of sessions move whenever a packet is sent; looking at them this often is exact enough for
/// timers of 5 s and more, and costs one wake-up a second.
const TIMER_INTERVAL: Duration = Duration::from_secs(1);
/// The virtio header and the pieces of a joined packet.
const MAX_SLICES: usize = 80;
/// Receive errors in a row after which the port is given up: a transient one does not repeat that often.
const MAX_RECEIVE_ERRORS: u32 = 1_000;

struct Batch {
    /// Datagrams, and after they were opened their packets, in place.
    received: Received,
    /// Where each datagram lies, what it came in, and its key.
    open: Vec<(Range<usize>, Message, Open)>,
    /// Where each datagram begins.
    opened: Vec<(usize, Message, Opened)>,
    /// With the traffic class of the datagram.
    packets: Vec<(Range<usize>, u8)>,
}

/// Returns why the port or the device cannot be used any more, or Ok when the engine stops.
pub(crate) fn run(shared: &Shared) -> Result<(), String> {
    let mut joiner = Joiner::new(shared.tun.as_ref().map_or(Joins::NONE, Tun::joins));
    let mut batch =
        Batch { received: Received::new(), open: Vec::new(), opened: Vec::new(), packets: Vec::new() };
    let mut due = None;
    let mut errors = 0;
    while !shared.is_stopping() {
        let timeout = due.map(|due: Instant| due.saturating_duration_since(Instant::now()));
        wait(Some(&shared.port), &shared.rx_signal, timeout).map_err(|error| format!("poll: {error}"))?;
        let is_called = shared.rx_signal.clear();
        loop {
            match shared.port.receive(&mut batch.received) {
                Ok(()) => errors = 0,
                Err(error) => {
                    shared.drops.count(DropReason::UdpReceive);
                    errors += 1;
                    if errors > MAX_RECEIVE_ERRORS {
                        return Err(format!("UDP port: {error}"));
                    }
                    break;
                }
            }
            if batch.received.messages().is_empty() || shared.is_stopping() {
                break;
            }
            receive(shared, &mut batch);
            deliver(shared, &mut batch, &mut joiner)?;
            if due.is_some_and(|due| due <= Instant::now()) {
                break;
            }
        }
        // While nothing is due, whatever came may have set a deadline.
        if is_called || due.is_none_or(|due| due <= Instant::now()) {
            due = handle_timeouts(shared);
        }
    }
    Ok(())
}

/// Looks at every datagram of the batch once; the lock is taken only if there is WireGuard among them.
fn receive(shared: &Shared, batch: &mut Batch) {
    let mut router = None;
    let now = Instant::now();
    for message in batch.received.messages() {
        let source = message.source;
        for range in message.datagrams() {
            let datagram = &batch.received.arena()[range.clone()];
            match kind(datagram) {
                Kind::Wireguard => {
                    let router = router.get_or_insert_with(|| shared.router());
                    if let Some(open) = router.receive(source, datagram, now) {
                        batch.open.push((range, *message, open));
                    }
                }
                Kind::Stun | Kind::Control if datagram.len() > MAX_CONTROL_BYTES => {
                    shared.drops.count(DropReason::ControlTooLong);
                }
                Kind::Stun | Kind::Control => {
                    shared.control_received.fetch_add(1, Ordering::Relaxed);
                    shared.tell(Event::Control { payload: datagram.to_vec(), source });
                }
                Kind::Relay => shared.drops.count(DropReason::RelayFrame),
                Kind::Unknown => shared.drops.count(DropReason::UnknownDatagram),
            }
        }
    }
    if let Some(router) = router {
        shared.perform(router);
    }
}

fn deliver(shared: &Shared, batch: &mut Batch, joiner: &mut Joiner) -> Result<(), String> {
    if batch.open.is_empty() {
        return Ok(());
    }
    let arena = batch.received.arena_mut();
    for (range, message, open) in batch.open.drain(..) {
        let start = range.start;
        batch.opened.push((start, message, open.open(&mut arena[range])));
    }
    let mut router = shared.router();
    let now = Instant::now();
    for (at, message, opened) in batch.opened.drain(..) {
        let packet = router.accept(opened, message.source, arena, at, now);
        batch.packets.extend(packet.map(|packet| (packet, message.traffic_class)));
    }
    shared.perform(router);
    let Some(tun) = &shared.tun else {
        shared.drops.count_many(DropReason::NoDevice, batch.packets.len() as u64);
        batch.packets.clear();
        return Ok(());
    };
    for (packet, outer_class) in batch.packets.drain(..) {
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
    if is_gone { Err(format!("TUN device {} was removed", tun.name())) } else { Ok(()) }
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

/// Does what is due, and says when to look again.
fn handle_timeouts(shared: &Shared) -> Option<Instant> {
    if let Some(mtu) = shared.tun.as_ref().and_then(Tun::mtu) {
        shared.sending.set_mtu(mtu);
    }
    let mut router = shared.router();
    let now = Instant::now();
    let mut next = router.next_timeout();
    if next.is_some_and(|at| at <= now) {
        router.handle_timeout(now);
        next = router.next_timeout();
    }
    shared.perform(router);
    // Not before the clock has moved: a deadline that stays in the past must not become a busy loop.
    next.map(|at| at.clamp(now + Duration::from_millis(1), now + TIMER_INTERVAL))
}
