//! Why a packet or datagram was dropped. The names are metrics labels, so they stay as they are.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $label:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)*];

            pub fn label(self) -> &'static str {
                match self { $(DropReason::$variant => $label,)* }
            }
        }
    };
}

drop_reasons! {
    /// Not an IP packet, or its lengths contradict each other.
    MalformedPacket = "malformed_packet",
    /// A decrypted packet whose source is not among its peer's allowed addresses.
    SourceNotAllowed = "source_not_allowed",
    /// A decrypted packet for somebody else than this host: a peer is not let through to what lies behind it.
    DestinationNotOwn = "destination_not_own",
    /// Multicast and link-local packets of this host: the overlay carries neither.
    LinkLocal = "link_local",
    /// The path marked the datagram, and the packet in it is of a transport that would not notice (RFC 6040).
    Congestion = "congestion",
    /// No peer has the destination, and the hold was full or its time over.
    Unrouted = "unrouted",
    /// Waited for a handshake that did not come, or the queue for it was full.
    NoSession = "no_session",
    /// A peer's packet arrived, and there is no TUN device to give it to.
    NoDevice = "no_device",
    /// The TUN device refused a packet.
    TunWrite = "tun_write",
    UnknownDatagram = "unknown_datagram",
    RelayFrame = "relay_frame",
    ControlTooLong = "control_too_long",
    /// No such datagram is ever sent.
    ControlMalformed = "control_malformed",
    /// Its sender does not know our public key.
    ControlMac = "control_mac",
    /// Of nothing that is going on.
    ControlUnknownId = "control_unknown_id",
    /// The begin of a handshake, under load, from a sender that has to show a cookie first.
    ControlCookie = "control_cookie",
    /// More than its network, or all together, may cost.
    ControlRate = "control_rate",
    /// Python does not drain fast enough.
    ControlQueueFull = "control_queue_full",
    EventQueueFull = "event_queue_full",
    /// Bad MAC, tag, counter or index, an unknown peer, or over the handshake rate.
    WireguardRefused = "wireguard_refused",
    WireguardReplay = "wireguard_replay",
    UdpSend = "udp_send",
    UdpReceive = "udp_receive",
}

#[derive(Debug)]
pub struct Drops([AtomicU64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; DropReason::ALL.len()])
    }
}

impl Drops {
    pub fn count(&self, reason: DropReason) {
        self.count_many(reason, 1);
    }

    pub fn count_many(&self, reason: DropReason, packets: u64) {
        self.0[reason as usize].fetch_add(packets, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|&reason| (reason.label(), self.0[reason as usize].load(Ordering::Relaxed)))
    }
}
