//! Which abilities of the kernel are used where they are there.

/// The virtio header before each packet of the TUN device is not among them: Linux has had it since 2.6.27.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offloads {
    /// Packets of this host come from the device with their checksum still to be done. The next two need it.
    pub tun_checksum: bool,
    /// TCP super-packets, from the device and to it.
    pub tun_tso: bool,
    /// UDP super-packets, from the device and to it (Linux 6.2).
    pub tun_uso: bool,
    /// Several datagrams in one send (`UDP_SEGMENT`, Linux 4.18).
    pub udp_gso: bool,
    /// Several datagrams in one receive (`UDP_GRO`, Linux 5.0).
    pub udp_gro: bool,
}

impl Offloads {
    pub const ALL: Self =
        Self { tun_checksum: true, tun_tso: true, tun_uso: true, udp_gso: true, udp_gro: true };
    pub const NONE: Self =
        Self { tun_checksum: false, tun_tso: false, tun_uso: false, udp_gso: false, udp_gro: false };
    pub const NAMES: [&str; 5] = ["tun_checksum", "tun_tso", "tun_uso", "udp_gso", "udp_gro"];

    /// All but the one of this name, and what needs it; None when there is none of this name.
    pub fn without(mut self, name: &str) -> Option<Self> {
        match name {
            "tun_checksum" => (self.tun_checksum, self.tun_tso, self.tun_uso) = (false, false, false),
            "tun_tso" => self.tun_tso = false,
            "tun_uso" => self.tun_uso = false,
            "udp_gso" => self.udp_gso = false,
            "udp_gro" => self.udp_gro = false,
            _ => return None,
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_can_be_left_out_by_its_name_and_no_other() {
        let none = Offloads::NAMES.iter().try_fold(Offloads::ALL, |left, name| left.without(name));
        assert_eq!(none, Some(Offloads::NONE));
        for name in Offloads::NAMES {
            assert_ne!(Offloads::ALL.without(name), Some(Offloads::ALL), "{name}");
        }
        assert_eq!(Offloads::ALL.without("udp"), None);
    }

    #[test]
    fn no_super_packet_comes_with_a_complete_checksum() {
        let left = Offloads::ALL.without("tun_checksum").unwrap();
        assert!(!left.tun_tso && !left.tun_uso && left.udp_gso && left.udp_gro);
    }
}
