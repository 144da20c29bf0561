use std::net::SocketAddr;
use std::time::Duration;

use blake2::digest::consts::U16;
use blake2::digest::{Digest, FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac};
use shadowmesh_core::first_byte::kind;
use shadowmesh_core::wireguard::{Cipher, PublicKey};

use crate::input::Input;
use crate::world::{World, address, packet_to};

/// More make an input slow and reach nothing new.
const MAX_STEPS: usize = 48;
const NODES: u8 = 4;
/// The node that knows two peers; the fourth knows it and is not known.
const US: usize = 0;
/// The same handshake message so often that a second's load is passed (`limiter.rs`).
const FLOOD: usize = 101;

/// Around the timers of the paper, section 6.1, and those of the engine. Zero: until something is due.
const TIMES_MS: [u64; 16] =
    [0, 20, 40, 334, 1000, 2000, 3000, 5000, 5334, 10_000, 15_000, 60_000, 90_000, 120_000, 180_000, 540_000];

/// Routers with a live session, an attacker between them who reads the input as a script: what is sealed is delivered
/// once at most and unchanged, nothing is answered by more than it has, every deadline lies ahead.
pub fn datagram(data: &[u8]) {
    let mut input = Input::new(data);
    let cipher = input.pick(&[Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm]);
    let mut world = World::new(NODES);
    world.add_peer(1, US, 0, cipher, false);
    world.add_peer(US, 1, 0, cipher, true);
    world.settle();
    world.add_peer(US, 2, 0, cipher, false);
    world.add_peer(2, US, 0, cipher, false);
    world.add_peer(3, US, 0, cipher, false);
    for number in 0..MAX_STEPS {
        if input.is_empty() {
            return;
        }
        step(&mut world, &mut input, number as u8);
    }
}

fn step(world: &mut World, input: &mut Input<'_>, number: u8) {
    let other = 1 + input.below(3);
    let (from, to) = if input.flag() { (US, other) } else { (other, US) };
    match input.below(13) {
        0 => send(world, input, from, to, number),
        1 => {
            let length = input.below(256);
            let packet = input.bytes(length).to_vec();
            world.send(from, world.nodes[to].overlay, &packet);
        }
        2 => world.settle(),
        3 => match input.pick(&TIMES_MS) {
            0 => world.pass_to_deadline(),
            time_ms => world.pass(Duration::from_millis(time_ms)),
        },
        4 => replay(world, input),
        5 | 6 => change(world, input, to),
        7 => {
            let length = input.below(256);
            deliver(world, to, address(from, input.byte() & 1), input.bytes(length).to_vec());
        }
        8 => splice(world, input, to),
        9 | 10 => {
            let cipher = input.pick(&[Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm]);
            world.add_peer(from, to, input.byte() & 3, cipher, input.flag());
        }
        11 => world.remove_peer(from, to),
        _ => flood(world, input),
    }
    if input.flag() {
        world.settle();
    }
}

/// A packet that no other one equals, with a false address now and then.
fn send(world: &mut World, input: &mut Input<'_>, from: usize, to: usize, number: u8) {
    let (source, destination) = (world.nodes[from].overlay, world.nodes[to].overlay);
    let payload = vec![number; usize::from(input.byte()) * 5];
    let other = world.nodes[input.below(NODES.into())].overlay;
    let packet = match input.below(8) {
        0 => packet_to(other, destination, &payload),
        1 => packet_to(source, other, &payload),
        _ => packet_to(source, destination, &payload),
    };
    world.send(from, destination, &packet);
}

/// One of what was seen, or several at once, unchanged: to the right node or another, from the right address or another.
fn replay(world: &mut World, input: &mut Input<'_>) {
    let Some(datagram) = pick_seen(world, input) else { return };
    let source = if input.flag() { datagram.from } else { address(input.below(4), input.byte() & 1) };
    let to = if input.below(8) == 0 { input.below(NODES.into()) } else { datagram.to };
    let mut batch = vec![(source, datagram.bytes); 1 + input.below(3)];
    if let Some(second) = pick_seen(world, input).filter(|second| second.to == to) {
        batch.push((second.from, second.bytes));
    }
    world.receive(to, &batch);
}

/// One of what was seen with some bytes changed, cut off or added; maybe with the mac1 that anybody can make.
fn change(world: &mut World, input: &mut Input<'_>, to: usize) {
    let Some(datagram) = pick_seen(world, input) else { return };
    let mut bytes = datagram.bytes;
    for _ in 0..input.below(4) {
        // The headers lie in the first bytes; the last ones are tags and MACs.
        let at = input.word();
        let at = if at & 0x8000 == 0 { usize::from(at) % 16 } else { usize::from(at) % bytes.len() };
        bytes[at] ^= input.byte();
    }
    match input.below(8) {
        0 => bytes.truncate(input.word() as usize % bytes.len() + 1),
        1 => bytes.extend_from_slice(&[0; 16]),
        2..5 => write_mac1(&mut bytes, &world.nodes[to].key),
        _ => {}
    }
    deliver(world, to, datagram.from, bytes);
}

/// The beginning of one and the end of another.
fn splice(world: &mut World, input: &mut Input<'_>, to: usize) {
    let (Some(first), Some(second)) = (pick_seen(world, input), pick_seen(world, input)) else { return };
    let at = input.below(256);
    let mut bytes = first.bytes[..at.min(first.bytes.len())].to_vec();
    bytes.extend_from_slice(second.bytes.get(at..).unwrap_or_default());
    if input.flag() {
        write_mac1(&mut bytes, &world.nodes[to].key);
    }
    deliver(world, to, first.from, bytes);
}

fn flood(world: &mut World, input: &mut Input<'_>) {
    let Some(mut datagram) = pick_seen(world, input) else { return };
    // A response that nobody waits for costs a MAC alone.
    if let [2, 0, 0, 0, _, _, _, _, receiver, ..] = &mut datagram.bytes[..] {
        *receiver ^= 1;
        write_mac1(&mut datagram.bytes, &world.nodes[datagram.to].key);
        world.receive(datagram.to, &vec![(datagram.from, datagram.bytes); FLOOD]);
    }
}

fn deliver(world: &mut World, to: usize, source: SocketAddr, bytes: Vec<u8>) {
    kind(&bytes);
    world.receive(to, &[(source, bytes)]);
}

/// Counted from the newest.
fn pick_seen(world: &World, input: &mut Input<'_>) -> Option<crate::world::Datagram> {
    let age = input.below(world.seen.len().max(1));
    world.seen.iter().rev().nth(age).cloned()
}

/// The paper, section 5.4.4: its key is public.
fn write_mac1(datagram: &mut [u8], receiver: &PublicKey) {
    let Some((rest, _mac2)) = datagram.split_last_chunk_mut::<16>() else { return };
    let Some((body, mac1)) = rest.split_last_chunk_mut::<16>() else { return };
    let key =
        Digest::chain_update(Digest::chain_update(Blake2s256::new(), b"mac1----"), receiver.0).finalize();
    if let Ok(mut mac) = <Blake2sMac<U16> as KeyInit>::new_from_slice(&key) {
        mac.update(body);
        *mac1 = mac.finalize_fixed().into();
    }
}
