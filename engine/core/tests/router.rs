//! What the router does with packets, peers and sessions.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is built of")]

mod world;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use shadowmesh_core::drops::DropReason;
use shadowmesh_core::packet::IpHeader;
use shadowmesh_core::wireguard::{Cipher, PublicKey, Secret};
use shadowmesh_core::{PeerConfig, Route, RouterError};
use world::{GIVE_UP_AFTER, Node, REKEY_AFTER, World, receive, send_packet, udp};

#[test]
fn a_packet_arrives_without_its_padding() {
    let mut world = World::with_session(7);
    assert!(world.passes(true));
    assert!(world.passes(false));
    assert_eq!(world.b.delivered, [udp(world.a.overlay, world.b.overlay)]);
}

#[test]
fn packets_wait_for_the_handshake_that_they_start() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    world.a.add(&world.b.name(), 7, false, world.now);
    let packet = udp(world.a.overlay, world.b.overlay);
    for _ in 0..70 {
        send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    }
    world.settle();
    assert_eq!(world.b.delivered.len(), 64);
    assert_eq!(world.a.dropped(DropReason::NoSession), 6);
}

#[test]
fn different_psks_pass_nothing() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    world.a.add(&world.b.name(), 8, true, world.now);
    for _ in 0..20 {
        assert!(!world.passes(true));
        assert!(!world.passes(false));
        world.pass(Duration::from_secs(3));
    }
    assert_eq!((world.a.handshakes, world.b.handshakes), (0, 0));
}

#[test]
fn a_source_that_the_peer_was_not_given_is_refused() {
    let mut world = World::with_session(7);
    let spoofed = udp(IpAddr::from([10, 0, 0, 9]), world.b.overlay);
    send_packet(&mut world.a, &spoofed, true, &mut world.link, world.now);
    world.settle();
    assert!(world.b.delivered.is_empty());
    assert_eq!(world.b.dropped(DropReason::SourceNotAllowed), 1);
}

#[test]
fn a_peer_is_not_let_through_to_what_lies_behind_this_host() {
    let mut world = World::with_session(7);
    let behind = IpAddr::from([192, 168, 1, 1]);
    // The sender is made to believe that b has this address.
    let (key, path, overlay) = world.b.name();
    let prefixes = [overlay, behind].map(|address| format!("{address}/32").parse().unwrap());
    let config = PeerConfig {
        public_key: key,
        psk: Secret::new([7; 32]),
        cipher: Cipher::default(),
        path: path.into(),
        allowed_ips: prefixes.to_vec(),
        keepalive: Duration::ZERO,
        initiate: false,
        follow: true,
    };
    world.a.router.add_peer(config, world.now).unwrap();
    let packet = udp(world.a.overlay, behind);
    send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    world.settle();
    assert!(world.b.delivered.is_empty());
    assert_eq!(world.b.dropped(DropReason::DestinationNotOwn), 1);
}

#[test]
fn a_replayed_datagram_is_refused_and_does_not_move_the_path() {
    let mut world = World::with_session(7);
    let packet = udp(world.a.overlay, world.b.overlay);
    send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    let (_, datagram) = world.link[0].clone();
    world.settle();
    let elsewhere = SocketAddr::from(([203, 0, 113, 1], 1));
    receive(&mut world.b, elsewhere, &datagram, world.now);
    world.settle();
    assert_eq!(world.b.delivered.len(), 1);
    assert_eq!(world.b.dropped(DropReason::WireguardReplay), 1);
    assert!(world.b.roamed.is_empty());
}

#[test]
fn a_peer_is_followed_to_its_new_address() {
    let mut world = World::with_session(7);
    world.a.address = SocketAddr::from(([203, 0, 113, 1], 1));
    assert!(world.passes(true));
    world.settle();
    assert_eq!(world.b.roamed, [world.a.address]);
}

#[test]
fn a_peer_that_is_not_to_be_followed_keeps_its_path_and_that_is_told_now_and_then() {
    let mut world = World::with_session(7);
    let path = world.a.address;
    let config = PeerConfig {
        public_key: world.a.key,
        psk: Secret::new([7; 32]),
        cipher: Cipher::default(),
        path: path.into(),
        allowed_ips: vec![format!("{}/32", world.a.overlay).parse().unwrap()],
        keepalive: Duration::ZERO,
        initiate: false,
        follow: false,
    };
    world.b.router.add_peer(config, world.now).unwrap();
    world.a.address = SocketAddr::from(([203, 0, 113, 1], 1));
    for _ in 0..10 {
        assert!(world.passes(true));
    }
    assert_eq!(world.b.roamed, [world.a.address]);
    assert_eq!(world.b.router.peers(world.now)[0].path, path.into());
    world.now += Duration::from_millis(200);
    assert!(world.passes(true));
    assert_eq!(world.b.roamed, [world.a.address; 2]);
}

#[test]
fn garbage_and_every_truncation_are_counted_and_nothing_else() {
    let mut world = World::with_session(7);
    let packet = udp(world.a.overlay, world.b.overlay);
    send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    let (_, datagram) = world.link.remove(0);
    for length in 0..datagram.len() {
        receive(&mut world.b, world.a.address, &datagram[..length], world.now);
    }
    for at in 0..datagram.len() {
        let mut changed = datagram.clone();
        changed[at] ^= 1;
        receive(&mut world.b, world.a.address, &changed, world.now);
    }
    world.settle();
    assert!(world.b.delivered.is_empty());
    receive(&mut world.b, world.a.address, &datagram, world.now);
    assert_eq!(world.b.delivered.len(), 1);
}

#[test]
fn a_new_psk_takes_over_without_a_gap_once_both_sides_have_it() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(1);
    world.a.add(&world.b.name(), 8, true, world.now);
    world.settle();
    for _ in 0..10 {
        assert!(world.passes(true), "the old session carries on");
        assert!(world.passes(false));
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.a.handshakes, 1);
    world.b.add(&world.a.name(), 8, false, world.now);
    for _ in 0..12 {
        assert!(world.passes(true));
        assert!(world.passes(false));
        world.pass(Duration::from_secs(1));
    }
    assert_eq!((world.a.handshakes, world.b.handshakes), (2, 2));
}

#[test]
fn what_was_sealed_before_a_psk_change_is_still_opened_after_it() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(1);
    let packet = udp(world.a.overlay, world.b.overlay);
    send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    let (_, late) = world.link.remove(0);
    world.b.add(&world.a.name(), 8, false, world.now);
    world.a.add(&world.b.name(), 8, true, world.now);
    world.settle();
    assert_eq!(world.b.handshakes, 2);
    receive(&mut world.b, world.a.address, &late, world.now);
    assert_eq!(world.b.delivered.len(), 1);
}

#[test]
fn the_old_keys_are_forgotten_soon_after_a_psk_change() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(1);
    let packet = udp(world.a.overlay, world.b.overlay);
    send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    let (_, late) = world.link.remove(0);
    world.b.add(&world.a.name(), 8, false, world.now);
    world.a.add(&world.b.name(), 8, true, world.now);
    world.settle();
    world.pass(Duration::from_secs(11));
    receive(&mut world.b, world.a.address, &late, world.now);
    assert!(world.b.delivered.is_empty());
}

#[test]
fn a_responder_that_was_changed_first_still_answers_the_old_psk() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(1);
    world.b.add(&world.a.name(), 8, false, world.now);
    // `a` comes back from a restart with the old PSK and no session.
    let address = world.a.address;
    world.a = Node::new(1, world.now);
    world.a.address = address;
    world.a.add(&world.b.name(), 7, true, world.now);
    world.settle();
    world.pass(Duration::from_secs(12));
    assert_eq!(world.a.handshakes, 1);
    assert!(world.passes(true));
}

#[test]
fn both_sides_changing_and_initiating_at_once_end_with_the_new_psk() {
    let mut world = World::with_session(7);
    for psk in 8..20 {
        world.now += Duration::from_secs(1);
        world.a.add(&world.b.name(), psk, true, world.now);
        world.b.add(&world.a.name(), psk, true, world.now);
        world.settle();
        world.pass(Duration::from_secs(12));
        assert!(world.passes(true));
        assert!(world.passes(false));
        assert!(world.a.handshakes >= usize::from(psk) - 6, "{psk}");
    }
}

#[test]
fn a_session_in_use_is_rekeyed_and_never_interrupted() {
    let mut world = World::with_session(7);
    for _ in 0..400 {
        assert!(world.passes(true));
        assert!(world.passes(false));
        world.pass(Duration::from_secs(1));
    }
    assert!(world.a.handshakes as u64 >= 400 / (REKEY_AFTER.as_secs() + 10));
}

#[test]
fn a_peer_that_was_away_for_long_is_reached_again_by_the_next_packet() {
    let mut world = World::with_session(7);
    world.pass(Duration::from_secs(2000));
    assert!(world.passes(true));
    world.pass(Duration::from_secs(2000));
    assert!(world.passes(false));
}

#[test]
fn a_dead_peer_is_given_up_and_what_waits_for_it_is_dropped() {
    let mut world = World::new();
    world.a.add(&world.b.name(), 7, true, world.now);
    for _ in 0..5 {
        world.send(true);
    }
    world.pass(GIVE_UP_AFTER + Duration::from_secs(10));
    assert_eq!(world.a.dropped(DropReason::NoSession), 5);
    world.b.add(&world.a.name(), 7, false, world.now);
    assert!(world.passes(true), "the next packet tries anew");
}

#[test]
fn a_packet_for_nobody_is_reported_and_refused_after_three_seconds() {
    let mut world = World::new();
    world.send(true);
    world.send(true);
    assert_eq!(world.a.unrouted, [world.b.overlay]);
    world.pass(Duration::from_secs(2));
    assert!(world.a.delivered.is_empty());
    world.pass(Duration::from_secs(2));
    assert_eq!(world.a.delivered.len(), 2);
    assert_eq!(IpHeader::parse(&world.a.delivered[0]).unwrap().destination, world.a.overlay);
    assert_eq!(world.a.dropped(DropReason::Unrouted), 2);
    world.send(true);
    assert_eq!(world.a.unrouted.len(), 2);
}

#[test]
fn a_held_packet_is_sent_when_its_peer_is_added() {
    let mut world = World::new();
    world.b.add(&world.a.name(), 7, false, world.now);
    world.send(true);
    world.pass(Duration::from_secs(1));
    world.a.add(&world.b.name(), 7, false, world.now);
    world.settle();
    assert_eq!(world.b.delivered.len(), 1);
}

#[test]
fn the_hold_and_the_reports_are_bounded() {
    let mut world = World::new();
    let source = world.a.overlay;
    for number in 0..1000u16 {
        let [high, low] = number.to_be_bytes();
        let packet = udp(source, IpAddr::from([10, 9, high, low]));
        send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    }
    world.settle();
    assert_eq!(world.a.unrouted.len(), 256);
    assert_eq!(world.a.delivered.len(), 1000 - 64);
}

#[test]
fn multicast_and_link_local_packets_never_leave() {
    let world = World::with_session(7);
    for address in ["224.0.0.1", "255.255.255.255", "169.254.1.1"] {
        let packet = udp(world.a.overlay, address.parse().unwrap());
        let ip = IpHeader::parse(&packet).unwrap();
        let route = world.a.sending.route(&ip, 1, packet.len(), world.now);
        assert_eq!(route, Route::Drop(DropReason::LinkLocal));
    }
}

#[test]
fn a_prefix_belongs_to_one_peer_until_that_gives_it_up() {
    let mut world = World::with_session(7);
    let config = |prefix: &str| PeerConfig {
        public_key: PublicKey([9; 32]),
        psk: Secret::new([7; 32]),
        cipher: Cipher::default(),
        path: SocketAddr::from(([192, 0, 2, 9], 1)).into(),
        allowed_ips: vec![prefix.parse().unwrap()],
        keepalive: Duration::ZERO,
        initiate: false,
        follow: true,
    };
    let taken = "10.0.0.2/32".parse().unwrap();
    let now = world.now;
    assert_eq!(world.a.router.add_peer(config("10.0.0.2/32"), now), Err(RouterError::PrefixTaken(taken)));
    assert_eq!(world.a.router.peers(now).len(), 1);
    world.a.router.remove_peer(world.b.key);
    assert_eq!(world.a.router.add_peer(config("10.0.0.2/32"), now), Ok(()));
}

#[test]
fn our_own_key_and_a_weak_one_are_no_peers() {
    let mut world = World::new();
    for key in [world.a.key, PublicKey([0; 32])] {
        let config = PeerConfig {
            public_key: key,
            psk: Secret::new([7; 32]),
            cipher: Cipher::default(),
            path: SocketAddr::from(([192, 0, 2, 9], 1)).into(),
            allowed_ips: Vec::new(),
            keepalive: Duration::ZERO,
            initiate: false,
            follow: true,
        };
        assert_eq!(world.a.router.add_peer(config, world.now), Err(RouterError::UnusableKey));
    }
}

#[test]
fn a_removed_peer_is_forgotten() {
    let mut world = World::with_session(7);
    let gone = world.a.key;
    world.b.router.remove_peer(gone);
    world.b.router.remove_peer(gone);
    assert!(!world.passes(true));
    assert!(world.b.router.peers(world.now).is_empty());
    assert_eq!(world.b.router.set_path(gone, world.a.address.into()), Err(RouterError::UnknownPeer));
}
