//! Sealed datagrams on their way to the port, in runs that one segmented send can take.

use shadowmesh_core::Path;

use crate::ports::Ports;

/// Two super-packets: what has been collected is sent before it falls out of the cache.
const CAPACITY_BYTES: usize = 160 * 1024;
const FLUSH_BYTES: usize = 48 * 1024;
/// UDP_MAX_SEGMENTS of kernels before 6.9.
pub(crate) const MAX_RUN_DATAGRAMS: usize = 64;
/// The longest UDP payload over IPv4.
const MAX_RUN_BYTES: usize = 65_507;

/// Datagrams of one size and traffic class to one address, the last may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: usize,
    pub(crate) bytes: usize,
    pub(crate) segment_bytes: usize,
    /// How many datagrams.
    pub(crate) count: usize,
    pub(crate) destination: Path,
    pub(crate) traffic_class: u8,
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

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn is_worth_sending(&self) -> bool {
        self.used >= FLUSH_BYTES
    }

    /// The datagram now stands at the start of the room.
    pub(crate) fn push(&mut self, bytes: usize, destination: Path, traffic_class: u8) {
        append(&mut self.runs, Run::single(self.used, bytes, destination, traffic_class));
        self.used += bytes;
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

/// Adds one datagram, which lies behind those of the last run, to that run if it may.
pub(crate) fn append(runs: &mut Vec<Run>, datagram: Run) {
    match runs.last_mut() {
        Some(run) if run.takes(&datagram) => {
            run.bytes += datagram.bytes;
            run.count += 1;
        }
        _ => runs.push(datagram),
    }
}

impl Run {
    /// One datagram.
    pub(crate) fn single(start: usize, bytes: usize, destination: Path, traffic_class: u8) -> Self {
        Self { start, bytes, segment_bytes: bytes, count: 1, destination, traffic_class }
    }

    /// Each datagram as a run of its own.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Self> + '_ {
        let end = self.start + self.bytes;
        (self.start..end).step_by(self.segment_bytes).map(move |start| {
            let bytes = self.segment_bytes.min(end - start);
            Self::single(start, bytes, self.destination, self.traffic_class)
        })
    }

    fn takes(&self, datagram: &Self) -> bool {
        let all_equal = self.bytes == self.segment_bytes * self.count;
        all_equal
            && datagram.bytes <= self.segment_bytes
            && self.destination == datagram.destination
            && self.traffic_class == datagram.traffic_class
            && self.count < MAX_RUN_DATAGRAMS
            && self.bytes + datagram.bytes <= MAX_RUN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn path(port: u16) -> Path {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    fn filled(pushed: &[usize]) -> Outbox {
        let mut outbox = Outbox::new();
        for bytes in pushed {
            outbox.push(*bytes, path(1), 0);
        }
        outbox
    }

    fn lengths(pushed: &[usize]) -> Vec<usize> {
        filled(pushed).runs.iter().map(|run| run.count).collect()
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
    fn another_destination_or_traffic_class_begins_another_run() {
        for (port, class) in [(2, 0), (1, 2)] {
            let mut outbox = filled(&[100]);
            outbox.push(100, path(port), class);
            outbox.push(100, path(port), class);
            assert_eq!(outbox.runs.iter().map(|run| run.count).collect::<Vec<_>>(), [1, 2]);
        }
    }

    #[test]
    fn the_datagrams_of_a_run_are_the_ones_that_were_pushed() {
        let pushed = [90, 100, 100, 60];
        let outbox = filled(&pushed);
        let singles: Vec<Run> = outbox.runs.iter().flat_map(Run::datagrams).collect();
        let starts = [0, 90, 190, 290];
        assert_eq!(
            singles,
            std::array::from_fn::<_, 4, _>(|i| Run::single(starts[i], pushed[i], path(1), 0))
        );
    }
}
