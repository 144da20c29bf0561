//! How many datagrams are let through: of one network (/24, /48), and of all together.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// 0.4 MB. Sources can be forged at will; whoever is not remembered has the rest of what all may have.
const MAX_NETWORKS: usize = 8_192;

/// Datagrams a second, and how many may come at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) burst: f64,
}

impl Rate {
    /// How long a bucket that was left alone takes to be full again.
    fn refill_time(self) -> Duration {
        Duration::from_secs_f64(self.burst / self.per_second)
    }
}

#[derive(Debug)]
pub(super) struct Limiter {
    of_network: Rate,
    of_all: Rate,
    all: Bucket,
    networks: HashMap<u64, Bucket>,
    swept_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { level: rate.burst, at: now }
    }

    /// Takes one, if there is one.
    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + rate.per_second * passed).min(rate.burst);
        self.at = now;
        let is_there = self.level >= 1.0;
        if is_there {
            self.level -= 1.0;
        }
        is_there
    }

    fn give_back(&mut self) {
        self.level += 1.0;
    }
}

impl Limiter {
    pub(super) fn new(of_network: Rate, of_all: Rate, now: Instant) -> Self {
        let all = Bucket::full(of_all, now);
        Self { of_network, of_all, all, networks: HashMap::new(), swept_at: now }
    }

    /// Whether a datagram from there is let through.
    pub(super) fn allows(&mut self, source: SocketAddr, now: Instant) -> bool {
        if !self.all.take(self.of_all, now) {
            return false;
        }
        let rate = self.of_network;
        let is_allowed = self.network(source.ip(), now).is_none_or(|network| network.take(rate, now));
        if !is_allowed {
            self.all.give_back();
        }
        is_allowed
    }

    fn network(&mut self, source: IpAddr, now: Instant) -> Option<&mut Bucket> {
        let key = match source.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits() >> 8),
            IpAddr::V6(address) => (address.to_bits() >> 80) as u64 | 1 << 63,
        };
        if self.networks.len() >= MAX_NETWORKS && !self.networks.contains_key(&key) {
            self.sweep(now);
            if self.networks.len() >= MAX_NETWORKS {
                return None;
            }
        }
        Some(self.networks.entry(key).or_insert(Bucket::full(self.of_network, now)))
    }

    /// At most once while a bucket fills: a flood of forged sources must not make each of them cost a walk.
    fn sweep(&mut self, now: Instant) {
        let refill = self.of_network.refill_time();
        if now.saturating_duration_since(self.swept_at) >= refill {
            self.swept_at = now;
            self.networks.retain(|_, bucket| now.saturating_duration_since(bucket.at) < refill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(now: Instant) -> Limiter {
        let of_network = Rate { per_second: 200.0, burst: 600.0 };
        Limiter::new(of_network, Rate { per_second: 4_000.0, burst: 8_000.0 }, now)
    }

    fn source(address: [u8; 4], port: u16) -> SocketAddr {
        SocketAddr::from((address, port))
    }

    fn allowed(limiter: &mut Limiter, count: u32, now: Instant, from: impl Fn(u32) -> SocketAddr) -> usize {
        (0..count).filter(|number| limiter.allows(from(*number), now)).count()
    }

    #[test]
    fn one_network_has_a_burst_and_then_two_hundred_a_second() {
        let now = Instant::now();
        let mut limiter = limiter(now);
        let flood = |number: u32| source([192, 0, 2, number as u8], number as u16 | 1);
        assert_eq!(allowed(&mut limiter, 10_000, now, flood), 600);
        assert_eq!(allowed(&mut limiter, 10_000, now + Duration::from_millis(500), flood), 100);
        assert!(limiter.allows(source([192, 0, 3, 1], 1), now), "another network");
    }

    #[test]
    fn an_ipv6_site_is_one_network() {
        let now = Instant::now();
        let mut limiter = limiter(now);
        let flood =
            |number: u32| SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 7, number as u16, 0, 0, 0, 1]), 1);
        assert_eq!(allowed(&mut limiter, 10_000, now, flood), 600);
    }

    #[test]
    fn forged_sources_all_together_are_bounded_in_rate_and_in_memory() {
        let now = Instant::now();
        let mut limiter = limiter(now);
        let forged = |number: u32| source((number << 8).to_be_bytes(), 1);
        assert_eq!(allowed(&mut limiter, 100_000, now, forged), 8_000);
        for second in 1..20_u32 {
            let now = now + Duration::from_secs(second.into());
            let flood = |number: u32| source(((second * 10_000 + number) << 8).to_be_bytes(), 1);
            assert_eq!(allowed(&mut limiter, 10_000, now, flood), 4_000);
        }
        assert!(limiter.networks.len() <= MAX_NETWORKS);
    }

    #[test]
    fn a_clock_that_stands_still_refills_nothing() {
        let now = Instant::now();
        let mut limiter = limiter(now + Duration::from_secs(1));
        let flood = |_| source([192, 0, 2, 1], 1);
        assert_eq!(allowed(&mut limiter, 1_000, now, flood), 600);
        assert_eq!(allowed(&mut limiter, 1_000, now, flood), 0);
    }
}
