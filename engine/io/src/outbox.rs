//! Sealed datagrams on their way to the port, in runs that one segmented send can take.

use shadowmesh_core::Path;

use crate::ports::Ports;

/// Two super-packets: what has been collected is sent before it falls out of the cache.
const CAPACITY_BYTES: usize = 160 * 1024;
const FLUSH_BYTES: usize = 48 * 1024;
/// UDP_MAX_SEGMENTS of kernels before 6.9.
const MAX_RUN_DATAGRAMS: usize = 64;
/// The longest UDP payload over IPv4.
const MAX_RUN_BYTES: usize = 65_507;

/// Datagrams of one size to one address, the last may be shorter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) start: usize,
    pub(crate) bytes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) datagrams: usize,
    pub(crate) destination: Path,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    buffer: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; CAPACITY_BYTES].into_boxed_slice(), used: 0, runs: Vec::with_capacity(128) }
    }

    /// Room for one datagram, None when there is not that much: flush first.
    pub(crate) fn room(&mut self, bytes: usize) -> Option<&mut [u8]> {
        self.buffer.get_mut(self.used..self.used + bytes)
    }

    pub(crate) fn is_worth_sending(&self) -> bool {
        self.used >= FLUSH_BYTES
    }

    /// The datagram now stands at the start of the room.
    pub(crate) fn push(&mut self, bytes: usize, destination: Path) {
        let start = self.used;
        self.used += bytes;
        if let Some(run) = self.runs.last_mut()
            && run.takes(bytes, destination)
        {
            run.bytes += bytes;
            run.datagrams += 1;
            return;
        }
        self.runs.push(Run { start, bytes, segment_bytes: bytes, datagrams: 1, destination });
    }

    /// Returns how many datagrams were lost.
    pub(crate) fn flush(&mut self, ports: &Ports) -> u64 {
        let through_one_port = self.runs.chunk_by(|a, b| a.destination.via == b.destination.via);
        let lost = through_one_port.map(|runs| ports.send_runs(&self.buffer, runs)).sum();
        self.runs.clear();
        self.used = 0;
        lost
    }
}

impl Run {
    fn takes(&self, bytes: usize, destination: Path) -> bool {
        let all_equal = self.bytes == self.segment_bytes * self.datagrams;
        all_equal
            && bytes <= self.segment_bytes
            && self.destination == destination
            && self.datagrams < MAX_RUN_DATAGRAMS
            && self.bytes + bytes <= MAX_RUN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn path(port: u16) -> Path {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    fn lengths(pushed: &[usize]) -> Vec<usize> {
        let mut outbox = Outbox::new();
        for bytes in pushed {
            outbox.push(*bytes, path(1));
        }
        outbox.runs.iter().map(|run| run.datagrams).collect()
    }

    #[test]
    fn a_run_ends_with_a_shorter_datagram_and_before_a_longer_one() {
        assert_eq!(lengths(&[100, 100, 60, 60, 100]), [3, 1, 1]);
    }

    #[test]
    fn a_run_never_exceeds_one_udp_payload_or_64_segments() {
        assert_eq!(lengths(&[1312; 60]), [49, 11]);
        assert_eq!(lengths(&[96; 70]), [64, 6]);
    }

    #[test]
    fn another_destination_begins_another_run() {
        let mut outbox = Outbox::new();
        outbox.push(100, path(1));
        outbox.push(100, path(2));
        assert_eq!(outbox.runs.len(), 2);
    }
}
