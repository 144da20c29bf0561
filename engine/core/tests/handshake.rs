//! Handshakes between two routers: replays, load, PSKs, ciphers.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is built of")]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use shadowmesh_core::drops::DropReason;
use shadowmesh_core::wireguard::{Cipher, Secret};
use shadowmesh_core::{Output, PeerConfig};
use world::{MTU, World, receive, udp};

const INITIATION_BYTES: usize = 148;
const COOKIE_REPLY_BYTES: usize = 64;

/// The initiation that `a` would send now, taken off the link.
fn initiation(world: &mut World) -> Vec<u8> {
    world.a.add(&world.b.name(), 7, true, world.now);
    world.collect();
    world.link.remove(0).1
}

#[test]
fn a_replayed_initiation_is_refused_and_harms_no_session() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    let initiation = initiation(&mut world);
    assert_eq!(initiation.len(), INITIATION_BYTES);
    receive(&mut world.b, world.a.address, &initiation, world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
    for seconds in [0, 1, 60] {
        world.now += Duration::from_secs(seconds);
        receive(&mut world.b, world.a.address, &initiation, world.now);
        world.collect();
        assert!(world.link.is_empty(), "it is not answered");
    }
    assert_eq!(world.b.dropped(DropReason::WireguardReplay), 3);
    assert!(world.passes(true));
    assert!(world.passes(false));
}

#[test]
fn a_replayed_initiation_is_refused_when_its_session_is_long_forgotten() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    let initiation = initiation(&mut world);
    receive(&mut world.b, world.a.address, &initiation, world.now);
    world.settle();
    world.pass(Duration::from_secs(3_600));
    receive(&mut world.b, world.a.address, &initiation, world.now);
    world.collect();
    assert!(world.link.is_empty(), "it is not answered");
    assert_eq!(world.b.dropped(DropReason::WireguardReplay), 1);
    assert!(world.passes(false));
}

#[test]
fn an_initiation_that_was_overtaken_is_refused() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    let early = initiation(&mut world);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.b.handshakes, 1, "the second one was answered");
    receive(&mut world.b, world.a.address, &early, world.now);
    assert_eq!(world.b.dropped(DropReason::WireguardReplay), 1);
}

#[test]
fn a_response_is_taken_once_and_only_unchanged() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    let initiation = initiation(&mut world);
    receive(&mut world.b, world.a.address, &initiation, world.now);
    world.collect();
    let response = world.link.remove(0).1;
    for at in 0..response.len() - 16 {
        let mut changed = response.clone();
        changed[at] ^= 1;
        receive(&mut world.a, world.b.address, &changed, world.now);
    }
    world.collect();
    assert_eq!(world.a.handshakes, 0);
    world.now += Duration::from_secs(2);
    receive(&mut world.a, world.b.address, &response, world.now);
    world.settle();
    receive(&mut world.a, world.b.address, &response, world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
}

#[test]
fn under_load_a_peer_proves_its_address_and_then_has_its_handshake() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    let initiation = initiation(&mut world);
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 1));
    // A right mac1 suffices to make load, and costs the one under load little.
    let flood = |world: &mut World| {
        for _ in 0..100 {
            receive(&mut world.b, elsewhere, &initiation, world.now);
        }
        world.collect();
        world.link.clear();
    };
    // What the first of the flood was answered with is thrown away, so `a` goes on trying.
    flood(&mut world);
    world.now += Duration::from_secs(6);
    flood(&mut world);
    world.a.router.handle_timeout(world.now);
    world.collect();
    let asked = world.link.remove(0).1;
    assert!(asked.ends_with(&[0; 16]), "no cookie yet");
    receive(&mut world.b, world.a.address, &asked, world.now);
    world.collect();
    let reply = world.link.remove(0).1;
    assert_eq!(reply.len(), COOKIE_REPLY_BYTES);
    receive(&mut world.a, world.b.address, &reply, world.now);
    world.now += Duration::from_secs(6);
    flood(&mut world);
    world.a.router.handle_timeout(world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
}

#[test]
fn without_a_session_an_initiator_that_was_changed_first_takes_an_answer_with_the_old_psk() {
    let mut world = World::with_session(7);
    world.pass(Duration::from_secs(200));
    world.a.add(&world.b.name(), 8, false, world.now);
    assert!(world.passes(true));
    assert_eq!((world.a.handshakes, world.b.handshakes), (2, 2));
    world.b.add(&world.a.name(), 8, false, world.now);
    for _ in 0..30 {
        world.pass(Duration::from_secs(5));
        assert!(world.passes(true));
        assert!(world.passes(false));
    }
    assert!(world.a.handshakes >= 3, "the next one is with the new PSK");
}

#[test]
fn a_psk_that_is_replaced_during_a_handshake_does_not_delay_it() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 8, false, world.now);
    world.a.add(&world.b.name(), 7, true, world.now);
    world.settle();
    assert_eq!(world.a.handshakes, 0);
    world.now += Duration::from_millis(50);
    world.a.add(&world.b.name(), 8, true, world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
}

#[test]
fn a_persistent_keepalive_keeps_a_session_without_any_data() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    let (public_key, path, overlay) = world.b.name();
    let config = PeerConfig {
        public_key,
        psk: Secret::new([7; 32]),
        cipher: Cipher::default(),
        path: path.into(),
        allowed_ips: vec![format!("{overlay}/32").parse().unwrap()],
        keepalive: Duration::from_secs(25),
        initiate: false,
        follow: true,
    };
    world.a.router.add_peer(config, world.now).unwrap();
    world.pass(Duration::from_secs(600));
    assert!((4..8).contains(&world.a.handshakes), "{}", world.a.handshakes);
    assert!(world.passes(false), "the other side has a session too");
}

#[test]
fn lost_handshake_messages_are_sent_again() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    world.a.add(&world.b.name(), 7, true, world.now);
    for _ in 0..3 {
        world.collect();
        assert_eq!(world.link.len(), 1);
        world.link.clear();
        world.now += Duration::from_millis(5_400);
        world.a.router.handle_timeout(world.now);
    }
    world.settle();
    assert_eq!(world.a.handshakes, 1);
}

#[test]
fn aes_carries_data_both_ways_and_is_rekeyed() {
    let mut world = World::new();
    let (a, b) = (world.a.name(), world.b.name());
    world.b.add_with(&a, 7, Cipher::Aes256Gcm, false, world.now);
    world.a.add_with(&b, 7, Cipher::Aes256Gcm, true, world.now);
    world.settle();
    for _ in 0..130 {
        assert!(world.passes(true));
        assert!(world.passes(false));
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.a.handshakes, 2);
}

#[test]
fn peers_that_did_not_agree_on_the_cipher_pass_nothing() {
    let mut world = World::new();
    let (a, b) = (world.a.name(), world.b.name());
    world.b.add(&a, 7, false, world.now);
    world.a.add_with(&b, 7, Cipher::Aes256Gcm, true, world.now);
    world.settle();
    assert!(!world.passes(true));
    assert!(!world.passes(false));
}

#[test]
fn the_cipher_changes_together_with_the_psk_and_without_a_gap() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(1);
    let (a, b) = (world.a.name(), world.b.name());
    world.b.add_with(&a, 8, Cipher::Aes256Gcm, false, world.now);
    assert!(world.passes(true));
    world.a.add_with(&b, 8, Cipher::Aes256Gcm, true, world.now);
    assert!(world.passes(false));
    assert_eq!((world.a.handshakes, world.b.handshakes), (2, 2));
    assert!(world.passes(true));
}

#[test]
fn a_packet_is_padded_to_sixteen_bytes_and_never_past_the_mtu() {
    for (packet_bytes, datagram_bytes) in
        [(33, 80), (48, 80), (49, 96), (1279, 1312), (MTU, 1312), (1290, 1322)]
    {
        let mut world = World::with_session(7);
        let mut packet = udp(world.a.overlay, world.b.overlay);
        packet.resize(packet_bytes, 0);
        packet[2..4].copy_from_slice(&(packet_bytes as u16).to_be_bytes());
        world.a.router.hold(&packet, world.now);
        let Some(Output::Send { datagram, .. }) = world.a.router.poll() else {
            panic!("not sent");
        };
        assert_eq!(datagram.len(), datagram_bytes);
        receive(&mut world.b, world.a.address, &datagram, world.now);
        assert_eq!(world.b.delivered, [packet]);
    }
}
