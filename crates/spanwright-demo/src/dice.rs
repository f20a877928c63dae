//! Chance, the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

/// A generator that many threads share. Its numbers are the same in every run; who gets which is not.
///
/// # Source
///
/// SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Whether that happened which happens with this probability.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        self.roll() < probability
    }

    /// A number below `end`, small ones more often: as some articles of a shop are asked for more often than others.
    pub(crate) fn favourite(&self, end: u64) -> u64 {
        let roll = self.roll();
        (roll * roll * roll * end as f64) as u64
    }

    /// 0 to 1, without 1.
    pub(crate) fn roll(&self) -> f64 {
        // Relaxed: only the number itself is shared.
        let state = self
            .0
            .fetch_add(GOLDEN_GAMMA, Ordering::Relaxed)
            .wrapping_add(GOLDEN_GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The 53 bits that a float can hold.
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_in_two_of_a_hundred_happens_about_that_often() {
        let dice = Dice::new(1);
        let happened = (0..100_000).filter(|_| dice.chance(0.02)).count();
        assert!((1_800..2_200).contains(&happened), "{happened}");
    }

    #[test]
    fn favourites_stay_below_the_end() {
        let dice = Dice::new(2);
        let rolled: Vec<_> = (0..10_000).map(|_| dice.favourite(100)).collect();
        assert!(rolled.iter().all(|number| *number < 100));
        let low = rolled.iter().filter(|number| **number < 10).count();
        assert!(low > 4_000, "{low}");
    }
}
