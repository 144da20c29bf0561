//! Initiations that come before their peer was added, and adding a peer that is there already.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is built of")]

mod world;

use std::time::Duration;

use shadowmesh_core::Output;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::wireguard::Cipher;
use world::{Node, World, receive};

const KEPT: Duration = Duration::from_secs(2);
const ANSWER_TIME: Duration = Duration::from_millis(250);

#[test]
fn an_initiation_that_came_before_its_peer_is_answered_when_that_is_added() {
    let mut world = early();
    assert_eq!(world.b.handshakes, 0);
    world.pass(KEPT - Duration::from_millis(1));
    world.b.add(&world.a.name(), 7, false, world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
    assert!(world.passes(true));
    assert!(world.passes(false));
}

#[test]
fn it_is_answered_where_it_came_from() {
    let mut world = World::new();
    world.a.add(&world.b.name(), 7, true, world.now);
    let sent = initiation(&mut world.a);
    let elsewhere = "203.0.113.1:1".parse().unwrap();
    receive(&mut world.b, elsewhere, &sent, world.now);
    world.b.add(&world.a.name(), 7, false, world.now);
    let Some(Output::Send { destination, .. }) = world.b.router.poll() else {
        panic!("not answered");
    };
    assert_eq!(destination, elsewhere.into());
}

#[test]
fn an_initiation_older_than_two_seconds_is_not_answered() {
    let mut world = early();
    world.now += KEPT;
    world.b.add(&world.a.name(), 7, false, world.now);
    world.collect();
    assert!(world.link.is_empty());
    assert_eq!(world.b.dropped(DropReason::WireguardRefused), 1);
}

#[test]
fn a_peer_that_never_comes_leaves_nothing_behind() {
    let mut world = early();
    assert_eq!(world.b.router.next_timeout(), Some(world.now + KEPT));
    world.b.router.handle_timeout(world.now + KEPT);
    assert_eq!(world.b.router.next_timeout(), None);
    assert_eq!(world.b.dropped(DropReason::WireguardRefused), 1);
}

#[test]
fn a_replay_is_refused_before_and_after_the_peer_is_added() {
    let mut world = World::new();
    world.a.add(&world.b.name(), 7, true, world.now);
    let sent = initiation(&mut world.a);
    let replay = |world: &mut World| receive(&mut world.b, world.a.address, &sent, world.now);
    replay(&mut world);
    world.now += KEPT / 2;
    replay(&mut world);
    assert_eq!(world.b.dropped(DropReason::WireguardReplay), 1);
    world.b.add(&world.a.name(), 7, false, world.now);
    world.settle();
    replay(&mut world);
    assert_eq!(world.b.dropped(DropReason::WireguardReplay), 2);
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
}

#[test]
fn the_newest_initiation_of_a_key_counts() {
    let mut world = early();
    world.now += Duration::from_secs(1);
    world.a.router.remove_peer(world.b.key);
    world.a.add(&world.b.name(), 7, true, world.now);
    world.settle();
    assert_eq!(world.b.dropped(DropReason::WireguardRefused), 1, "the one before it");
    world.b.add(&world.a.name(), 7, false, world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
}

#[test]
fn the_seventeenth_key_pushes_out_the_oldest() {
    let mut world = World::new();
    let mut early: Vec<Node> = (10..27).map(|number| Node::new(number, world.now)).collect();
    for node in &mut early {
        node.add(&world.b.name(), 7, true, world.now);
        let sent = initiation(node);
        receive(&mut world.b, node.address, &sent, world.now);
    }
    assert_eq!(world.b.dropped(DropReason::WireguardRefused), 1);
    let answers = early.iter().map(|node| {
        world.b.add(&node.name(), 7, false, world.now);
        world.b.router.poll().is_some()
    });
    let answers: Vec<bool> = answers.collect();
    assert!(!answers[0]);
    assert!(answers[1..].iter().all(|is_answered| *is_answered));
}

#[test]
fn a_peer_added_again_before_it_has_answered_is_asked_again_at_once_if_it_has_forgotten() {
    let mut world = World::new();
    for _ in 0..3 {
        world.now += KEPT;
        world.a.add(&world.b.name(), 7, true, world.now);
        initiation(&mut world.a);
    }
    world.b.add(&world.a.name(), 7, false, world.now);
    world.now += KEPT;
    world.a.add(&world.b.name(), 7, true, world.now);
    world.settle();
    assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
}

/// If the initiation was lost. If not, the peer answers it, or has, and another one would undo that.
#[test]
fn a_peer_added_again_soon_after_it_was_asked_is_asked_again_a_moment_later() {
    for age in [0, 20, 1_999].map(Duration::from_millis) {
        let mut world = World::new();
        world.a.add(&world.b.name(), 7, true, world.now);
        initiation(&mut world.a);
        world.now += age;
        world.a.add(&world.b.name(), 7, true, world.now);
        assert_eq!(world.a.router.poll(), None);
        world.b.add(&world.a.name(), 7, false, world.now);
        world.pass(ANSWER_TIME);
        assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
    }
}

#[test]
fn an_answer_on_its_way_is_taken_although_the_peer_was_added_again_meanwhile() {
    for age in [1, 60, 1_999].map(Duration::from_millis) {
        let mut world = World::new();
        world.b.add(&world.a.name(), 7, false, world.now);
        world.a.add(&world.b.name(), 7, true, world.now);
        world.collect();
        world.now += age;
        world.a.add(&world.b.name(), 7, true, world.now);
        world.settle();
        assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1));
        world.pass(Duration::from_secs(4));
        assert_eq!((world.a.handshakes, world.b.handshakes), (1, 1), "nothing is asked again");
    }
}

/// The old PSK has its turn when the initiator repeats by itself what it could not open.
#[test]
fn an_initiation_that_is_repeated_soon_is_answered_with_the_new_psk_again() {
    let mut world = World::with_session(7);
    world.a.router.remove_peer(world.b.key);
    world.b.add(&world.a.name(), 8, false, world.now);
    for _ in 0..2 {
        world.now += Duration::from_secs(1);
        world.a.router.remove_peer(world.b.key);
        world.a.add(&world.b.name(), 8, true, world.now);
        let sent = initiation(&mut world.a);
        receive(&mut world.b, world.a.address, &sent, world.now);
    }
    let before = world.a.handshakes;
    world.settle();
    assert_eq!(world.a.handshakes, before + 1);
    assert!(world.passes(true));
    assert!(world.passes(false));
}

#[test]
fn a_peer_added_again_with_the_psk_of_its_session_goes_on_with_that() {
    let mut world = World::with_session(7);
    world.now += Duration::from_secs(1);
    world.a.add(&world.b.name(), 7, true, world.now);
    world.b.add(&world.a.name(), 7, true, world.now);
    world.collect();
    assert!(world.link.is_empty());
    assert!(world.passes(true));
    assert!(world.passes(false));
    world.now += Duration::from_secs(1);
    world.a.add_with(&world.b.name(), 7, Cipher::Aes256Gcm, true, world.now);
    world.collect();
    assert_eq!(world.link.len(), 1, "another cipher needs a handshake");
}

/// `b` has the initiation of `a` and does not know `a` yet.
fn early() -> World {
    let mut world = World::new();
    world.a.add(&world.b.name(), 7, true, world.now);
    world.settle();
    assert_eq!(world.b.dropped(DropReason::WireguardRefused), 0);
    world
}

fn initiation(node: &mut Node) -> Vec<u8> {
    let Some(Output::Send { datagram, .. }) = node.router.poll() else {
        panic!("no initiation");
    };
    datagram
}

#[test]
fn an_initiation_that_was_answered_with_the_old_psk_is_answered_again_when_the_new_one_comes() {
    let mut world = World::with_session(7);
    world.a.router.remove_peer(world.b.key);
    world.now += Duration::from_secs(1);
    world.a.add(&world.b.name(), 8, true, world.now);
    world.settle();
    let before = world.a.handshakes;
    world.now += Duration::from_millis(20);
    world.b.add(&world.a.name(), 8, false, world.now);
    world.settle();
    assert_eq!(world.a.handshakes, before + 1, "nothing had to be asked again");
    assert!(world.passes(true));
    assert!(world.passes(false));
}

#[test]
fn an_old_initiation_is_not_answered_again() {
    let mut world = World::with_session(7);
    world.a.router.remove_peer(world.b.key);
    world.now += Duration::from_secs(1);
    world.a.add(&world.b.name(), 8, true, world.now);
    world.settle();
    world.now += Duration::from_secs(2);
    world.b.add(&world.a.name(), 8, false, world.now);
    world.collect();
    assert!(world.link.is_empty());
}
