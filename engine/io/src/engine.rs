//! Starting, commanding and stopping an engine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shadowmesh_core::drops::{DropReason, Drops};
use shadowmesh_core::gate::Id;
use shadowmesh_core::icmp;
use shadowmesh_core::wireguard::{Interface, PublicKey, Secret};
use shadowmesh_core::{Path, PeerConfig, PeerSnapshot, Router, RouterError};
use zeroize::Zeroizing;

use crate::events::{Event, EventQueue};
use crate::offloads::Offloads;
use crate::os::{Port, ThreadClock, Tun};
use crate::outbox::{Run, append};
use crate::ports::Ports;
use crate::shared::Shared;
use crate::threads;

/// As long as what carries a packet of the overlay's MTU, so that a probe can find out whether that passes.
pub const MAX_CONTROL_BYTES: usize = 1_312;

#[derive(Debug)]
pub struct Config {
    pub private_key: Secret,
    pub port: u16,
    pub tun: Option<String>,
    pub addresses: Vec<(IpAddr, u8)>,
    pub mtu: u16,
    pub offloads: Offloads,
}

#[derive(Debug)]
pub enum Error {
    /// What was asked of the system, and its answer.
    System(String, io::Error),
    Router(RouterError),
    ControlLength(usize),
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(what, error) => write!(f, "{what}: {error}"),
            Self::Router(RouterError::UnusableKey) => f.write_str("this public key cannot be a peer's"),
            Self::Router(RouterError::PrefixTaken(prefix)) => write!(f, "another peer has {prefix}"),
            Self::Router(RouterError::TooManyPeers) => f.write_str("the table of peers is full"),
            Self::Router(RouterError::TooManyPrefixes) => {
                f.write_str("the table of allowed addresses is full")
            }
            Self::Router(RouterError::UnknownPeer) => f.write_str("no such peer"),
            Self::ControlLength(bytes) => {
                write!(f, "a control datagram of {bytes} bytes, want 1 to {MAX_CONTROL_BYTES}")
            }
            Self::Stopped => f.write_str("the engine has stopped"),
        }
    }
}

impl std::error::Error for Error {}

impl From<RouterError> for Error {
    fn from(error: RouterError) -> Self {
        Self::Router(error)
    }
}

/// A snapshot of all counters.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    pub peers: Vec<PeerSnapshot>,
    pub drops: Vec<(&'static str, u64)>,
    pub control_received: u64,
    pub control_sent: u64,
}

#[derive(Debug)]
pub struct Engine {
    port: u16,
    tun: Option<String>,
    public_key: PublicKey,
    events: Arc<EventQueue>,
    running: Mutex<Option<Running>>,
    last_counters: Mutex<Option<Counters>>,
}

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    pub fn start(config: &Config) -> Result<Self, Error> {
        let system = |what: &str| {
            let what = what.to_owned();
            move |error| Error::System(what, error)
        };
        let seed = random()?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let interface = Interface::new(&config.private_key, seed, Instant::now(), unix);
        let public_key = interface.public_key();
        let drops = Arc::new(Drops::default());
        let own = config.addresses.iter().map(|(address, _)| *address).collect();
        let router = Router::new(interface, own, config.mtu.into(), Arc::clone(&drops));

        let port = Port::open(config.port, &config.offloads)
            .map_err(system(&format!("UDP port {}", config.port)))?;
        let tun = match &config.tun {
            None => None,
            Some(name) => {
                let tun = Tun::open(name, &config.addresses, config.mtu, &config.offloads);
                Some(tun.map_err(system(&format!("TUN device {name}")))?)
            }
        };
        let events = Arc::new(EventQueue::new().map_err(system("wake-up socket"))?);
        let port_number = port.number();
        let ports = Ports::new(port, config.offloads);
        let tun_name = tun.as_ref().map(|tun| tun.name().to_owned());
        let shared =
            Shared::new(router, drops, Arc::clone(&events), ports, tun).map_err(system("signals"))?;
        let engine = Self {
            port: port_number,
            tun: tun_name,
            public_key,
            events,
            running: Mutex::new(Some(Running { shared: Arc::new(shared), threads: Vec::new() })),
            last_counters: Mutex::new(None),
        };
        engine.start_threads().map_err(system("threads"))?;
        Ok(engine)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn tun(&self) -> Option<&str> {
        self.tun.as_deref()
    }

    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    pub fn wake_fd(&self) -> RawFd {
        self.events.wake_fd()
    }

    pub fn drain(&self, limit: usize) -> Vec<Event> {
        self.events.drain(limit)
    }

    /// From now on a control datagram is handed up only if the node expects it: docs/spec/datagrams.md, section 5.
    pub fn guard(&self, mac1_key: Secret, cookie_key: &Secret) -> Result<(), Error> {
        let seed = random()?;
        self.shared()?.gate().guard(mac1_key, cookie_key, seed, Instant::now());
        Ok(())
    }

    pub fn open_id(&self, id: Id) -> Result<(), Error> {
        self.shared()?.gate().open_id(id);
        Ok(())
    }

    pub fn close_id(&self, id: Id) -> Result<(), Error> {
        self.shared()?.gate().close_id(id);
        Ok(())
    }

    pub fn demand_cookies(&self, are_demanded: bool) -> Result<(), Error> {
        self.shared()?.gate().demand_cookies(are_demanded);
        Ok(())
    }

    /// Control datagrams to one destination, in as few calls of the system as it takes. Best effort: what does not find
    /// room in the socket's buffer within 10 ms is lost, as it might be on the way.
    pub fn send(&self, payloads: &[&[u8]], destination: Path) -> Result<(), Error> {
        let mut runs = Vec::new();
        let mut start = 0;
        for payload in payloads {
            if payload.is_empty() || payload.len() > MAX_CONTROL_BYTES {
                return Err(Error::ControlLength(payload.len()));
            }
            append(&mut runs, Run::single(start, payload.len(), destination, 0));
            start += payload.len();
        }
        let shared = self.shared()?;
        let lost = shared.ports.send_runs(&payloads.concat(), &runs);
        shared.control_sent.fetch_add(payloads.len() as u64 - lost, Ordering::Relaxed);
        shared.drops.count_many(DropReason::UdpSend, lost);
        Ok(())
    }

    /// More UDP ports besides the main one, as many of them as the system gives; their numbers.
    pub fn open_ports(&self, count: usize) -> Result<Vec<u16>, Error> {
        let shared = self.shared()?;
        let opened = shared.ports.open(count);
        shared.first_signal.raise();
        Ok(opened)
    }

    pub fn close_ports(&self, numbers: &[u16]) -> Result<(), Error> {
        let shared = self.shared()?;
        shared.ports.close(numbers);
        shared.first_signal.raise();
        Ok(())
    }

    pub fn add_peer(&self, config: PeerConfig) -> Result<(), Error> {
        let shared = self.shared()?;
        shared.change_peer(|router| router.add_peer(config, Instant::now()))?;
        // The thread that keeps the time does not know of the peer's deadlines yet.
        shared.first_signal.raise();
        Ok(())
    }

    pub fn set_path(&self, public_key: PublicKey, path: Path) -> Result<(), Error> {
        Ok(self.shared()?.change_peer(|router| router.set_path(public_key, path))?)
    }

    /// Full packets are lost on the way to a peer over IPv6, and no router says so: the kernel is told in its place, and
    /// sends fragments there for the next ten minutes (net.ipv6.route.mtu_expires).
    pub fn path_is_narrow(&self, public_key: PublicKey) -> Result<(), Error> {
        let shared = self.shared()?;
        let (path, from) = shared.router().find_peer(public_key)?;
        if let (SocketAddr::V6(peer), Some(from), Some(tun)) = (path.address, from, &shared.tun) {
            let port = if path.via == 0 { self.port } else { path.via };
            let own = own_address(peer, port)
                .map_err(|error| Error::System("route to the peer".to_owned(), error))?;
            if tun.write_plain(&icmp::too_big(from, own, peer, MAX_CONTROL_BYTES as u16)).is_err() {
                shared.drops.count(DropReason::TunWrite);
            }
        }
        Ok(())
    }

    pub fn remove_peer(&self, public_key: PublicKey) -> Result<(), Error> {
        self.shared()?.change_peer(|router| router.remove_peer(public_key));
        Ok(())
    }

    /// After the engine was stopped: the last ones.
    pub fn counters(&self) -> Counters {
        if let Some(running) = &*lock(&self.running) {
            return snapshot(&running.shared);
        }
        lock(&self.last_counters).clone().unwrap_or_default()
    }

    /// Joins the threads and closes port and device. Does nothing the second time.
    pub fn stop(&self) {
        let mut running = lock(&self.running);
        let Some(Running { shared, threads }) = running.take() else {
            return;
        };
        shared.stop();
        for thread in threads {
            // A panic inside was caught and told already.
            let _ = thread.join();
        }
        *lock(&self.last_counters) = Some(snapshot(&shared));
    }

    fn shared(&self) -> Result<Arc<Shared>, Error> {
        let running = lock(&self.running);
        let shared = running.as_ref().map(|running| &running.shared);
        // An engine that failed has stopped as well, though nobody has joined its threads yet.
        shared.filter(|shared| !shared.is_stopping()).map(Arc::clone).ok_or(Error::Stopped)
    }

    fn start_threads(&self) -> io::Result<()> {
        let mut running = lock(&self.running);
        let Some(running) = running.as_mut() else {
            return Ok(());
        };
        let can_split =
            running.shared.tun.is_some() && available_parallelism().is_ok_and(|cores| cores.get() > 1);
        let second = can_split.then(|| spawn("engine-2", &running.shared, threads::second)).transpose()?;
        let clock = second.as_ref().and_then(ThreadClock::of);
        running.threads.extend(second);
        let first = move |shared: &Shared| threads::first(shared, clock);
        running.threads.push(spawn("engine", &running.shared, first)?);
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A thread that ends for any reason but a stop ends the engine, and says so.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    run: impl Fn(&Shared) -> Result<(), String> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let ended = catch_unwind(AssertUnwindSafe(|| run(&shared)));
        let reason = match ended {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(_) => "an internal error, reported on standard error".to_owned(),
        };
        if !shared.is_stopping() {
            shared.tell(Event::Failed(reason));
        }
        shared.stop();
    })
}

fn random() -> Result<Secret, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut seed[..]).map_err(|error| Error::System("randomness".to_owned(), error.into()))?;
    Ok(seed)
}

/// Where datagrams to the peer leave from.
fn own_address(peer: SocketAddrV6, port: u16) -> io::Result<SocketAddrV6> {
    let probe = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    probe.connect(peer)?;
    match probe.local_addr()? {
        SocketAddr::V6(own) => Ok(SocketAddrV6::new(*own.ip(), port, 0, 0)),
        SocketAddr::V4(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn snapshot(shared: &Shared) -> Counters {
    let router = shared.router();
    Counters {
        peers: router.peers(Instant::now()),
        drops: shared.drops.snapshot().collect(),
        control_received: shared.control_received.load(Ordering::Relaxed),
        control_sent: shared.control_sent.load(Ordering::Relaxed),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
