//! UDP to TUN: receives a batch, opens it, joins what belongs together and writes it. Also keeps the time.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use shadowmesh_core::Path;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::first_byte::{Kind, kind};
use shadowmesh_core::join::Joiner;
use shadowmesh_core::vnet::VnetHeader;
use shadowmesh_core::wireguard::{Open, Opened};

use crate::engine::MAX_CONTROL_BYTES;
use crate::events::Event;
use crate::os::{Poller, Port, Received, Tun, WriteError};
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
    /// Where each datagram lies, and its key.
    open: Vec<(Range<usize>, Path, Open)>,
    /// Where each datagram begins.
    opened: Vec<(usize, Path, Opened)>,
    packets: Vec<Range<usize>>,
}

/// Returns why the port or the device cannot be used any more, or Ok when the engine stops.
pub(crate) fn run(shared: &Shared) -> Result<(), String> {
    let has_udp_offload = shared.tun.as_ref().is_some_and(Tun::has_udp_offload);
    let mut joiner = Joiner::new(has_udp_offload);
    let mut batch =
        Batch { received: Received::new(), open: Vec::new(), opened: Vec::new(), packets: Vec::new() };
    let mut due = None;
    let mut errors = 0;
    let mut extra: Vec<(u16, Arc<Port>)> = Vec::new();
    let mut poller = Poller::new(&shared.rx_signal);
    poller.watch([&shared.ports.main]);
    while !shared.is_stopping() {
        let timeout = due.map(|due: Instant| due.saturating_duration_since(Instant::now()));
        poller.wait(timeout).map_err(|error| format!("poll: {error}"))?;
        if poller.is_ready(0) {
            let result = drain(shared, &shared.ports.main, 0, due, &mut batch, &mut joiner)?;
            errors = if result.is_ok() { 0 } else { errors + 1 };
            if let Err(error) = result
                && errors > MAX_RECEIVE_ERRORS
            {
                return Err(format!("UDP port: {error}"));
            }
        }
        for (number, (via, port)) in extra.iter().enumerate() {
            if poller.is_ready(number + 1) {
                // An error of one of many ports has been counted, and ends nothing.
                let _ = drain(shared, port, *via, due, &mut batch, &mut joiner)?;
            }
        }
        let is_called = shared.rx_signal.clear();
        if is_called {
            extra = shared.ports.extra();
            poller.watch([&shared.ports.main].into_iter().chain(extra.iter().map(|(_, port)| &**port)));
        }
        // While nothing is due, whatever came may have set a deadline.
        if is_called || due.is_none_or(|due| due <= Instant::now()) {
            due = handle_timeouts(shared);
        }
    }
    Ok(())
}

/// Takes what has come to one port, until there is nothing more or something else is due. The outer error ends the
/// engine, the inner one is the port's.
fn drain(
    shared: &Shared,
    port: &Port,
    via: u16,
    due: Option<Instant>,
    batch: &mut Batch,
    joiner: &mut Joiner,
) -> Result<io::Result<()>, String> {
    loop {
        if let Err(error) = port.receive(&mut batch.received) {
            shared.drops.count(DropReason::UdpReceive);
            return Ok(Err(error));
        }
        if batch.received.count() == 0 || shared.is_stopping() {
            return Ok(Ok(()));
        }
        receive(shared, via, batch);
        deliver(shared, batch, joiner)?;
        if due.is_some_and(|due| due <= Instant::now()) {
            return Ok(Ok(()));
        }
    }
}

/// Looks at every datagram of the batch once; the lock is taken only if there is WireGuard among them.
fn receive(shared: &Shared, via: u16, batch: &mut Batch) {
    let mut router = None;
    let now = Instant::now();
    for number in 0..batch.received.count() {
        let (address, message, size) = batch.received.message(number);
        let source = Path { address, via };
        for start in message.clone().step_by(size) {
            let range = start..message.end.min(start + size);
            let datagram = &batch.received.arena()[range.clone()];
            match kind(datagram) {
                Kind::Wireguard => {
                    let router = router.get_or_insert_with(|| shared.router());
                    if let Some(open) = router.receive(source, datagram, now) {
                        batch.open.push((range, source, open));
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
    let arena = batch.received.arena();
    for (range, source, open) in batch.open.drain(..) {
        let start = range.start;
        batch.opened.push((start, source, open.open(&mut arena[range])));
    }
    let mut router = shared.router();
    let now = Instant::now();
    for (at, source, opened) in batch.opened.drain(..) {
        batch.packets.extend(router.accept(opened, source, arena, at, now));
    }
    shared.perform(router);
    let Some(tun) = &shared.tun else {
        shared.drops.count_many(DropReason::NoDevice, batch.packets.len() as u64);
        batch.packets.clear();
        return Ok(());
    };
    for packet in batch.packets.drain(..) {
        joiner.push(arena, packet);
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
