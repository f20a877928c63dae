//! Where jitter comes from.

/// A source of numbers that are uniform in `[0, 1)`.
///
/// Spreads what would otherwise happen at the same moment everywhere. Nothing that must be unpredictable hangs on it.
pub trait Random {
    /// The next number.
    fn unit(&mut self) -> f64;
}

/// The generator of the calling thread, seeded by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRandom;

impl Random for ThreadRandom {
    fn unit(&mut self) -> f64 {
        fastrand::f64()
    }
}

/// A generator with a seed: the same numbers every time.
#[derive(Clone, Debug)]
pub struct SeededRandom(fastrand::Rng);

impl SeededRandom {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }
}

impl Random for SeededRandom {
    fn unit(&mut self) -> f64 {
        self.0.f64()
    }
}
