use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Handshake messages a second from which on their senders must prove their address. One costs 0.2 ms, so
/// this is 2 % of a processor.
const LOAD_PER_SECOND: u32 = 100;
/// Handshake messages a second that are looked at in all, whatever they prove: a fifth of a processor.
const MAX_PER_SECOND: u32 = 1_000;
/// Of one source under load (the kernel's numbers).
const SOURCE_COST: Duration = Duration::from_millis(50);
const SOURCE_BURST: Duration = Duration::from_millis(250);
/// 0.5 MB. Sources beyond that are refused until others have been silent for a moment.
const MAX_SOURCES: usize = 8_192;
const WINDOW: Duration = Duration::from_secs(1);

/// Says how many handshake messages are looked at: those cost a thousand times what a packet costs.
#[derive(Debug)]
pub(super) struct Limiter {
    window_start: Instant,
    seen: u32,
    looked_at: u32,
    /// When the source will have used up nothing of its burst, by IPv4 address or IPv6 /64.
    sources: HashMap<u128, Instant>,
}

impl Limiter {
    pub(super) fn new(now: Instant) -> Self {
        Self { window_start: now, seen: 0, looked_at: 0, sources: HashMap::new() }
    }

    /// Counts a message with a good mac1.
    pub(super) fn is_under_load(&mut self, now: Instant) -> bool {
        if now.duration_since(self.window_start) >= WINDOW {
            self.window_start = now;
            (self.seen, self.looked_at) = (0, 0);
            self.sources.retain(|_, full_at| *full_at > now);
        }
        self.seen = self.seen.saturating_add(1);
        self.seen > LOAD_PER_SECOND
    }

    /// Under load: whether this source, which has proved its address, may be answered.
    pub(super) fn allows(&mut self, source: IpAddr, now: Instant) -> bool {
        let source = match source.to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        };
        let is_full = self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&source);
        if is_full || self.looked_at >= MAX_PER_SECOND - LOAD_PER_SECOND {
            return false;
        }
        let full_at = self.sources.entry(source).or_insert(now);
        let next = (*full_at).max(now) + SOURCE_COST;
        if next > now + SOURCE_BURST {
            return false;
        }
        *full_at = next;
        self.looked_at += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn load_begins_with_the_hundred_and_first_message_of_a_second() {
        let now = Instant::now();
        let mut limiter = Limiter::new(now);
        assert!((0..100).all(|_| !limiter.is_under_load(now)));
        assert!(limiter.is_under_load(now));
        assert!(!limiter.is_under_load(now + WINDOW));
    }

    #[test]
    fn a_source_has_a_burst_of_five_and_twenty_a_second() {
        let now = Instant::now();
        let mut limiter = Limiter::new(now);
        let source = IpAddr::from([192, 0, 2, 1]);
        let allowed = |limiter: &mut Limiter, at| (0..50).filter(|_| limiter.allows(source, at)).count();
        assert_eq!(allowed(&mut limiter, now), 5);
        assert_eq!(allowed(&mut limiter, now + Duration::from_millis(100)), 2);
        assert!(limiter.allows(IpAddr::from([192, 0, 2, 2]), now));
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert!(!limiter.allows(mapped, now + Duration::from_millis(100)));
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let now = Instant::now();
        let mut limiter = Limiter::new(now);
        let host = |number| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number));
        assert_eq!((0..50).filter(|number| limiter.allows(host(*number), now)).count(), 5);
    }

    #[test]
    fn all_sources_together_are_bounded_in_rate_and_in_memory() {
        let now = Instant::now();
        let mut limiter = Limiter::new(now);
        let mut allowed = 0;
        for number in 0..20_000_u32 {
            let _ = limiter.is_under_load(now);
            allowed += usize::from(limiter.allows(IpAddr::from(number.to_be_bytes()), now));
        }
        assert_eq!(allowed, 900);
        for second in 1..20 {
            let now = now + WINDOW * second;
            for number in 0..2_000_u32 {
                let _ = limiter.is_under_load(now);
                limiter.allows(IpAddr::from((number + second * 2_000).to_be_bytes()), now);
            }
        }
        assert!(limiter.sources.len() <= MAX_SOURCES);
    }
}
