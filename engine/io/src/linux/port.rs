//! The UDP port: one dual-stack socket, with segmentation (`UDP_SEGMENT`) and coalescing (`UDP_GRO`).

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use shadowmesh_core::Path;

use super::control::{Control, told};
use super::sockaddr::RawAddress;
use super::{check, owned, set_option};
use crate::offloads::Offloads;
use crate::outbox::{MAX_RUN_DATAGRAMS, Run};

/// Coalesced reads of up to 64 KB each: 512 KB keep the batch inside the second-level cache.
const RECEIVE_BATCH: usize = 8;
const RECEIVE_BYTES: usize = 65_536;
const SEND_BATCH: usize = 32;
/// Fits a 10 ms burst at 6 Gbit/s; the kernel takes less when it does not allow as much.
const SOCKET_BUFFER_BYTES: libc::c_int = 8 << 20;
/// How long a full socket buffer is waited for before a send is given up.
const SEND_WAIT_MS: libc::c_int = 10;

#[derive(Debug)]
pub(crate) struct Port {
    fd: OwnedFd,
    is_dual_stack: bool,
    port: u16,
    /// What paths through it are called by.
    via: u16,
    can_segment: AtomicBool,
}

/// What one call has received: buffers, and who sent what into them.
pub(crate) struct Received {
    buffers: Box<[u8]>,
    messages: [Message; RECEIVE_BATCH],
    count: usize,
}

/// One or more datagrams of one sender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) source: Path,
    /// Where they lie in the arena.
    start: usize,
    bytes: usize,
    /// The length of each datagram but the last, which may be shorter.
    segment_bytes: usize,
    /// Of the outer IP header: the kernel coalesces only what has the same.
    pub(crate) traffic_class: u8,
}

impl Message {
    const NONE: Self = Self {
        source: Path { address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), via: 0 },
        start: 0,
        bytes: 0,
        segment_bytes: 1,
        traffic_class: 0,
    };

    /// Where each datagram lies in the arena.
    pub(crate) fn datagrams(self) -> impl Iterator<Item = Range<usize>> {
        let end = self.start + self.bytes;
        (self.start..end).step_by(self.segment_bytes).map(move |at| at..end.min(at + self.segment_bytes))
    }
}

impl Received {
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![0; RECEIVE_BATCH * RECEIVE_BYTES].into_boxed_slice(),
            messages: [Message::NONE; RECEIVE_BATCH],
            count: 0,
        }
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages[..self.count]
    }

    pub(crate) fn arena(&self) -> &[u8] {
        &self.buffers
    }

    /// For opening in place.
    pub(crate) fn arena_mut(&mut self) -> &mut [u8] {
        &mut self.buffers
    }
}

impl Port {
    pub(crate) fn open(port: u16, offloads: &Offloads) -> io::Result<Self> {
        Self::open_family(port, true, offloads).or_else(|error| match error.raw_os_error() {
            // IPv6 is switched off on this host.
            Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => Self::open_family(port, false, offloads),
            _ => Err(error),
        })
    }

    /// One more port, of any number.
    pub(crate) fn open_extra(offloads: &Offloads) -> io::Result<Self> {
        let port = Self::open(0, offloads)?;
        Ok(Self { via: port.port, ..port })
    }

    fn open_family(port: u16, is_dual_stack: bool, offloads: &Offloads) -> io::Result<Self> {
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
        // IPv4 on a dual-stack socket has the options and control messages of IPv4.
        let _ = set_option(&fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1);
        let _ = set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1);
        if offloads.udp_gro {
            let _ = set_option(&fd, libc::IPPROTO_UDP, libc::UDP_GRO, 1);
        }
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
        let can_segment = AtomicBool::new(offloads.udp_gso);
        Ok(Self { fd, is_dual_stack, port: address.get().port(), via: 0, can_segment })
    }

    pub(crate) fn number(&self) -> u16 {
        self.port
    }

    /// Fills the batch with what is there; an empty batch means nothing is.
    pub(crate) fn receive(&self, batch: &mut Received) -> io::Result<()> {
        batch.count = 0;
        let mut addresses = [RawAddress::ZERO; RECEIVE_BATCH];
        let mut controls = [Control::EMPTY; RECEIVE_BATCH];
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
            controls[index].attach(header);
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
            let bytes = (message.msg_len as usize).min(RECEIVE_BYTES);
            let told = told(&message.msg_hdr);
            batch.messages[index] = Message {
                source: Path { address: addresses[index].get(), via: self.via },
                start: index * RECEIVE_BYTES,
                bytes,
                segment_bytes: told.segment_bytes.unwrap_or(bytes).max(1),
                traffic_class: told.traffic_class,
            };
        }
        Ok(())
    }

    /// Sends every run of `buffer`; returns how many datagrams the system refused.
    pub(crate) fn send_runs(&self, buffer: &[u8], runs: &[Run]) -> u64 {
        let mut refused = 0;
        let mut rest = runs;
        let mut has_waited = false;
        while let Some(run) = rest.first() {
            let can_segment = self.can_segment.load(Ordering::Relaxed);
            let batch = if can_segment { rest } else { leading_singles(rest) };
            if batch.is_empty() {
                refused += self.send_singly(buffer, run);
                rest = &rest[1..];
                continue;
            }
            match self.send_batch(buffer, batch) {
                Ok(sent) => {
                    rest = &rest[sent.clamp(1, batch.len())..];
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
                        refused += if segmented && run.count > 1 {
                            self.send_singly(buffer, run)
                        } else {
                            run.count as u64
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
    pub(crate) fn send(&self, datagram: &[u8], destination: Path) -> io::Result<()> {
        self.send_batch(datagram, &[Run::single(0, datagram.len(), destination, 0)]).map(drop)
    }

    fn send_singly(&self, buffer: &[u8], run: &Run) -> u64 {
        let mut singles = [*run; MAX_RUN_DATAGRAMS];
        for (single, datagram) in singles.iter_mut().zip(run.datagrams()) {
            *single = datagram;
        }
        self.send_runs(buffer, &singles[..run.count])
    }

    fn send_batch(&self, buffer: &[u8], runs: &[Run]) -> io::Result<usize> {
        let mut addresses = [RawAddress::ZERO; SEND_BATCH];
        let mut controls = [Control::EMPTY; SEND_BATCH];
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
            if run.count > 1 {
                let size = run.segment_bytes as u16;
                controls[index].push(header, libc::SOL_UDP, libc::UDP_SEGMENT, size);
            }
            if run.traffic_class != 0 {
                let class = libc::c_int::from(run.traffic_class);
                let (level, kind) = match run.destination.address {
                    SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                    SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
                };
                controls[index].push(header, level, kind, class);
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

/// The runs of one datagram up to the first of several.
fn leading_singles(runs: &[Run]) -> &[Run] {
    let count = runs.iter().position(|run| run.count > 1).unwrap_or(runs.len());
    &runs[..count]
}

impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
