//! A TUN device that lives as long as its descriptor: killing the process removes it, its addresses and routes.

use std::ffi::{CStr, c_char};
use std::fs;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use shadowmesh_core::join::Joins;
use shadowmesh_core::vnet::{VNET_HEADER_BYTES, VnetHeader};

use super::{check, netlink, owned};
use crate::offloads::Offloads;

const TSO: libc::c_uint = libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
const USO: libc::c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;
/// The default of 500 loses packets of bulk transfers before the engine has read them.
const TX_QUEUE_PACKETS: u32 = 1000;
/// addr_gen_mode: no link-local address, and so no router solicitations either.
const ADDR_GEN_MODE_NONE: &str = "1";

#[derive(Debug)]
pub(crate) struct Tun {
    fd: OwnedFd,
    /// Any socket: interfaces are asked and told by requests to one.
    socket: OwnedFd,
    name: String,
    joins: Joins,
}

#[derive(Debug)]
pub(crate) enum WriteError {
    /// This packet is lost; the device goes on.
    Refused,
    /// The device is gone.
    Gone,
}

impl Tun {
    /// Makes the device and brings it up.
    pub(crate) fn open(
        name: &str,
        addresses: &[(IpAddr, u8)],
        mtu: u16,
        offloads: &Offloads,
    ) -> io::Result<Self> {
        // SAFETY: the path is a C string.
        let fd = unsafe {
            libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | libc::O_NONBLOCK)
        };
        let fd = owned(fd)?;
        let mut request = interface_request(name)?;
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16;
        // SAFETY: TUNSETIFF reads and writes one ifreq.
        check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &mut request) })?;
        // SAFETY: the kernel has filled in the name, zero-terminated.
        let name = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) }.to_string_lossy().into_owned();
        let joins = set_offloads(&fd, offloads);
        // SAFETY: takes no pointers; the descriptor it returns is ours alone.
        let socket = owned(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
        let tun = Self { fd, socket, name, joins };
        tun.configure(addresses, mtu)?;
        Ok(tun)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Which packets it takes joined.
    pub(crate) fn joins(&self) -> Joins {
        self.joins
    }

    /// Somebody may have changed it. None while the device is in another namespace, or gone.
    pub(crate) fn mtu(&self) -> Option<usize> {
        let mut request = interface_request(&self.name).ok()?;
        // The name may have changed as well.
        // SAFETY: TUNGETIFF writes one ifreq.
        check(unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TUNGETIFF, &mut request) }).ok()?;
        self.request(libc::SIOCGIFMTU, &mut request).ok()?;
        // SAFETY: SIOCGIFMTU has filled in this field.
        usize::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
    }

    fn request(&self, request: libc::c_ulong, value: &mut libc::ifreq) -> io::Result<libc::c_int> {
        // SAFETY: all requests here read and write one ifreq.
        check(unsafe { libc::ioctl(self.socket.as_raw_fd(), request as _, value) })
    }

    /// One packet with its virtio header; None when there is none at the moment.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: the buffer is valid for its length.
            let read = unsafe { libc::read(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if read >= 0 {
                return Ok(Some(read as usize));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            }
        }
    }

    /// `slices` begin with the bytes of the virtio header.
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> Result<(), WriteError> {
        // SAFETY: an IoSlice has the layout of an iovec, and all are valid for the call.
        let written =
            unsafe { libc::writev(self.fd.as_raw_fd(), slices.as_ptr().cast(), slices.len() as libc::c_int) };
        if written >= 0 {
            return Ok(());
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EBADFD | libc::EBADF | libc::ENODEV) => Err(WriteError::Gone),
            _ => Err(WriteError::Refused),
        }
    }

    pub(crate) fn write_plain(&self, packet: &[u8]) -> Result<(), WriteError> {
        let header: [u8; VNET_HEADER_BYTES] = VnetHeader::PLAIN.encode();
        self.write(&[IoSlice::new(&header), IoSlice::new(packet)])
    }

    fn configure(&self, addresses: &[(IpAddr, u8)], mtu: u16) -> io::Result<()> {
        let call = |request, value: &mut libc::ifreq| self.request(request, value);
        let mut request = interface_request(&self.name)?;
        request.ifr_ifru.ifru_mtu = mtu.into();
        call(libc::SIOCSIFMTU, &mut request)?;
        // Best effort: what the kernel sends nevertheless is dropped and counted.
        let setting = format!("/proc/sys/net/ipv6/conf/{}/addr_gen_mode", self.name);
        let _ = fs::write(setting, ADDR_GEN_MODE_NONE);

        call(libc::SIOCGIFINDEX, &mut request)?;
        // SAFETY: SIOCGIFINDEX has filled in this field.
        let index = unsafe { request.ifr_ifru.ifru_ifindex } as u32;
        netlink::set_queue_length(index, TX_QUEUE_PACKETS)?;
        for &(address, prefix_length) in addresses {
            netlink::add_address(index, address, prefix_length)?;
        }
        call(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS has filled in this field.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        request.ifr_ifru.ifru_flags = ((flags | libc::IFF_UP) & !libc::IFF_MULTICAST) as i16;
        call(libc::SIOCSIFFLAGS, &mut request)?;
        Ok(())
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Which packets the device then takes joined. Without any offload they simply come and go one at a time.
fn set_offloads(fd: &OwnedFd, offloads: &Offloads) -> Joins {
    let set = |flags: libc::c_uint| {
        // SAFETY: TUNSETOFFLOAD takes an integer.
        unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(flags)) == 0 }
    };
    let flag = |wanted: bool, flags: libc::c_uint| if wanted { flags } else { 0 };
    let base = flag(offloads.tun_checksum, libc::TUN_F_CSUM) | flag(offloads.tun_tso, TSO);
    let uso = flag(offloads.tun_uso, USO);
    let has_uso = uso != 0 && set(base | uso);
    // Whoever writes a super-packet needs no leave for TCP; for UDP only the answer tells whether it is known.
    if !has_uso && !set(base) {
        set(0);
    }
    Joins { tcp: offloads.tun_tso, udp: has_uso }
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq is plain integers and pointers that nothing reads, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    if name.is_empty() || name.len() > room || name.contains(['\0', '/', ' ']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no valid interface name"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    Ok(request)
}
