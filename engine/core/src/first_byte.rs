//! Who a datagram on the UDP port is for. Spec: docs/spec/datagrams.md, vectors/first_byte.json.

const STUN_HEADER_BYTES: usize = 20;
const STUN_MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
const LOWEST_CONTROL_TYPE: u8 = 0x40;
const RELAY_TYPE: u8 = 0x50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Wireguard,
    Stun,
    Control,
    Relay,
    Unknown,
}

pub fn kind(datagram: &[u8]) -> Kind {
    match datagram {
        // Before STUN: no STUN message has the type 0x0100, so a WireGuard sender index may equal the cookie.
        [1..=4, 0, 0, 0, ..] => Kind::Wireguard,
        [0 | 1, _, _, _, cookie @ ..]
            if datagram.len() >= STUN_HEADER_BYTES && cookie.starts_with(&STUN_MAGIC_COOKIE) =>
        {
            Kind::Stun
        }
        [RELAY_TYPE, ..] => Kind::Relay,
        [LOWEST_CONTROL_TYPE..=u8::MAX, ..] => Kind::Control,
        _ => Kind::Unknown,
    }
}
