//! TUN to UDP: reads what the kernel has, cuts it, seals each packet into the outbox, sends runs.

use std::time::Instant;

use shadowmesh_core::Route;
use shadowmesh_core::drops::DropReason;
use shadowmesh_core::segment::SuperPacket;
use shadowmesh_core::vnet::{VNET_HEADER_BYTES, VnetHeader};
use shadowmesh_core::wireguard::sealed_bytes;

use crate::os::{Poller, Tun};
use crate::outbox::Outbox;
use crate::shared::Shared;

const READ_BYTES: usize = VNET_HEADER_BYTES + 65_536;

/// Returns why the device can no longer be read, or Ok when the engine stops.
pub(crate) fn run(shared: &Shared, tun: &Tun) -> Result<(), String> {
    let mut buffer = vec![0; READ_BYTES];
    let mut outbox = Outbox::new();
    let mut poller = Poller::new(&shared.tx_signal);
    poller.watch([tun]);
    while !shared.is_stopping() {
        let read = tun.read(&mut buffer).map_err(|error| format!("TUN device {}: {error}", tun.name()))?;
        let Some(length) = read else {
            if !outbox.is_empty() {
                // While it is sent, more may come: a look is cheaper than to be put to sleep and woken.
                flush(shared, &mut outbox);
                continue;
            }
            poller.wait(None).map_err(|error| format!("poll: {error}"))?;
            continue;
        };
        if let Err(reason) = send_packet(shared, &mut buffer[..length], &mut outbox) {
            shared.drops.count(reason);
        }
        if outbox.is_worth_sending() {
            flush(shared, &mut outbox);
        }
    }
    Ok(())
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
            // Held packets and handshakes have deadlines, and the other thread keeps the time.
            shared.rx_signal.raise();
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
