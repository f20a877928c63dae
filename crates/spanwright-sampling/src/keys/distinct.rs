//! How many different keys there were, without remembering them.

use std::sync::atomic::{AtomicU64, Ordering};

/// An estimate of how many different hashes were marked.
///
/// Each sets one of `m` = 32 768 bits; where a share `z` of them is left, `-m ln z` did. Off by about 1 % at 10 000, and
/// a number of no use beyond some 200 000.
///
/// # Source
///
/// Whang, Vander-Zanden, Taylor, "A linear-time probabilistic counting algorithm", ACM TODS 15(2), 1990.
#[derive(Debug)]
pub(super) struct Distinct {
    words: Box<[AtomicU64]>,
}

const WORDS: usize = 512;
const BITS: u64 = WORDS as u64 * 64;

impl Distinct {
    pub(super) fn new() -> Self {
        Self {
            words: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Writes only what is not there yet: once per hash.
    pub(super) fn mark(&self, hash: u64) {
        let bit = hash % BITS;
        let word = &self.words[(bit / 64) as usize];
        let mask = 1 << (bit % 64);
        // Relaxed, and below: each bit stands alone.
        if word.load(Ordering::Relaxed) & mask == 0 {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    /// The estimate, and begins again.
    pub(super) fn take(&self) -> u64 {
        let marked = |word: &AtomicU64| {
            // Most are empty most of the time.
            if word.load(Ordering::Relaxed) == 0 {
                0
            } else {
                word.swap(0, Ordering::Relaxed)
            }
        };
        let marked: u64 = self.words.iter().map(|word| u64::from(marked(word).count_ones())).sum();
        let left = (BITS - marked).max(1) as f64 / BITS as f64;
        (-(BITS as f64) * left.ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_do_not_count_and_many_are_told_to_a_few_percent() {
        let distinct = Distinct::new();
        let mut random = fastrand::Rng::with_seed(3);
        for count in [0, 1, 100, 10_000, 100_000] {
            for _ in 0..count {
                let hash = random.u64(..);
                distinct.mark(hash);
                distinct.mark(hash);
            }
            let error = distinct.take().abs_diff(count);
            assert!(error <= 1 + count / 20, "{error} off of {count}");
        }
        assert_eq!(distinct.take(), 0);
    }
}
