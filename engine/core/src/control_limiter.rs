//! How many datagrams of strangers are handed up: each costs Python 10 to 40 us to refuse, which is more than it costs to
//! send, and here 0.1 us. Addresses of peers are exempt: a flood does not take the probes of a session.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Of one network (/24, /48). A peer that looks for a path through a hard NAT sends 256 probes at once, three times.
const NETWORK_PER_SECOND: f64 = 200.0;
const NETWORK_BURST: f64 = 600.0;
/// Of all together: at 40 us each 16 % of a processor.
const TOTAL_PER_SECOND: f64 = 4_000.0;
const TOTAL_BURST: f64 = 8_000.0;
/// 0.4 MB. Sources can be forged at will; whoever is not remembered has the rest of what all may have.
const MAX_NETWORKS: usize = 8_192;
/// A bucket that was left alone for as long is full again.
const REFILL: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct ControlLimiter {
    total: Bucket,
    networks: HashMap<u64, Bucket>,
    swept_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, per_second: f64, burst: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + per_second * passed).min(burst);
        self.at = now;
    }
}

impl ControlLimiter {
    pub fn new(now: Instant) -> Self {
        let total = Bucket { level: TOTAL_BURST, at: now };
        Self { total, networks: HashMap::new(), swept_at: now }
    }

    /// Whether a datagram from there is handed up.
    pub fn allows(&mut self, source: SocketAddr, now: Instant) -> bool {
        self.total.refill(TOTAL_PER_SECOND, TOTAL_BURST, now);
        if self.total.level < 1.0 {
            return false;
        }
        if let Some(network) = self.network(source.ip(), now) {
            network.refill(NETWORK_PER_SECOND, NETWORK_BURST, now);
            if network.level < 1.0 {
                return false;
            }
            network.level -= 1.0;
        }
        self.total.level -= 1.0;
        true
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
        Some(self.networks.entry(key).or_insert(Bucket { level: NETWORK_BURST, at: now }))
    }

    /// At most once in three seconds: a flood of forged sources must not make each of them cost a walk.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept_at) >= REFILL {
            self.swept_at = now;
            self.networks.retain(|_, bucket| now.saturating_duration_since(bucket.at) < REFILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: [u8; 4], port: u16) -> SocketAddr {
        SocketAddr::from((address, port))
    }

    fn allowed(
        limiter: &mut ControlLimiter,
        count: u32,
        now: Instant,
        from: impl Fn(u32) -> SocketAddr,
    ) -> usize {
        (0..count).filter(|number| limiter.allows(from(*number), now)).count()
    }

    #[test]
    fn one_network_has_a_burst_and_then_two_hundred_a_second() {
        let now = Instant::now();
        let mut limiter = ControlLimiter::new(now);
        let flood = |number: u32| source([192, 0, 2, number as u8], number as u16 | 1);
        assert_eq!(allowed(&mut limiter, 10_000, now, flood), 600);
        assert_eq!(allowed(&mut limiter, 10_000, now + Duration::from_millis(500), flood), 100);
        assert!(limiter.allows(source([192, 0, 3, 1], 1), now), "another network");
    }

    #[test]
    fn an_ipv6_site_is_one_network() {
        let now = Instant::now();
        let mut limiter = ControlLimiter::new(now);
        let flood =
            |number: u32| SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 7, number as u16, 0, 0, 0, 1]), 1);
        assert_eq!(allowed(&mut limiter, 10_000, now, flood), 600);
    }

    #[test]
    fn forged_sources_all_together_are_bounded_in_rate_and_in_memory() {
        let now = Instant::now();
        let mut limiter = ControlLimiter::new(now);
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
        let mut limiter = ControlLimiter::new(now + Duration::from_secs(1));
        let flood = |_| source([192, 0, 2, 1], 1);
        assert_eq!(allowed(&mut limiter, 1_000, now, flood), 600);
        assert_eq!(allowed(&mut limiter, 1_000, now, flood), 0);
    }
}
