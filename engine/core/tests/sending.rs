//! The half that sends, which takes no lock, follows what the router decides.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is built of")]

mod world;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use shadowmesh_core::Route;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::packet::IpHeader;
use shadowmesh_core::wireguard::sealed_bytes;
use world::{World, send_packet, udp};

#[test]
fn a_new_path_holds_for_the_next_packet() {
    let mut world = World::with_session(7);
    let elsewhere = SocketAddr::from(([203, 0, 113, 1], 1));
    world.a.router.set_path(world.b.key, elsewhere).unwrap();
    assert_eq!(destination(&world), Some(elsewhere));
    assert!(world.passes(false), "the peer is still where it was");
    assert_eq!(destination(&world), Some(world.b.address), "and is followed");
}

#[test]
fn no_further_packet_is_padded_beyond_a_changed_mtu() {
    let mut world = World::with_session(7);
    let mut packet = udp(world.a.overlay, world.b.overlay);
    packet.resize(65, 0);
    packet[3] = 65;
    for (mtu, padded) in [(80, 80), (70, 70), (60, 65)] {
        world.a.sending.set_mtu(mtu);
        send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
        assert_eq!(world.link.remove(0).1.len(), padded + 32);
    }
}

#[test]
fn a_removed_peer_gets_no_further_packet() {
    let mut world = World::with_session(7);
    world.a.router.remove_peer(world.b.key);
    assert_eq!(destination(&world), None);
}

#[test]
fn new_keys_hold_for_the_next_packet() {
    let mut world = World::with_session(7);
    let mut keys = HashSet::from([key_of_next(&mut world)]);
    for psk in 8..12 {
        world.now += Duration::from_secs(1);
        world.b.add(&world.a.name(), psk, false, world.now);
        world.a.add(&world.b.name(), psk, true, world.now);
        world.settle();
        assert!(keys.insert(key_of_next(&mut world)));
    }
}

#[test]
fn data_that_is_not_answered_for_fifteen_seconds_asks_for_new_keys() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(10);
    key_of_next(&mut world);
    let end = world.now + Duration::from_secs(15);
    assert_eq!(world.a.router.next_timeout(), Some(end));
    world.a.router.handle_timeout(end);
    world.collect();
    assert_eq!(world.link.len(), 1);
}

#[test]
fn data_that_is_sent_saves_the_keepalive_for_what_came_before_it() {
    let mut world = World::with_session(7);
    assert!(world.passes(false));
    assert_eq!(world.a.router.next_timeout(), Some(world.now + Duration::from_secs(10)));
    assert!(world.passes(true));
    world.b.router.handle_timeout(world.now + Duration::from_secs(10));
    world.collect();
    assert_eq!(world.link.len(), 1, "b keeps alive");
    world.link.clear();
    world.a.router.handle_timeout(world.now + Duration::from_secs(10));
    world.collect();
    assert!(world.link.is_empty());
}

#[test]
fn a_thread_that_sends_while_keys_change_never_uses_a_counter_twice() {
    const PSK_CHANGES: u8 = 20;
    let mut world = World::with_session(1);
    let (ip, sending, now) = (header(&world), world.a.router.sending(), world.now);
    let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let send_all = || {
        let mut nonces = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            if let Route::To(_, mut seals) = sending.route(&ip, 2, 40, now) {
                let mut datagram = [0; sealed_bytes(20)];
                while seals.seal(&[0; 20], &mut datagram).is_some() {
                    nonces.push(*datagram[4..].first_chunk::<12>().unwrap());
                }
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
        nonces
    };
    let mut nonces = std::thread::scope(|scope| {
        let threads = [scope.spawn(send_all), scope.spawn(send_all)];
        for psk in 2..2 + PSK_CHANGES {
            world.now += Duration::from_secs(1);
            world.b.add(&world.a.name(), psk, false, world.now);
            world.a.add(&world.b.name(), psk, true, world.now);
            world.settle();
            let before = sent.load(Ordering::Relaxed);
            while sent.load(Ordering::Relaxed) < before + 10 {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    let sealed = nonces.len();
    let keys: HashSet<&[u8]> = nonces.iter().map(|nonce| &nonce[..4]).collect();
    let keys = keys.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), sealed);
    assert!(keys >= usize::from(PSK_CHANGES));
    assert_eq!(world.a.dropped(DropReason::NoSession), 0);
}

fn header(world: &World) -> IpHeader {
    IpHeader::parse(&udp(world.a.overlay, world.b.overlay)).unwrap()
}

/// Where the next packet of `a` goes.
fn destination(world: &World) -> Option<SocketAddr> {
    match world.a.sending.route(&header(world), 1, 33, world.now) {
        Route::To(destination, _) => Some(destination),
        _ => None,
    }
}

/// The receiver's index in the next datagram of `a`, which is lost.
fn key_of_next(world: &mut World) -> Vec<u8> {
    let packet = udp(world.a.overlay, world.b.overlay);
    send_packet(&mut world.a, &packet, true, &mut world.link, world.now);
    world.link.remove(0).1[4..8].to_vec()
}
