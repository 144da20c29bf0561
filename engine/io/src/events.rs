//! What the engine tells Python: a bounded queue and a descriptor that is readable while it is not empty.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shadowmesh_core::Path;
use shadowmesh_core::drops::{DropReason, Drops};
use shadowmesh_core::wireguard::PublicKey;

/// Of at most 1,232 bytes each: strangers can make us hold 1.3 MB and no more.
const MAX_CONTROL: usize = 1_024;
/// Handshakes, roaming and unrouted packets come from our own peers and our own host.
const MAX_OTHER: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Control { payload: Vec<u8>, source: Path },
    Unrouted(IpAddr),
    Handshake(PublicKey),
    Roamed(PublicKey, Path),
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct EventQueue {
    queue: Mutex<Queue>,
    reader: UnixStream,
    writer: UnixStream,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    control: usize,
}

impl EventQueue {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self { queue: Mutex::default(), reader, writer })
    }

    pub(crate) fn wake_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub(crate) fn push(&self, event: Event, drops: &Drops) {
        let mut queue = self.lock();
        let is_control = matches!(event, Event::Control { .. });
        if is_control && queue.control >= MAX_CONTROL {
            drops.count(DropReason::ControlQueueFull);
            return;
        }
        let others = queue.events.len() - queue.control;
        if !is_control && others >= MAX_OTHER && !matches!(event, Event::Failed(_)) {
            drops.count(DropReason::EventQueueFull);
            return;
        }
        if queue.events.is_empty() {
            // One byte always fits: there is none in it while the queue is empty.
            let _ = (&self.writer).write(&[0]);
        }
        queue.control += usize::from(is_control);
        queue.events.push_back(event);
    }

    pub(crate) fn drain(&self, limit: usize) -> Vec<Event> {
        let mut queue = self.lock();
        let count = limit.min(queue.events.len());
        let taken: Vec<Event> = queue.events.drain(..count).collect();
        queue.control -= taken.iter().filter(|event| matches!(event, Event::Control { .. })).count();
        if queue.events.is_empty() {
            let _ = (&self.reader).read(&mut [0; 8]);
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn control(byte: u8) -> Event {
        Event::Control { payload: vec![byte], source: SocketAddr::from(([192, 0, 2, 1], 1)).into() }
    }

    fn is_awake(queue: &EventQueue) -> bool {
        let mut entry = libc::pollfd { fd: queue.wake_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        unsafe { libc::poll(&mut entry, 1, 0) == 1 }
    }

    #[test]
    fn it_is_readable_exactly_while_there_is_something_to_drain() {
        let (queue, drops) = (EventQueue::new().unwrap(), Drops::default());
        assert!(!is_awake(&queue));
        for byte in 0..3 {
            queue.push(control(byte), &drops);
        }
        assert_eq!(queue.drain(2), [control(0), control(1)]);
        assert!(is_awake(&queue));
        assert_eq!(queue.drain(2), [control(2)]);
        assert!(!is_awake(&queue));
    }

    #[test]
    fn a_flood_of_datagrams_is_bounded_and_does_not_displace_other_events() {
        let (queue, drops) = (EventQueue::new().unwrap(), Drops::default());
        for _ in 0..MAX_CONTROL + 5 {
            queue.push(control(0), &drops);
        }
        queue.push(Event::Failed("gone".to_owned()), &drops);
        let full = drops.snapshot().find(|(label, _)| *label == "control_queue_full");
        assert_eq!(full, Some(("control_queue_full", 5)));
        assert_eq!(queue.drain(usize::MAX).len(), MAX_CONTROL + 1);
        queue.push(control(1), &drops);
        assert_eq!(queue.drain(1), [control(1)]);
    }
}
