//! Where jitter comes from, for who has no seed.

use spanwright_core::Random;

/// The generator of the calling thread, seeded by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRandom;

impl Random for ThreadRandom {
    fn unit(&mut self) -> f64 {
        fastrand::f64()
    }
}
