use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sanstun::{Error, ReceivedMessage, StaticSecret, TunnelConfig};

use super::{Index, PublicKey, Secret};
use crate::drops::DropReason;

/// This host's static key, the handshake rate limit and the cookies.
pub struct Interface(sanstun::Interface);

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interface").field(&self.public_key()).finish()
    }
}

/// A datagram that passed the checks that need no peer.
#[derive(Debug)]
pub enum Received {
    /// To be sent back to where it came from.
    CookieReply(sanstun::Datagram),
    Initiation(PublicKey, sanstun::HandshakeInitiation),
    Response(Index, sanstun::HandshakeResponse),
    Cookie(Index, sanstun::CookieReply),
    Data(Index, sanstun::TransportData),
}

impl Interface {
    /// `seed` is fresh randomness; `unix` is the wall clock at `now`, for the stamps of handshakes.
    pub fn new(private_key: &Secret, seed: Secret, now: Instant, unix: Duration) -> Self {
        let interface = sanstun::Interface::new(seed, now, unix);
        Self(interface.with_static_private(StaticSecret::from(private_key.clone())))
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.static_public().to_bytes())
    }

    pub fn receive(
        &mut self,
        source: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Result<Received, DropReason> {
        let message = match self.0.receive(source, datagram, now).map_err(refused)? {
            sanstun::Received::SendCookieReply(reply) => return Ok(Received::CookieReply(reply)),
            sanstun::Received::Message(message) => message,
        };
        Ok(match message {
            ReceivedMessage::HandshakeInitiation(message) => {
                Received::Initiation(PublicKey(message.peer_static_public().to_bytes()), message)
            }
            ReceivedMessage::HandshakeResponse(message) => {
                Received::Response(Index(message.tunnel_id()), message)
            }
            ReceivedMessage::CookieReply(message) => Received::Cookie(Index(message.tunnel_id()), message),
            ReceivedMessage::TransportData(message) => Received::Data(Index(message.tunnel_id()), message),
        })
    }

    /// None for a public key that would make the shared secret zero.
    pub(super) fn new_tunnel(
        &mut self,
        peer: PublicKey,
        psk: &Secret,
        keepalive: Duration,
        now: Instant,
    ) -> Option<sanstun::Tunnel> {
        let config = TunnelConfig::default()
            .with_preshared_key(psk.clone().into())
            .with_persistent_keepalive(keepalive);
        self.0.new_tunnel(peer.0.into(), config, now).ok()
    }
}

pub(super) fn refused(error: Error) -> DropReason {
    match error {
        Error::DuplicateCounter | Error::InvalidCounter | Error::ReplayedHandshakeInitiation => {
            DropReason::WireguardReplay
        }
        Error::NoCurrentSession | Error::ConnectionExpired => DropReason::NoSession,
        _ => DropReason::WireguardRefused,
    }
}
