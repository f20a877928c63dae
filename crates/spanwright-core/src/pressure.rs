//! How full the pipeline is, for those who can make less.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How close a pipeline is to dropping: 0 (at ease) to 1 (the next item may be lost). Clones share one value.
///
/// The processor publishes it, samplers read it and make less before anything must be dropped.
///
/// # Cost
///
/// One relaxed load to read.
#[derive(Clone, Default)]
pub struct Pressure {
    bits: Arc<AtomicU32>,
}

impl Pressure {
    /// No pressure, until somebody sets it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pressure now, 0 to 1.
    #[must_use]
    pub fn get(&self) -> f32 {
        // Relaxed: the value stands alone, nothing else is read by it.
        f32::from_bits(self.bits.load(Ordering::Relaxed))
    }

    /// Publishes a pressure. Values outside 0 to 1 are clamped, NaN counts as 0.
    pub fn set(&self, pressure: f32) {
        let pressure = if pressure.is_nan() {
            0.0
        } else {
            pressure.clamp(0.0, 1.0)
        };
        self.bits.store(pressure.to_bits(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pressure").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_a_clamped_value() {
        let pressure = Pressure::new();
        for (set, read) in [
            (0.5, 0.5),
            (7.0, 1.0),
            (-1.0, 0.0),
            (f32::NAN, 0.0),
            (f32::INFINITY, 1.0),
        ] {
            pressure.clone().set(set);
            assert_eq!(pressure.get(), read);
        }
    }
}
