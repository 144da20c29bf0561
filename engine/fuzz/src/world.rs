//! Routers that talk to each other over a wire that the attacker holds, and a ledger of what each of them sealed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shadowmesh_core::drops::Drops;
use shadowmesh_core::packet::IpHeader;
use shadowmesh_core::wireguard::{Cipher, HEADER_BYTES, Interface, PublicKey, Secret, sealed_bytes};
use shadowmesh_core::{Output, Path, PeerConfig, Route, Router, Sending};

pub(crate) const MTU: usize = 1280;
/// What the attacker remembers; more would make inputs slow and find nothing new.
const MAX_REMEMBERED: usize = 128;
/// What the router may hold for one peer (`hold.rs`).
const MAX_HELD: usize = 64;
const KEEPALIVE_BYTES: usize = 32;
const MACS_BYTES: usize = 32;

pub(crate) struct Node {
    pub(crate) router: Router,
    sending: Arc<Sending>,
    pub(crate) key: PublicKey,
    pub(crate) overlay: IpAddr,
}

#[derive(Clone)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    /// The node at its destination.
    pub(crate) to: usize,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    /// Everything that was sent, the newest last; the last `undelivered` of them are still on their way.
    pub(crate) seen: VecDeque<Datagram>,
    undelivered: usize,
    /// Who sealed a transport datagram; it is taken out when its packet is delivered.
    sealed: HashMap<Vec<u8>, usize>,
    /// Who used which key and counter: the header of a transport datagram.
    used: HashSet<(usize, Vec<u8>)>,
    /// Initiations that a node has answered and knows of, without their MACs.
    answered: HashSet<(usize, Vec<u8>)>,
    /// Packets that a node was given to send, each as often as it was given and not yet delivered.
    given: HashMap<(usize, Vec<u8>), usize>,
}

impl World {
    /// Nobody knows anybody.
    pub(crate) fn new(nodes: u8) -> Self {
        let now = Instant::now();
        Self {
            now,
            nodes: (0..nodes).map(|number| Node::new(number, now)).collect(),
            seen: VecDeque::new(),
            undelivered: 0,
            sealed: HashMap::new(),
            used: HashSet::new(),
            answered: HashSet::new(),
            given: HashMap::new(),
        }
    }

    pub(crate) fn add_peer(&mut self, at: usize, peer: usize, psk: u8, cipher: Cipher, initiate: bool) {
        let (public_key, overlay) = (self.nodes[peer].key, self.nodes[peer].overlay);
        let config = PeerConfig {
            public_key,
            psk: Secret::new([psk; 32]),
            cipher,
            path: address(peer, 0).into(),
            allowed_ips: vec![overlay.to_string().parse().expect("an address is a prefix")],
            keepalive: Duration::from_secs(25 * u64::from(psk & 1)),
            initiate,
            follow: true,
        };
        let added = self.nodes[at].router.add_peer(config, self.now);
        assert_eq!(added.is_err(), at == peer);
        self.drain(at);
    }

    pub(crate) fn remove_peer(&mut self, at: usize, peer: usize) {
        let key = self.nodes[peer].key;
        self.nodes[at].router.remove_peer(key);
        // With the peer goes the memory of its stamps.
        self.answered.retain(|(node, _)| *node != at);
        self.drain(at);
    }

    /// Sends `packet` to whoever has `destination`, although it may say something else itself.
    pub(crate) fn send(&mut self, at: usize, destination: IpAddr, packet: &[u8]) {
        let node = &mut self.nodes[at];
        let header = packet_to(node.overlay, destination, &[]);
        let ip = IpHeader::parse(&header).expect("it is a packet");
        match node.sending.route(&ip, 1, packet.len(), self.now) {
            Route::To(path, mut seals) => {
                let mut datagram = vec![0; sealed_bytes(packet.len())];
                let length = seals.seal(packet, &mut datagram).expect("there is room");
                datagram.truncate(length);
                self.give(at, packet);
                self.put_on_wire(at, path.address, datagram);
            }
            Route::Hold => {
                self.nodes[at].router.hold(packet, self.now);
                self.give(at, packet);
            }
            Route::Drop(_) => {}
        }
        self.drain(at);
    }

    /// As the engine does it with a batch: all are looked at, all are opened, all are accepted.
    pub(crate) fn receive(&mut self, to: usize, batch: &[(SocketAddr, Vec<u8>)]) {
        let mut open = Vec::new();
        for (source, datagram) in batch {
            let opened = self.nodes[to].router.receive((*source).into(), datagram, self.now);
            open.extend(opened.map(|open| (Path::from(*source), datagram, open)));
            self.drain_answer(to, datagram);
        }
        for (source, datagram, open) in open {
            let mut arena = datagram.clone();
            let opened = open.open(&mut arena);
            let range = self.nodes[to].router.accept(opened, source, &arena, 0, self.now);
            if let Some(range) = range {
                self.judge_delivered(to, datagram, &arena[range]);
            }
            self.drain_answer(to, datagram);
        }
    }

    /// Everything that is on its way arrives, and so does what is sent because of it.
    pub(crate) fn settle(&mut self) {
        while self.undelivered > 0 {
            let at = self.seen.len() - self.undelivered;
            let datagram = self.seen[at].clone();
            self.undelivered -= 1;
            self.receive(datagram.to, &[(datagram.from, datagram.bytes)]);
        }
    }

    pub(crate) fn pass_to_deadline(&mut self) {
        let deadlines = self.nodes.iter_mut().filter_map(|node| node.router.next_timeout());
        let next = deadlines.min().unwrap_or(self.now);
        self.pass(next.duration_since(self.now));
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        for at in 0..self.nodes.len() {
            let router = &mut self.nodes[at].router;
            router.handle_timeout(self.now);
            assert!(router.next_timeout().is_none_or(|next| next > self.now), "it would spin");
            self.drain(at);
        }
    }

    fn judge_delivered(&mut self, to: usize, datagram: &[u8], packet: &[u8]) {
        let from = self.sealed.remove(datagram).expect("it was sealed by a peer, and is delivered once");
        let ip = IpHeader::parse(packet).expect("it is a packet");
        assert_eq!(ip.total_bytes, packet.len());
        assert_eq!((ip.source, ip.destination), (self.nodes[from].overlay, self.nodes[to].overlay));
        let count = self.given.get_mut(&(from, packet.to_vec())).expect("this packet was given to the peer");
        *count = count.checked_sub(1).expect("it is delivered as often as it was given");
    }

    fn give(&mut self, at: usize, packet: &[u8]) {
        // The receiver sees the padding, and cuts off what is behind the packet.
        let mut packet = packet.to_vec();
        packet.resize(packet.len().next_multiple_of(16).min(MTU.max(packet.len())), 0);
        if let Some(ip) = IpHeader::parse(&packet) {
            packet.truncate(ip.total_bytes);
        }
        *self.given.entry((at, packet)).or_default() += 1;
    }

    /// What a datagram sets free: never more bytes than it has, but for the packets that waited for a handshake which
    /// it ends.
    fn drain_answer(&mut self, at: usize, datagram: &[u8]) {
        let outputs = self.drain(at);
        let waited = if outputs.handshakes > 0 { MAX_HELD } else { 0 };
        assert!(outputs.handshakes <= 1 && outputs.roamed <= 1 && outputs.delivered == 0);
        assert!(outputs.data <= waited, "{} packets", outputs.data);
        assert!(outputs.other_bytes <= datagram.len(), "{} bytes", outputs.other_bytes);
        if outputs.responses > 0 {
            let initiation = datagram[..datagram.len() - MACS_BYTES].to_vec();
            assert!(self.answered.insert((at, initiation)), "a replay was answered");
        }
    }

    fn drain(&mut self, at: usize) -> Outputs {
        let mut outputs = Outputs::default();
        while let Some(output) = self.nodes[at].router.poll() {
            match output {
                Output::Send { datagram, destination } => {
                    outputs.count(&datagram);
                    self.put_on_wire(at, destination.address, datagram);
                }
                Output::Deliver(packet) => {
                    outputs.delivered += 1;
                    assert!(IpHeader::parse(&packet).is_some_and(|ip| ip.total_bytes == packet.len()));
                }
                Output::Handshake(_) => outputs.handshakes += 1,
                Output::Roamed(..) => outputs.roamed += 1,
                Output::Unrouted(_) => {}
            }
        }
        outputs
    }

    fn put_on_wire(&mut self, from: usize, destination: SocketAddr, bytes: Vec<u8>) {
        if is_data(&bytes) {
            assert!(self.used.insert((from, bytes[..HEADER_BYTES].to_vec())), "a counter was used twice");
            self.sealed.insert(bytes.clone(), from);
        }
        if self.seen.len() == MAX_REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(Datagram { from: address(from, 0), to: node_at(destination), bytes });
        self.undelivered = (self.undelivered + 1).min(self.seen.len());
    }
}

impl Node {
    fn new(number: u8, now: Instant) -> Self {
        let (key, seed) = (Secret::new([number + 1; 32]), Secret::new([number + 101; 32]));
        let interface = Interface::new(&key, seed, now, Duration::from_secs(1_700_000_000));
        let key = interface.public_key();
        let overlay = IpAddr::from([10, 0, 0, number]);
        let router = Router::new(interface, vec![overlay], MTU, Arc::new(Drops::default()));
        Self { sending: router.sending(), router, key, overlay }
    }
}

#[derive(Default)]
struct Outputs {
    handshakes: usize,
    roamed: usize,
    delivered: usize,
    responses: usize,
    /// Datagrams with a packet.
    data: usize,
    other_bytes: usize,
}

impl Outputs {
    fn count(&mut self, datagram: &[u8]) {
        if is_data(datagram) && datagram.len() > KEEPALIVE_BYTES {
            self.data += 1;
        } else {
            self.other_bytes += datagram.len();
            self.responses += usize::from(datagram.starts_with(&[2, 0, 0, 0]));
        }
    }
}

fn is_data(datagram: &[u8]) -> bool {
    datagram.starts_with(&[4, 0, 0, 0])
}

/// Each node has several addresses, so that it can move.
pub(crate) fn address(node: usize, number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, number, node as u8], 51820))
}

fn node_at(address: SocketAddr) -> usize {
    match address.ip() {
        IpAddr::V4(address) => address.octets()[3].into(),
        IpAddr::V6(_) => 0,
    }
}

pub(crate) fn packet_to(source: IpAddr, destination: IpAddr, payload: &[u8]) -> Vec<u8> {
    crate::book::ip(source, destination, crate::book::UDP, payload)
}
