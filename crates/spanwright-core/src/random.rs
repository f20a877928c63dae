//! Where jitter comes from.

/// A source of numbers that are uniform in `[0, 1)`.
///
/// Spreads what would otherwise happen at the same moment everywhere. Nothing that must be unpredictable hangs on it.
pub trait Random {
    /// The next number.
    fn unit(&mut self) -> f64;
}

/// A generator with a seed (splitmix64): the same numbers every time.
///
/// # Source
///
/// G. L. Steele, D. Lea, C. H. Flood: [Fast splittable pseudorandom number generators](https://doi.org/10.1145/2714064.2660195),
/// 2014.
#[derive(Clone, Debug)]
pub struct SeededRandom(u64);

impl SeededRandom {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Random for SeededRandom {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_uniform_enough() {
        let mut random = SeededRandom::new(7);
        let mut tenths = [0; 10];
        (0..10_000).for_each(|_| tenths[(random.unit() * 10.0) as usize] += 1);
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }
}
