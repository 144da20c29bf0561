use std::fmt;
use std::net::SocketAddr;

/// Where datagrams to a peer go, and from which of our UDP ports: behind some NATs each of them has a mapping of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    pub address: SocketAddr,
    /// Number of a local port besides the main one; 0 is the main one.
    pub via: u16,
}

impl From<SocketAddr> for Path {
    /// Through the main port.
    fn from(address: SocketAddr) -> Self {
        Self { address, via: 0 }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
