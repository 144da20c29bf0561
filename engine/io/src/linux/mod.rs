//! Linux: TUN with virtio headers, UDP with segmentation offload, eventfd and poll.

mod control;
mod netlink;
mod port;
mod sockaddr;
mod tun;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;
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

    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer is valid for its length. It fails only when the signal is not raised.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// Waits for a signal and for any of some sources, which must stay open as long as they are watched.
pub(crate) struct Poller(Vec<libc::pollfd>);

impl Poller {
    pub(crate) fn new(signal: &Signal) -> Self {
        Self(vec![entry(&signal.0)])
    }

    /// These instead of the sources before.
    pub(crate) fn watch<'a>(&mut self, sources: impl IntoIterator<Item = &'a dyn AsRawFd>) {
        self.0.truncate(1);
        self.0.extend(sources.into_iter().map(entry));
    }

    /// Sleeps until a source is readable, the signal is raised or the time is over.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let milliseconds = timeout.map_or(-1, |timeout| {
            // Rounded up: waking before the deadline would spin.
            timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32
        });
        // SAFETY: the vector is valid for its length.
        let ready = unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, milliseconds) };
        match check(ready) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.0.iter_mut().for_each(|entry| entry.revents = 0);
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Whether the last wait found the signal raised.
    pub(crate) fn is_called(&self) -> bool {
        self.0[0].revents != 0
    }

    /// Whether the last wait found the source of this number readable, or broken.
    pub(crate) fn is_ready(&self, number: usize) -> bool {
        self.0.get(number + 1).is_some_and(|entry| entry.revents != 0)
    }
}

fn entry(source: &dyn AsRawFd) -> libc::pollfd {
    libc::pollfd { fd: source.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// How much CPU time a thread has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// Of a thread that has not been joined.
    pub(crate) fn of<T>(thread: &JoinHandle<T>) -> Option<Self> {
        let mut clock = 0;
        // SAFETY: the thread's resources are there until it is joined, and the clock is written to.
        let result = unsafe { libc::pthread_getcpuclockid(thread.as_pthread_t(), &mut clock) };
        (result == 0).then_some(Self(clock))
    }

    /// Of the calling thread.
    pub(crate) fn own() -> Duration {
        Self(libc::CLOCK_THREAD_CPUTIME_ID).used()
    }

    /// Nothing when the thread has ended.
    pub(crate) fn used(self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is written to.
        unsafe { libc::clock_gettime(self.0, &mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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
