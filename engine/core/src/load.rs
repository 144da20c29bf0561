//! Whether one thread carries packets both ways, or a second one takes the TUN device.
//!
//! One costs less: what it sends in answer to what it received needs no other thread to wake, and leaves together. Two
//! carry more, once one has all of a core.

use std::time::{Duration, Instant};

/// CPU time is looked at this often.
const WINDOW: Duration = Duration::from_millis(10);
/// Shares of one core that both threads have together, in percent.
const SPLIT_FROM: u128 = 90;
const JOIN_BELOW: u128 = 70;

#[derive(Debug)]
pub struct Load {
    since: Instant,
    used: Duration,
    is_split: bool,
}

impl Load {
    pub fn new(now: Instant) -> Self {
        Self { since: now, used: Duration::ZERO, is_split: false }
    }

    pub fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    /// Whether two threads are to carry from now on. `used` is the CPU time of both until now.
    pub fn judge(&mut self, now: Instant, used: Duration) -> bool {
        let wall = now.saturating_duration_since(self.since).as_micros();
        let busy = used.saturating_sub(self.used).as_micros() * 100;
        self.is_split = busy >= wall * if self.is_split { JOIN_BELOW } else { SPLIT_FROM };
        (self.since, self.used) = (now, used);
        self.is_split
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is decided after each window with this percentage of a core.
    fn decisions(percentages: &[u32]) -> Vec<bool> {
        let mut now = Instant::now();
        let mut used = Duration::ZERO;
        let mut load = Load::new(now);
        let mut judge = |percentage: &u32| {
            assert!(!load.is_due(now));
            now += WINDOW;
            used += WINDOW * *percentage / 100;
            assert!(load.is_due(now));
            load.judge(now, used)
        };
        percentages.iter().map(&mut judge).collect()
    }

    #[test]
    fn a_second_thread_helps_when_one_has_all_of_a_core() {
        assert_eq!(decisions(&[0, 89, 90]), [false, false, true]);
    }

    #[test]
    fn it_stays_until_one_has_room_for_both() {
        assert_eq!(decisions(&[100, 150, 70, 69, 89]), [true, true, true, false, false]);
    }

    #[test]
    fn a_long_sleep_is_one_window() {
        let start = Instant::now();
        let mut load = Load::new(start);
        assert!(load.judge(start + WINDOW, WINDOW));
        assert!(!load.judge(start + 100 * WINDOW, 2 * WINDOW));
    }

    #[test]
    fn a_thread_whose_clock_is_gone_ends_the_split() {
        let start = Instant::now();
        let mut load = Load::new(start);
        assert!(load.judge(start + WINDOW, WINDOW));
        assert!(!load.judge(start + 2 * WINDOW, Duration::ZERO));
    }
}
