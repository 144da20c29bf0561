//! The UDP ports of an engine: the main one, and any number that are opened and closed while it runs.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use shadowmesh_core::Path;

use crate::offloads::Offloads;
use crate::os::Port;
use crate::outbox::Run;

/// As many as are held open while a path through a hard NAT is sought, and one for each of a thousand paths.
pub(crate) const MAX_EXTRA_PORTS: usize = 1_280;

type Extra = BTreeMap<u16, Arc<Port>>;

#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) main: Port,
    offloads: Offloads,
    /// By their numbers. Replaced as a whole, so that whoever sends takes no lock.
    extra: ArcSwap<Extra>,
    /// Held while the ports are replaced.
    change: Mutex<()>,
}

impl Ports {
    pub(crate) fn new(main: Port, offloads: Offloads) -> Self {
        Self { main, offloads, extra: ArcSwap::default(), change: Mutex::default() }
    }

    /// As many as the system, and our own bound, allow; their numbers.
    pub(crate) fn open(&self, count: usize) -> Vec<u16> {
        let _guard = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut extra = Extra::clone(&self.extra.load());
        let room = MAX_EXTRA_PORTS.saturating_sub(extra.len());
        let opened: Vec<Port> =
            (0..count.min(room)).map_while(|_| Port::open_extra(&self.offloads).ok()).collect();
        let numbers = opened.iter().map(Port::number).collect();
        extra.extend(opened.into_iter().map(|port| (port.number(), Arc::new(port))));
        self.extra.store(Arc::new(extra));
        numbers
    }

    /// Nothing for those that are not there.
    pub(crate) fn close(&self, numbers: &[u16]) {
        let _guard = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut extra = Extra::clone(&self.extra.load());
        extra.retain(|number, _| !numbers.contains(number));
        self.extra.store(Arc::new(extra));
    }

    pub(crate) fn extra(&self) -> Vec<Arc<Port>> {
        self.extra.load().values().map(Arc::clone).collect()
    }

    pub(crate) fn send(&self, datagram: &[u8], destination: Path) -> io::Result<()> {
        self.with(destination.via, |port| port.send(datagram, destination))
            .unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    /// All through one port. Returns how many datagrams were lost.
    pub(crate) fn send_runs(&self, buffer: &[u8], runs: &[Run]) -> u64 {
        let via = runs.first().map_or(0, |run| run.destination.via);
        let all = || runs.iter().map(|run| run.count as u64).sum();
        self.with(via, |port| port.send_runs(buffer, runs)).unwrap_or_else(all)
    }

    fn with<T>(&self, via: u16, act: impl FnOnce(&Port) -> T) -> Option<T> {
        if via == 0 {
            return Some(act(&self.main));
        }
        self.extra.load().get(&via).map(|port| act(port))
    }
}
