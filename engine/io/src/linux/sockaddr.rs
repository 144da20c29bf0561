//! Socket addresses in the kernel's form. On a dual-stack socket an IPv4 address is mapped into IPv6 on
//! the way in and back on the way out: outside this file no mapped address exists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union RawAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    pub(super) const ZERO: Self = Self {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };
    pub(super) const BYTES: libc::socklen_t = size_of::<Self>() as libc::socklen_t;

    pub(super) fn new(address: SocketAddr, dual_stack: bool) -> Self {
        match address {
            SocketAddr::V4(v4) if !dual_stack => Self {
                v4: libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                },
            },
            SocketAddr::V4(v4) => Self::v6(&SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0)),
            SocketAddr::V6(v6) => Self::v6(&v6),
        }
    }

    fn v6(address: &SocketAddrV6) -> Self {
        Self {
            v6: libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            },
        }
    }

    pub(super) fn length(&self) -> libc::socklen_t {
        let bytes = if self.family() == libc::AF_INET {
            size_of::<libc::sockaddr_in>()
        } else {
            size_of::<libc::sockaddr_in6>()
        };
        bytes as libc::socklen_t
    }

    fn family(&self) -> libc::c_int {
        // SAFETY: both variants are plain integers and begin with the family.
        libc::c_int::from(unsafe { self.v4.sin_family })
    }

    pub(super) fn get(&self) -> SocketAddr {
        if self.family() == libc::AF_INET {
            // SAFETY: the family says which variant it is, and both are plain integers.
            let v4 = unsafe { self.v4 };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            return SocketAddr::new(ip.into(), u16::from_be(v4.sin_port));
        }
        // SAFETY: as above; a zeroed address is a valid IPv6 one.
        let v6 = unsafe { self.v6 };
        let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
        let port = u16::from_be(v6.sin6_port);
        match ip.to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), port),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into(),
        }
    }
}
