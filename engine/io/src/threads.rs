//! The two threads. The first carries packets both ways and keeps the time. When that takes all of a core, the second
//! takes the TUN device over, until one thread is enough again.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shadowmesh_core::load::Load;

use crate::os::{Poller, Port, ThreadClock, Tun};
use crate::rx::Receiver;
use crate::shared::Shared;

/// Deadlines of sessions move whenever a packet is sent; looking at them this often is exact enough for
/// timers of 5 s and more, and costs one wake-up a second.
const TIMER_INTERVAL: Duration = Duration::from_secs(1);
/// Receive errors in a row after which the port is given up: a transient one does not repeat that often.
const MAX_RECEIVE_ERRORS: u32 = 1_000;

/// Returns why the port or the device cannot be used any more, or Ok when the engine stops. `second` is the clock of the
/// other thread, if there is one.
pub(crate) fn first(shared: &Shared, second: Option<ThreadClock>) -> Result<(), String> {
    let mut first = First::new(shared, second);
    while !shared.is_stopping() {
        first.step()?;
    }
    Ok(())
}

struct First<'a> {
    shared: &'a Shared,
    second: Option<ThreadClock>,
    receiver: Receiver<'a>,
    /// Watches the main port, the extra ones and the device, in this order.
    poller: Poller,
    extra: Vec<Arc<Port>>,
    load: Load,
    due: Option<Instant>,
    /// Of the main port, in a row.
    errors: u32,
}

impl<'a> First<'a> {
    fn new(shared: &'a Shared, second: Option<ThreadClock>) -> Self {
        let mut first = Self {
            shared,
            second,
            receiver: Receiver::new(shared),
            poller: Poller::new(&shared.first_signal),
            extra: Vec::new(),
            load: Load::new(Instant::now()),
            due: None,
            errors: 0,
        };
        first.watch();
        first
    }

    /// Waits, and then carries one batch of each source that has something.
    fn step(&mut self) -> Result<(), String> {
        let timeout = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        self.poller.wait(timeout).map_err(|error| format!("poll: {error}"))?;
        let has_delivered = self.receive()?;
        if let Some(tun) = self.device()
            // The device has answers to what it was given, most likely.
            && (has_delivered || self.poller.is_ready(1 + self.extra.len()))
        {
            self.shared.sender().drain(self.shared, tun)?;
        }
        let now = Instant::now();
        let is_called = self.poller.is_called();
        if is_called {
            self.shared.first_signal.clear();
            self.extra = self.shared.ports.extra();
        }
        if self.share_out(now) || is_called {
            self.watch();
        }
        // While nothing is due, whatever came may have set a deadline.
        if is_called || self.due.is_none_or(|due| due <= now) {
            self.due = handle_timeouts(self.shared);
        }
        Ok(())
    }

    /// Returns whether the device got any of it.
    fn receive(&mut self) -> Result<bool, String> {
        let mut has_delivered = false;
        if self.poller.is_ready(0) {
            let result = self.receiver.take(&self.shared.ports.main)?;
            self.errors = if result.is_ok() { 0 } else { self.errors + 1 };
            match result {
                Err(error) if self.errors > MAX_RECEIVE_ERRORS => return Err(format!("UDP port: {error}")),
                result => has_delivered = result.unwrap_or(false),
            }
        }
        for (number, port) in self.extra.iter().enumerate() {
            if self.poller.is_ready(1 + number) {
                // An error of one of many ports has been counted, and ends nothing.
                has_delivered |= self.receiver.take(port)?.unwrap_or(false);
            }
        }
        Ok(has_delivered)
    }

    /// Returns whether the device has changed hands.
    fn share_out(&mut self, now: Instant) -> bool {
        let Some(second) = self.second.filter(|_| self.load.is_due(now)) else {
            return false;
        };
        let is_split = self.load.judge(now, ThreadClock::own() + second.used());
        self.shared.set_split(is_split)
    }

    /// None while the second thread has it.
    fn device(&self) -> Option<&'a Tun> {
        self.shared.tun.as_ref().filter(|_| !self.shared.is_split())
    }

    fn watch(&mut self) {
        let ports = [&self.shared.ports.main].into_iter().chain(self.extra.iter().map(|port| &**port));
        let device = self.device().map(|tun| tun as &dyn AsRawFd);
        self.poller.watch(ports.map(|port| port as &dyn AsRawFd).chain(device));
    }
}

/// Returns why the device can no longer be read, or Ok when the engine stops.
pub(crate) fn second(shared: &Shared) -> Result<(), String> {
    let Some(tun) = &shared.tun else {
        return Ok(());
    };
    let mut poller = Poller::new(&shared.second_signal);
    while !shared.is_stopping() {
        poller.watch(shared.is_split().then_some(tun as &dyn AsRawFd));
        poller.wait(None).map_err(|error| format!("poll: {error}"))?;
        shared.second_signal.clear();
        while shared.is_split() && !shared.is_stopping() && shared.sender().drain(shared, tun)? {}
    }
    Ok(())
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
