//! What the threads and the commands share.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use shadowmesh_core::drops::{DropReason, Drops};
use shadowmesh_core::gate::Gate;
use shadowmesh_core::{Output, Router, Sending};

use crate::events::{Event, EventQueue};
use crate::os::{Signal, Tun, WriteError};
use crate::ports::Ports;
use crate::tx::Sender;

#[derive(Debug)]
pub(crate) struct Shared {
    router: Mutex<Router>,
    gate: Mutex<Gate>,
    pub(crate) sending: Arc<Sending>,
    pub(crate) drops: Arc<Drops>,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) ports: Ports,
    pub(crate) tun: Option<Tun>,
    pub(crate) control_received: AtomicU64,
    pub(crate) control_sent: AtomicU64,
    /// Whoever reads from the device holds it meanwhile.
    sender: Mutex<Sender>,
    /// Whether the second thread has the device.
    is_split: AtomicBool,
    pub(crate) first_signal: Signal,
    pub(crate) second_signal: Signal,
    /// Where the peers are, as the last command about them left it.
    peers_at: ArcSwap<HashSet<SocketAddr>>,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        router: Router,
        drops: Arc<Drops>,
        events: Arc<EventQueue>,
        ports: Ports,
        tun: Option<Tun>,
    ) -> io::Result<Self> {
        Ok(Self {
            sending: router.sending(),
            router: Mutex::new(router),
            gate: Mutex::new(Gate::new(Instant::now())),
            drops,
            events,
            ports,
            tun,
            control_received: AtomicU64::new(0),
            control_sent: AtomicU64::new(0),
            sender: Mutex::new(Sender::new()),
            is_split: AtomicBool::new(false),
            first_signal: Signal::new()?,
            second_signal: Signal::new()?,
            peers_at: ArcSwap::default(),
            stopping: AtomicBool::new(false),
        })
    }

    pub(crate) fn router(&self) -> MutexGuard<'_, Router> {
        // A thread that panicked has ended the engine already; stopping it must still work.
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sender(&self) -> MutexGuard<'_, Sender> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_split(&self) -> bool {
        self.is_split.load(Ordering::Acquire)
    }

    /// Returns whether that is a change, of which the second thread is told.
    pub(crate) fn set_split(&self, is_split: bool) -> bool {
        let has_changed = self.is_split.swap(is_split, Ordering::AcqRel) != is_split;
        if has_changed {
            self.second_signal.raise();
        }
        has_changed
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.first_signal.raise();
        self.second_signal.raise();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Runs `change` under the router's lock, then does what the router wants done.
    pub(crate) fn with_router<T>(&self, change: impl FnOnce(&mut Router) -> T) -> T {
        let mut router = self.router();
        let result = change(&mut router);
        self.perform(router);
        result
    }

    /// Runs a command about a peer, which may have another address afterwards.
    pub(crate) fn change_peer<T>(&self, change: impl FnOnce(&mut Router) -> T) -> T {
        self.with_router(|router| {
            let result = change(router);
            let paths = router.peers(Instant::now()).into_iter().map(|peer| peer.path.address);
            self.peers_at.store(Arc::new(paths.collect()));
            result
        })
    }

    pub(crate) fn is_at_peer(&self, address: SocketAddr) -> bool {
        self.peers_at.load().contains(&address)
    }

    /// Empties the router's outputs: they are taken out under its lock and carried out after it.
    pub(crate) fn perform(&self, mut router: MutexGuard<'_, Router>) {
        let Some(first) = router.poll() else {
            return;
        };
        let mut outputs = vec![first];
        outputs.extend(std::iter::from_fn(|| router.poll()));
        drop(router);
        for output in outputs {
            self.perform_one(output);
        }
    }

    fn perform_one(&self, output: Output) {
        match output {
            Output::Send { datagram, destination } => {
                if self.ports.send(&datagram, destination).is_err() {
                    self.drops.count(DropReason::UdpSend);
                }
            }
            Output::Deliver(packet) => {
                // That the device is gone shows to the thread that reads from it.
                if let Some(tun) = &self.tun
                    && let Err(WriteError::Refused | WriteError::Gone) = tun.write_plain(&packet)
                {
                    self.drops.count(DropReason::TunWrite);
                }
            }
            Output::Unrouted(destination) => self.tell(Event::Unrouted(destination)),
            Output::Handshake(peer) => self.tell(Event::Handshake(peer)),
            Output::Roamed(peer, source) => self.tell(Event::Roamed(peer, source)),
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        self.events.push(event, &self.drops);
    }
}
