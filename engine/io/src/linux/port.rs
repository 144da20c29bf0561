//! The UDP port: one dual-stack socket, with segmentation (`UDP_SEGMENT`) and coalescing (`UDP_GRO`).

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sockaddr::RawAddress;
use super::{check, owned, set_option};
use crate::outbox::Run;

/// Coalesced reads of up to 64 KB each: 512 KB keep the batch inside the second-level cache.
const RECEIVE_BATCH: usize = 8;
const RECEIVE_BYTES: usize = 65_536;
const SEND_BATCH: usize = 32;
/// Fits a 10 ms burst at 3 Gbit/s; the kernel takes less when it does not allow as much.
const SOCKET_BUFFER_BYTES: libc::c_int = 4 << 20;
/// How long a full socket buffer is waited for before a send is given up.
const SEND_WAIT_MS: libc::c_int = 10;
/// Room for one control message of an integer.
const CONTROL_BYTES: usize = 32;

#[derive(Debug)]
pub(crate) struct Port {
    fd: OwnedFd,
    is_dual_stack: bool,
    port: u16,
    can_segment: AtomicBool,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// What one call has received: buffers, and who sent what into them.
pub(crate) struct Received {
    buffers: Box<[u8]>,
    /// Length, size of the datagrams coalesced into it, and their sender.
    messages: [(usize, usize, SocketAddr); RECEIVE_BATCH],
    count: usize,
}

impl Received {
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![0; RECEIVE_BATCH * RECEIVE_BYTES].into_boxed_slice(),
            messages: [(0, 0, SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)); RECEIVE_BATCH],
            count: 0,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The datagrams of one message: from whom, where they lie in the arena, and the length of each but the last.
    pub(crate) fn message(&self, number: usize) -> (SocketAddr, Range<usize>, usize) {
        let (length, size, source) = self.messages[number];
        let start = number * RECEIVE_BYTES;
        (source, start..start + length, size.max(1))
    }

    /// All messages, to be opened in place.
    pub(crate) fn arena(&mut self) -> &mut [u8] {
        &mut self.buffers
    }
}

impl Port {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        Self::open_family(port, true).or_else(|error| match error.raw_os_error() {
            // IPv6 is switched off on this host.
            Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => Self::open_family(port, false),
            _ => Err(error),
        })
    }

    fn open_family(port: u16, is_dual_stack: bool) -> io::Result<Self> {
        let family = if is_dual_stack { libc::AF_INET6 } else { libc::AF_INET };
        // SAFETY: takes no pointers; the descriptor it returns is ours alone.
        let fd =
            unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
        let fd = owned(fd)?;
        if is_dual_stack {
            set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
        }
        // What follows makes it faster or more robust; the port works without any of it.
        // A datagram too long for a link is fragmented, as a black hole would be worse.
        let _ = set_option(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT);
        let _ = set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT);
        let _ = set_option(&fd, libc::IPPROTO_UDP, libc::UDP_GRO, 1);
        for (forced, plain) in
            [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
        {
            let _ = set_option(&fd, libc::SOL_SOCKET, forced, SOCKET_BUFFER_BYTES)
                .or_else(|_| set_option(&fd, libc::SOL_SOCKET, plain, SOCKET_BUFFER_BYTES));
        }
        let any =
            if is_dual_stack { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let mut address = RawAddress::new(SocketAddr::new(any, port), is_dual_stack);
        // SAFETY: the address is valid for the length given.
        check(unsafe { libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), address.length()) })?;
        let mut length = RawAddress::BYTES;
        // SAFETY: the address has room for the length given.
        check(unsafe { libc::getsockname(fd.as_raw_fd(), ptr::from_mut(&mut address).cast(), &mut length) })?;
        Ok(Self { fd, is_dual_stack, port: address.get().port(), can_segment: AtomicBool::new(true) })
    }

    pub(crate) fn number(&self) -> u16 {
        self.port
    }

    /// Fills the batch with what is there; an empty batch means nothing is.
    pub(crate) fn receive(&self, batch: &mut Received) -> io::Result<()> {
        batch.count = 0;
        let mut addresses = [RawAddress::ZERO; RECEIVE_BATCH];
        let mut controls = [Control([0; CONTROL_BYTES]); RECEIVE_BATCH];
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; RECEIVE_BATCH];
        // SAFETY: an mmsghdr is plain integers and pointers, for which zero is valid.
        let mut messages: [libc::mmsghdr; RECEIVE_BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        for (index, buffer) in batch.buffers.chunks_exact_mut(RECEIVE_BYTES).enumerate() {
            vectors[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut messages[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut addresses[index]).cast();
            header.msg_namelen = RawAddress::BYTES;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every pointer in `messages` is to an array above or a part of the buffers, all alive here.
        let count = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                RECEIVE_BATCH as libc::c_uint,
                0,
                ptr::null_mut(),
            )
        };
        batch.count = match check(count) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        for (index, message) in messages[..batch.count].iter().enumerate() {
            let length = (message.msg_len as usize).min(RECEIVE_BYTES);
            let size = coalesced_size(&message.msg_hdr).unwrap_or(length);
            batch.messages[index] = (length, size, addresses[index].get());
        }
        Ok(())
    }

    /// Sends every run of `buffer`; returns how many datagrams the system refused.
    pub(crate) fn send_runs(&self, buffer: &[u8], runs: &[Run]) -> u64 {
        let mut refused = 0;
        let mut rest = runs;
        let mut has_waited = false;
        while let Some(run) = rest.first() {
            if run.datagrams > 1 && !self.can_segment.load(Ordering::Relaxed) {
                refused += self.send_one_by_one(buffer, run);
                rest = &rest[1..];
                continue;
            }
            match self.send_batch(buffer, rest) {
                Ok(sent) => {
                    rest = &rest[sent.clamp(1, rest.len())..];
                    has_waited = false;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN | libc::ENOBUFS) if !has_waited => {
                        self.wait_for_room();
                        has_waited = true;
                    }
                    reason => {
                        // EIO: the network card cannot checksum segments. EMSGSIZE, EINVAL: the path is too
                        // narrow for a segment, and only whole datagrams are fragmented.
                        if reason == Some(libc::EIO) {
                            self.can_segment.store(false, Ordering::Relaxed);
                        }
                        let segmented = matches!(reason, Some(libc::EIO | libc::EMSGSIZE | libc::EINVAL));
                        refused += if segmented && run.datagrams > 1 {
                            self.send_one_by_one(buffer, run)
                        } else {
                            run.datagrams as u64
                        };
                        rest = &rest[1..];
                        has_waited = false;
                    }
                },
            }
        }
        refused
    }

    /// Whether the system took it; never blocks.
    pub(crate) fn send(&self, datagram: &[u8], destination: SocketAddr) -> io::Result<()> {
        let address = RawAddress::new(destination, self.is_dual_stack);
        // SAFETY: buffer and address are valid for their lengths.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                datagram.as_ptr().cast(),
                datagram.len(),
                0,
                ptr::from_ref(&address).cast(),
                address.length(),
            )
        };
        check(sent as libc::c_int).map(drop)
    }

    fn send_one_by_one(&self, buffer: &[u8], run: &Run) -> u64 {
        let datagrams = buffer[run.start..run.start + run.bytes].chunks(run.segment_bytes);
        datagrams.filter(|datagram| self.send(datagram, run.destination.address).is_err()).count() as u64
    }

    fn send_batch(&self, buffer: &[u8], runs: &[Run]) -> io::Result<usize> {
        let mut addresses = [RawAddress::ZERO; SEND_BATCH];
        let mut controls = [Control([0; CONTROL_BYTES]); SEND_BATCH];
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SEND_BATCH];
        // SAFETY: an mmsghdr is plain integers and pointers, for which zero is valid.
        let mut messages: [libc::mmsghdr; SEND_BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let count = runs.len().min(SEND_BATCH);
        for (index, run) in runs[..count].iter().enumerate() {
            let bytes = &buffer[run.start..run.start + run.bytes];
            addresses[index] = RawAddress::new(run.destination.address, self.is_dual_stack);
            vectors[index] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let header = &mut messages[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut addresses[index]).cast();
            header.msg_namelen = addresses[index].length();
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            if run.datagrams > 1 {
                header.msg_control = controls[index].0.as_mut_ptr().cast();
                set_segment_size(header, run.segment_bytes as u16);
            }
        }
        // SAFETY: every pointer in `messages` is to an array above or a part of the buffer, all alive here;
        // the kernel only reads what the vectors point to.
        let sent =
            unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, 0) };
        check(sent).map(|sent| sent as usize)
    }

    fn wait_for_room(&self) {
        let mut entry = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one valid entry.
        unsafe { libc::poll(&mut entry, 1, SEND_WAIT_MS) };
    }
}

impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// `header.msg_control` has room for [`CONTROL_BYTES`].
fn set_segment_size(header: &mut libc::msghdr, size: u16) {
    // SAFETY: CMSG_SPACE of two bytes is 24, less than CONTROL_BYTES, so the first header and its data lie
    // inside the buffer.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::SOL_UDP;
        (*control).cmsg_type = libc::UDP_SEGMENT;
        (*control).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
        libc::CMSG_DATA(control).cast::<u16>().write_unaligned(size);
    }
}

/// The size of each datagram but the last, when the kernel has put several into one message.
fn coalesced_size(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has filled in the control buffer and its length; the macros stay inside it.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::SOL_UDP && (*control).cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok().filter(|size| *size > 0);
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    None
}
