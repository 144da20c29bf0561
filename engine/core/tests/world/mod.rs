//! Two routers talk over a link that the test holds in its hands, with a clock that the test moves.

#![allow(dead_code, clippy::unwrap_used, reason = "no test file needs all of it, and a test may panic")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shadowmesh_core::drops::{DropReason, Drops};
use shadowmesh_core::packet::IpHeader;
use shadowmesh_core::wireguard::{Cipher, Interface, PublicKey, Secret, sealed_bytes};
use shadowmesh_core::{Output, Path, PeerConfig, Route, Router, Sending};

pub const REKEY_AFTER: Duration = Duration::from_secs(120);
pub const MTU: usize = 1280;
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(90);

pub struct Node {
    pub router: Router,
    pub sending: Arc<Sending>,
    pub drops: Arc<Drops>,
    pub key: PublicKey,
    pub address: SocketAddr,
    pub overlay: IpAddr,
    pub delivered: Vec<Vec<u8>>,
    pub handshakes: usize,
    pub roamed: Vec<SocketAddr>,
    pub unrouted: Vec<IpAddr>,
}

pub struct World {
    pub now: Instant,
    pub a: Node,
    pub b: Node,
    /// (from a, datagram)
    pub link: Vec<(bool, Vec<u8>)>,
}

impl Node {
    pub fn new(number: u8, now: Instant) -> Self {
        let drops = Arc::new(Drops::default());
        let (key, seed) = (Secret::new([number; 32]), Secret::new([number + 100; 32]));
        let interface = Interface::new(&key, seed, now, Duration::from_secs(1_700_000_000));
        let key = interface.public_key();
        let overlay = IpAddr::from([10, 0, 0, number]);
        let router = Router::new(interface, vec![overlay], MTU, Arc::clone(&drops));
        Self {
            sending: router.sending(),
            router,
            drops,
            key,
            address: SocketAddr::from(([192, 0, 2, number], 51820)),
            overlay,
            delivered: Vec::new(),
            handshakes: 0,
            roamed: Vec::new(),
            unrouted: Vec::new(),
        }
    }

    pub fn add(&mut self, other: &(PublicKey, SocketAddr, IpAddr), psk: u8, initiate: bool, now: Instant) {
        self.add_with(other, psk, Cipher::default(), initiate, now);
    }

    pub fn add_with(
        &mut self,
        other: &(PublicKey, SocketAddr, IpAddr),
        psk: u8,
        cipher: Cipher,
        initiate: bool,
        now: Instant,
    ) {
        let config = PeerConfig {
            public_key: other.0,
            psk: Secret::new([psk; 32]),
            cipher,
            path: other.1.into(),
            allowed_ips: vec![format!("{}/32", other.2).parse().unwrap()],
            keepalive: Duration::ZERO,
            initiate,
            follow: true,
        };
        self.router.add_peer(config, now).unwrap();
    }

    pub fn name(&self) -> (PublicKey, SocketAddr, IpAddr) {
        (self.key, self.address, self.overlay)
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.snapshot().find(|(label, _)| *label == reason.label()).unwrap().1
    }
}

impl World {
    pub fn new() -> Self {
        let now = Instant::now();
        Self { now, a: Node::new(1, now), b: Node::new(2, now), link: Vec::new() }
    }

    /// Both know each other by this PSK, and have a session that `a` began.
    pub fn with_session(psk: u8) -> Self {
        let mut world = Self::new();
        world.b.add(&world.a.name(), psk, false, world.now);
        world.a.add(&world.b.name(), psk, true, world.now);
        world.settle();
        assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
        world
    }

    pub fn send(&mut self, from_a: bool) {
        let (from, to) = if from_a { (&mut self.a, &self.b) } else { (&mut self.b, &self.a) };
        let packet = udp(from.overlay, to.overlay);
        send_packet(from, &packet, from_a, &mut self.link, self.now);
        self.settle();
    }

    /// Whether a packet arrives.
    pub fn passes(&mut self, from_a: bool) -> bool {
        let before = self.a.delivered.len() + self.b.delivered.len();
        self.send(from_a);
        self.a.delivered.len() + self.b.delivered.len() > before
    }

    /// Drains outputs and delivers datagrams until nothing moves.
    pub fn settle(&mut self) {
        loop {
            self.collect();
            if self.link.is_empty() {
                return;
            }
            for (from_a, datagram) in std::mem::take(&mut self.link) {
                let source = if from_a { self.a.address } else { self.b.address };
                let to = if from_a { &mut self.b } else { &mut self.a };
                receive(to, source, &datagram, self.now);
            }
        }
    }

    pub fn collect(&mut self) {
        for (is_a, node) in [(true, &mut self.a), (false, &mut self.b)] {
            while let Some(output) = node.router.poll() {
                match output {
                    Output::Send { datagram, .. } => self.link.push((is_a, datagram)),
                    Output::Deliver(packet) => node.delivered.push(packet),
                    Output::Unrouted(address) => node.unrouted.push(address),
                    Output::Handshake(_) => node.handshakes += 1,
                    Output::Roamed(_, source) => node.roamed.push(source.address),
                }
            }
        }
    }

    /// Jumps from deadline to deadline.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next =
                [&mut self.a, &mut self.b].into_iter().filter_map(|node| node.router.next_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for node in [&mut self.a, &mut self.b] {
                node.router.handle_timeout(self.now);
                assert!(node.router.next_timeout().is_none_or(|at| at > self.now), "it would spin");
            }
            self.settle();
        }
        self.now = end;
    }
}

pub fn send_packet(
    from: &mut Node,
    packet: &[u8],
    from_a: bool,
    link: &mut Vec<(bool, Vec<u8>)>,
    now: Instant,
) {
    let ip = IpHeader::parse(packet).unwrap();
    match from.sending.route(&ip, 1, packet.len(), now) {
        Route::To(_, mut seals) => {
            let mut datagram = vec![0; sealed_bytes(packet.len())];
            let length = seals.seal(packet, &mut datagram).unwrap();
            datagram.truncate(length);
            link.push((from_a, datagram));
        }
        Route::Hold => from.router.hold(packet, now),
        Route::Drop(_) => {}
    }
}

pub fn receive(to: &mut Node, source: SocketAddr, datagram: &[u8], now: Instant) {
    let source = Path::from(source);
    let Some(open) = to.router.receive(source, datagram, now) else {
        return;
    };
    let mut arena = datagram.to_vec();
    let opened = open.open(&mut arena);
    if let Some(range) = to.router.accept(opened, source, &arena, 0, now) {
        to.delivered.push(arena[range].to_vec());
    }
}

pub fn udp(source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) else {
        panic!("IPv4 only");
    };
    let mut packet = vec![0; 33];
    packet[0] = 0x45;
    packet[3] = 33;
    packet[9] = 17;
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&destination.octets());
    packet
}
