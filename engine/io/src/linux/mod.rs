//! Linux: TUN with virtio headers, UDP with segmentation offload, eventfd and poll.

mod control;
mod netlink;
mod port;
mod sockaddr;
mod tun;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

pub(crate) use port::{Message, Port, Received};
pub(crate) use tun::{Tun, WriteError};

/// Wakes one thread out of [`wait`].
#[derive(Debug)]
pub(crate) struct Signal(OwnedFd);

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the descriptor it returns is ours alone.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        owned(fd).map(Self)
    }

    pub(crate) fn raise(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is valid for its length. It fails only when the signal is raised already.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Whether it was raised.
    pub(crate) fn clear(&self) -> bool {
        let mut count = [0u8; 8];
        // SAFETY: the buffer is valid for its length.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) > 0 }
    }
}

/// Sleeps until `source` is readable, the signal is raised or the time is over.
pub(crate) fn wait(
    source: Option<&impl AsRawFd>,
    signal: &Signal,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // poll ignores negative descriptors.
    let mut entries = [entry(signal.0.as_raw_fd()), entry(source.map_or(-1, AsRawFd::as_raw_fd))];
    let milliseconds = timeout.map_or(-1, |timeout| {
        // Rounded up: waking before the deadline would spin.
        timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32
    });
    // SAFETY: the array is valid for its length.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, milliseconds) };
    match check(ready) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes a descriptor that a system call has just returned.
fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    check(fd)?;
    // SAFETY: it is open, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set_option(
    fd: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer is valid for the length given.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(&value).cast(), length) };
    check(result).map(drop)
}
