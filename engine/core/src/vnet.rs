//! The header that Linux puts before each packet of a TUN device opened with `IFF_VNET_HDR`
//! (virtio 1.2 section 5.1.6, legacy form: 10 bytes in the byte order of the machine).

pub const VNET_HEADER_BYTES: usize = 10;

const NEEDS_CSUM: u8 = 1;
/// Set beside the type when segments carry ECN; cutting handles CWR anyway.
const GSO_ECN: u8 = 0x80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    None,
    TcpV4,
    TcpV6,
    Udp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VnetHeader {
    pub gso: Gso,
    /// The checksum field holds only the pseudo header's sum.
    pub needs_checksum: bool,
    pub header_bytes: u16,
    pub segment_bytes: u16,
    pub checksum_start: u16,
    pub checksum_offset: u16,
}

impl VnetHeader {
    pub const PLAIN: Self = Self {
        gso: Gso::None,
        needs_checksum: false,
        header_bytes: 0,
        segment_bytes: 0,
        checksum_start: 0,
        checksum_offset: 0,
    };

    /// None for a kind of segmentation that was never asked for.
    pub fn decode(bytes: &[u8; VNET_HEADER_BYTES]) -> Option<Self> {
        let field = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Some(Self {
            gso: match bytes[1] & !GSO_ECN {
                0 => Gso::None,
                1 => Gso::TcpV4,
                4 => Gso::TcpV6,
                5 => Gso::Udp,
                _ => return None,
            },
            needs_checksum: bytes[0] & NEEDS_CSUM != 0,
            header_bytes: field(2),
            segment_bytes: field(4),
            checksum_start: field(6),
            checksum_offset: field(8),
        })
    }

    pub fn encode(&self) -> [u8; VNET_HEADER_BYTES] {
        let mut bytes = [0; VNET_HEADER_BYTES];
        bytes[0] = if self.needs_checksum { NEEDS_CSUM } else { 0 };
        bytes[1] = match self.gso {
            Gso::None => 0,
            Gso::TcpV4 => 1,
            Gso::TcpV6 => 4,
            Gso::Udp => 5,
        };
        bytes[2..4].copy_from_slice(&self.header_bytes.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.segment_bytes.to_ne_bytes());
        bytes[6..8].copy_from_slice(&self.checksum_start.to_ne_bytes());
        bytes[8..10].copy_from_slice(&self.checksum_offset.to_ne_bytes());
        bytes
    }
}
