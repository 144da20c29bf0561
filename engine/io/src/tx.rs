//! TUN to UDP: reads what the kernel has, cuts it, seals each packet into the outbox, sends runs.

use std::time::Instant;

use shadowmesh_core::Route;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::segment::SuperPacket;
use shadowmesh_core::vnet::{VNET_HEADER_BYTES, VnetHeader};
use shadowmesh_core::wireguard::sealed_bytes;

use crate::os::Tun;
use crate::outbox::Outbox;
use crate::shared::Shared;

const READ_BYTES: usize = VNET_HEADER_BYTES + 65_536;
/// After so much the other direction has its turn.
const DRAIN_BYTES: usize = 65_000;

/// What it takes to carry packets from the device to the port; nothing of it is made anew for the next one.
#[derive(Debug)]
pub(crate) struct Sender {
    buffer: Box<[u8]>,
    outbox: Outbox,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; READ_BYTES].into_boxed_slice(), outbox: Outbox::new() }
    }

    /// Sends what the device has, but hardly more than one super-packet. Returns whether there may be more, or why the
    /// device can no longer be read.
    pub(crate) fn drain(&mut self, shared: &Shared, tun: &Tun) -> Result<bool, String> {
        let Self { buffer, outbox } = self;
        let mut bytes = 0;
        while bytes < DRAIN_BYTES {
            let read = tun.read(buffer).map_err(|error| format!("TUN device {}: {error}", tun.name()))?;
            let Some(length) = read else {
                if outbox.is_empty() {
                    return Ok(false);
                }
                // While it is sent, more may come: a look is cheaper than to be put to sleep and woken.
                flush(shared, outbox);
                continue;
            };
            bytes += length;
            if let Err(reason) = send_packet(shared, &mut buffer[..length], outbox) {
                shared.drops.count(reason);
            }
            if outbox.is_worth_sending() {
                flush(shared, outbox);
            }
        }
        flush(shared, outbox);
        Ok(true)
    }
}

fn send_packet(shared: &Shared, read: &mut [u8], outbox: &mut Outbox) -> Result<(), DropReason> {
    let (header, packet) =
        read.split_first_chunk_mut::<VNET_HEADER_BYTES>().ok_or(DropReason::MalformedPacket)?;
    let vnet = VnetHeader::decode(header).ok_or(DropReason::MalformedPacket)?;
    let mut packets = SuperPacket::parse(&vnet, packet)?;

    let traffic_class = packets.ip().traffic_class;
    let now = Instant::now();
    match shared.sending.route(packets.ip(), packets.count(), packets.total_bytes(), now) {
        Route::To(destination, mut seals) => {
            while let Some(packet) = packets.next_packet() {
                let bytes = sealed_bytes(packet.len());
                if outbox.room(bytes).is_none() {
                    flush(shared, outbox);
                }
                if let Some(sealed) = outbox.room(bytes).and_then(|room| seals.seal(packet, room)) {
                    outbox.push(sealed, destination, traffic_class);
                }
            }
        }
        Route::Hold => {
            let mut router = shared.router();
            while let Some(packet) = packets.next_packet() {
                router.hold(packet, now);
            }
            shared.perform(router);
            // Held packets and handshakes have deadlines, and the first thread keeps the time.
            shared.first_signal.raise();
        }
        Route::Drop(reason) => return Err(reason),
    }
    Ok(())
}

fn flush(shared: &Shared, outbox: &mut Outbox) {
    let lost = outbox.flush(&shared.ports);
    if lost > 0 {
        shared.drops.count_many(DropReason::UdpSend, lost);
    }
}
