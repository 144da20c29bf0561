//! Neither data path allocates for a packet or for a batch of them, once its buffers have been made.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is built of")]

mod world;

use std::ops::Range;

use allocation_counter::measure;
use shadowmesh_core::Route;
use shadowmesh_core::join::{Joiner, Joins};
use shadowmesh_core::segment::SuperPacket;
use shadowmesh_core::vnet::{Gso, VnetHeader};
use shadowmesh_core::wireguard::{Open, Opened, sealed_bytes};
use world::{World, udp};

const HEADER_BYTES: usize = 28;
const SEGMENT_BYTES: usize = 200;
const SEGMENTS: usize = 10;
const BATCHES: usize = 50;

const VNET: VnetHeader = VnetHeader {
    gso: Gso::Udp,
    needs_checksum: true,
    header_bytes: HEADER_BYTES as u16,
    segment_bytes: SEGMENT_BYTES as u16,
    checksum_start: 20,
    checksum_offset: 6,
};

#[test]
fn a_batch_is_cut_and_sealed_and_opened_and_joined_without_an_allocation() {
    for from_a in [true, false] {
        let mut world = World::with_session(7);
        let mut lane = Lane::new(&world, from_a);
        lane.pass(&mut world);
        let counted = measure(|| {
            for _ in 0..BATCHES {
                lane.pass(&mut world);
            }
        });
        assert_eq!(lane.written, (BATCHES + 1) * SEGMENTS * SEGMENT_BYTES);
        assert_eq!(counted.count_total, 0);
    }
}

#[test]
fn an_allocation_is_seen() {
    let mut world = World::new();
    let packet = udp(world.a.overlay, world.b.overlay);
    let counted = measure(|| world.a.router.hold(&packet, world.now));
    assert!(counted.count_total > 0);
}

/// What two shells keep between batches.
struct Lane {
    from_a: bool,
    super_packet: Vec<u8>,
    buffer: Vec<u8>,
    arena: Vec<u8>,
    sealed: Vec<Range<usize>>,
    open: Vec<(Range<usize>, Open)>,
    opened: Vec<(usize, Opened)>,
    joiner: Joiner,
    /// Bytes of payload that came out of it.
    written: usize,
}

impl Lane {
    fn new(world: &World, from_a: bool) -> Self {
        let (from, to) = if from_a { (&world.a, &world.b) } else { (&world.b, &world.a) };
        let total = HEADER_BYTES + SEGMENTS * SEGMENT_BYTES;
        let mut super_packet = udp(from.overlay, to.overlay);
        super_packet.resize(total, 0);
        super_packet[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        Self {
            from_a,
            buffer: super_packet.clone(),
            super_packet,
            arena: vec![0; SEGMENTS * sealed_bytes(HEADER_BYTES + SEGMENT_BYTES)],
            sealed: Vec::new(),
            open: Vec::new(),
            opened: Vec::new(),
            joiner: Joiner::new(Joins::ALL),
            written: 0,
        }
    }

    fn pass(&mut self, world: &mut World) {
        self.send(world);
        let (to, source) =
            if self.from_a { (&mut world.b, world.a.address) } else { (&mut world.a, world.b.address) };
        for range in self.sealed.drain(..) {
            let open = to.router.receive(source, &self.arena[range.clone()], world.now).unwrap();
            self.open.push((range, open));
        }
        for (range, open) in self.open.drain(..) {
            self.opened.push((range.start, open.open(&mut self.arena[range])));
        }
        for (at, opened) in self.opened.drain(..) {
            let packet = to.router.accept(opened, source, &self.arena, at, world.now).unwrap();
            self.joiner.push(&self.arena, packet);
        }
        self.joiner.finish(&mut self.arena, |_, _, pieces| {
            self.written += pieces.iter().map(ExactSizeIterator::len).sum::<usize>() - HEADER_BYTES;
        });
    }

    fn send(&mut self, world: &World) {
        let from = if self.from_a { &world.a } else { &world.b };
        self.buffer.copy_from_slice(&self.super_packet);
        let mut packets = SuperPacket::parse(&VNET, &mut self.buffer).unwrap();
        let (count, bytes) = (packets.count(), packets.total_bytes());
        let Route::To(_, mut seals) = from.sending.route(packets.ip(), count, bytes, world.now) else {
            panic!("there is a session");
        };
        let mut start = 0;
        while let Some(packet) = packets.next_packet() {
            let sealed = seals.seal(packet, &mut self.arena[start..]).unwrap();
            self.sealed.push(start..start + sealed);
            start += sealed;
        }
    }
}
