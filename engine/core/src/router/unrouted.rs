//! Packets for addresses that no peer has yet, and what was said about them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::hold::Hold;

/// Addresses for which the last report is remembered: a scan of the overlay fills 8 KB and no more.
const MAX_REPORTED: usize = 256;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Unrouted {
    pub(super) packets: Hold,
    reported: HashMap<IpAddr, Instant>,
}

impl Unrouted {
    /// Whether this address is to be reported now: once a second, and not at all while the table is full.
    pub(super) fn is_news(&mut self, destination: IpAddr, now: Instant) -> bool {
        let is_recent = |at: &Instant| now.duration_since(*at) < REPORT_INTERVAL;
        if self.reported.get(&destination).is_some_and(is_recent) {
            return false;
        }
        if self.reported.len() >= MAX_REPORTED {
            self.reported.retain(|_, at| is_recent(at));
        }
        if self.reported.len() >= MAX_REPORTED {
            return false;
        }
        self.reported.insert(destination, now);
        true
    }
}
