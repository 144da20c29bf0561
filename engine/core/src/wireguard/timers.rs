//! When something is due although nothing was sent or received (the paper, section 6).

use std::time::{Duration, Instant};

pub(super) const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
pub(super) const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);
const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);
pub(super) const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Initiation,
    Keepalive,
    /// The initiations of 90 s were not answered.
    GiveUp,
    /// All keys are to be erased.
    Forget,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Zero: none.
    persistent_keepalive: Duration,
    /// When the first of the initiations in a row was sent.
    began_at: Option<Instant>,
    initiated_at: Option<Instant>,
    retry_at: Option<Instant>,
    rekey_at: Option<Instant>,
    /// Set by the first data that was sent after the peer was last heard.
    answer_until: Option<Instant>,
    /// Set by the first data that was received after we last sent something.
    keepalive_at: Option<Instant>,
    has_received_more: bool,
    persistent_at: Option<Instant>,
    forget_at: Option<Instant>,
}

impl Timers {
    pub(super) fn new(persistent_keepalive: Duration, now: Instant) -> Self {
        let mut timers = Self::default();
        timers.set_persistent_keepalive(persistent_keepalive, now);
        timers
    }

    pub(super) fn set_persistent_keepalive(&mut self, interval: Duration, now: Instant) {
        self.persistent_keepalive = interval;
        self.restart_persistent(now);
    }

    pub(super) fn is_initiating(&self) -> bool {
        self.retry_at.is_some()
    }

    /// `jitter`: two that began at the same time do not meet again.
    pub(super) fn sent_initiation(&mut self, jitter: Duration, now: Instant) {
        self.began_at.get_or_insert(now);
        self.initiated_at = Some(now);
        self.retry_at = Some(now + REKEY_TIMEOUT + jitter);
        (self.rekey_at, self.answer_until) = (None, None);
        self.sent(now);
    }

    /// Anything, data or not.
    pub(super) fn sent(&mut self, now: Instant) {
        self.keepalive_at = None;
        self.has_received_more = false;
        self.restart_persistent(now);
    }

    pub(super) fn sent_data(&mut self, now: Instant) {
        self.sent(now);
        self.answer_until.get_or_insert(now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT);
    }

    /// Anything that is authentic.
    pub(super) fn received(&mut self, now: Instant) {
        self.answer_until = None;
        self.restart_persistent(now);
    }

    pub(super) fn received_data(&mut self, now: Instant) {
        self.received(now);
        if self.keepalive_at.is_some() {
            self.has_received_more = true;
        } else {
            self.keepalive_at = Some(now + KEEPALIVE_TIMEOUT);
        }
    }

    /// There are new keys, in use or not yet.
    pub(super) fn made_session(&mut self, now: Instant) {
        self.forget_at = Some(now + 3 * REJECT_AFTER_TIME);
    }

    /// No answer is waited for any more.
    pub(super) fn stop_initiating(&mut self) {
        (self.retry_at, self.began_at, self.rekey_at) = (None, None, None);
    }

    /// What was sent is not waited for any more; another one is sent at the next look.
    pub(super) fn restart_initiation(&mut self, now: Instant) {
        self.stop_initiating();
        self.rekey_at = Some(now);
    }

    pub(super) fn has_initiated_within(&self, time: Duration, now: Instant) -> bool {
        self.initiated_at.is_some_and(|at| now.duration_since(at) < time)
    }

    /// Repeats the initiation that waits for its answer then, if not earlier.
    pub(super) fn hasten_retry(&mut self, at: Instant) {
        self.retry_at = self.retry_at.map(|retry_at| retry_at.min(at));
    }

    /// At the next look, unless one was sent just before.
    pub(super) fn want_rekey(&mut self, now: Instant) {
        if !self.has_initiated_within(REKEY_TIMEOUT, now) && !self.is_initiating() {
            self.rekey_at.get_or_insert(now);
        }
    }

    /// What is due first; ask until there is nothing more.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Due> {
        let is_due = |at: &mut Instant| now >= *at;
        if self.forget_at.take_if(is_due).is_some() {
            return Some(Due::Forget);
        }
        if self.retry_at.take_if(is_due).is_some() {
            let began_at = self.began_at.unwrap_or(now);
            if now.duration_since(began_at) < REKEY_ATTEMPT_TIME {
                return Some(Due::Initiation);
            }
            self.stop_initiating();
            self.keepalive_at = None;
            return Some(Due::GiveUp);
        }
        let is_rekey_due = self.rekey_at.take_if(is_due).is_some();
        let is_answer_late = self.answer_until.take_if(is_due).is_some();
        if (is_rekey_due || is_answer_late) && !self.is_initiating() {
            return Some(Due::Initiation);
        }
        if self.keepalive_at.take_if(is_due).is_some() {
            if std::mem::take(&mut self.has_received_more) {
                self.keepalive_at = Some(now + KEEPALIVE_TIMEOUT);
            }
            return Some(Due::Keepalive);
        }
        if self.persistent_at.take_if(is_due).is_some() {
            self.restart_persistent(now);
            return Some(Due::Keepalive);
        }
        None
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.retry_at,
            self.rekey_at,
            self.answer_until,
            self.keepalive_at,
            self.persistent_at,
            self.forget_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn restart_persistent(&mut self, now: Instant) {
        let interval = self.persistent_keepalive;
        self.persistent_at = (!interval.is_zero()).then(|| now + interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_initiation_is_repeated_every_five_seconds_and_given_up_after_ninety() {
        let start = Instant::now();
        let mut timers = Timers::new(Duration::ZERO, start);
        timers.sent_initiation(Duration::ZERO, start);
        for number in 1..18 {
            assert_eq!(timers.poll(start + s(5 * number) - Duration::from_millis(1)), None);
            assert_eq!(timers.poll(start + s(5 * number)), Some(Due::Initiation));
            timers.sent_initiation(Duration::ZERO, start + s(5 * number));
        }
        assert_eq!(timers.poll(start + s(90)), Some(Due::GiveUp));
        assert_eq!(timers.next_timeout(), None);
    }

    #[test]
    fn jitter_delays_the_repetition() {
        let start = Instant::now();
        let mut timers = Timers::new(Duration::ZERO, start);
        timers.sent_initiation(Duration::from_millis(300), start);
        assert_eq!(timers.next_timeout(), Some(start + Duration::from_millis(5300)));
    }

    #[test]
    fn data_without_an_answer_for_fifteen_seconds_asks_for_new_keys() {
        let start = Instant::now();
        let mut timers = Timers::new(Duration::ZERO, start);
        timers.sent_data(start);
        timers.sent_data(start + s(14));
        assert_eq!(timers.poll(start + s(15)), Some(Due::Initiation));
        timers.sent_data(start + s(16));
        timers.received(start + s(17));
        assert_eq!(timers.poll(start + s(60)), None);
    }

    #[test]
    fn received_data_is_acknowledged_once_in_ten_seconds_unless_something_is_sent() {
        let start = Instant::now();
        let mut timers = Timers::new(Duration::ZERO, start);
        timers.received_data(start);
        assert_eq!(timers.poll(start + s(10)), Some(Due::Keepalive));
        timers.sent(start + s(10));
        assert_eq!(timers.next_timeout(), None);
        timers.received_data(start + s(11));
        timers.sent_data(start + s(12));
        timers.received(start + s(12));
        assert_eq!(timers.poll(start + s(30)), None);
    }

    #[test]
    fn the_persistent_keepalive_follows_silence_only() {
        let start = Instant::now();
        let mut timers = Timers::new(s(25), start);
        timers.sent(start + s(20));
        assert_eq!(timers.poll(start + s(44)), None);
        assert_eq!(timers.poll(start + s(45)), Some(Due::Keepalive));
        assert_eq!(timers.next_timeout(), Some(start + s(70)));
    }

    #[test]
    fn keys_are_forgotten_nine_minutes_after_the_last_were_made() {
        let start = Instant::now();
        let mut timers = Timers::new(Duration::ZERO, start);
        timers.made_session(start);
        timers.made_session(start + s(100));
        assert_eq!(timers.poll(start + s(639)), None);
        assert_eq!(timers.poll(start + s(640)), Some(Due::Forget));
    }

    #[test]
    fn new_keys_are_not_asked_for_twice_within_five_seconds() {
        let start = Instant::now();
        let mut timers = Timers::new(Duration::ZERO, start);
        timers.sent_initiation(Duration::ZERO, start);
        timers.stop_initiating();
        timers.want_rekey(start + s(4));
        assert_eq!(timers.poll(start + s(4)), None);
        timers.want_rekey(start + s(5));
        assert_eq!(timers.poll(start + s(5)), Some(Due::Initiation));
    }
}
