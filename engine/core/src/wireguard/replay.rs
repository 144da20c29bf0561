/// Counters behind the greatest one that are still told apart (the kernel's window).
pub const WINDOW_COUNTERS: u64 = 8192 - BITS;
const BITS: u64 = u64::BITS as u64;
/// One word is the one that is being filled, so the window proper is shorter by it.
const WORDS: u64 = 8192 / BITS;

/// Which counters were seen (RFC 6479: the bitmap is a ring of words, and only whole words are cleared).
#[derive(Debug)]
pub struct ReplayWindow {
    /// One more than the greatest counter accepted.
    next: u64,
    seen: [u64; WORDS as usize],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { next: 0, seen: [0; WORDS as usize] }
    }
}

impl ReplayWindow {
    /// Whether this counter is new, and not too old to say. Only for authentic datagrams.
    pub fn accept(&mut self, counter: u64) -> bool {
        if counter == u64::MAX || counter.saturating_add(WINDOW_COUNTERS) < self.next {
            return false;
        }
        if counter >= self.next {
            let last_word = self.next.saturating_sub(1) / BITS;
            let words = (counter / BITS - last_word).min(WORDS);
            for word in 1..=words {
                self.seen[((last_word + word) % WORDS) as usize] = 0;
            }
            self.next = counter + 1;
        }
        let word = &mut self.seen[((counter / BITS) % WORDS) as usize];
        let bit = 1 << (counter % BITS);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// The model remembers every counter.
        #[test]
        fn the_window_follows_the_model(
            start in prop_oneof![Just(0), Just(u64::MAX / 2), 0..100_000_u64],
            steps in prop::collection::vec(prop_oneof![0..80_u64, 0..20_000_u64], 1..400),
            backwards in prop::collection::vec(any::<bool>(), 400),
        ) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            let mut counter = start;
            for (step, back) in steps.into_iter().zip(backwards) {
                counter = if back { counter.saturating_sub(step) } else { counter + step };
                let next = seen.last().map_or(0, |last| last + 1);
                let expected = counter + WINDOW_COUNTERS >= next && !seen.contains(&counter);
                prop_assert_eq!(window.accept(counter), expected, "{}", counter);
                if expected {
                    seen.insert(counter);
                }
            }
        }
    }

    #[test]
    fn the_window_holds_to_the_last_counter() {
        let mut window = ReplayWindow::default();
        assert!(window.accept(WINDOW_COUNTERS));
        assert!(window.accept(1));
        assert!(!window.accept(0));
        assert!(window.accept(u64::MAX - 1));
        assert!(!window.accept(u64::MAX - 1));
        assert!(window.accept(u64::MAX - WINDOW_COUNTERS));
        assert!(!window.accept(u64::MAX - WINDOW_COUNTERS - 2));
        assert!(!window.accept(u64::MAX));
    }
}
