//! Arrivals of every kind, by a seed, four milliseconds at a time.

use fastrand::Rng;

/// How spans come: at what rate, and how clumped.
#[derive(Clone, Copy)]
pub(super) struct Traffic {
    /// Per second, by the time in seconds.
    pub(super) rate: fn(f64) -> f64,
    /// What `rate` is multiplied by.
    pub(super) scale: f64,
    /// So many come together within 20 ms.
    pub(super) clump: u32,
}

/// How many spans come in each [`SLOT`].
pub(super) struct Arrivals {
    traffic: Traffic,
    rng: Rng,
    slot: u64,
    /// What clumps have still to bring, by the slot.
    pending: [u64; CLUMP_SLOTS],
}

/// In milliseconds.
pub(super) const SLOT: u64 = 4;
const CLUMP_SLOTS: usize = (20 / SLOT) as usize;

impl Arrivals {
    pub(super) fn new(traffic: Traffic, seed: u64) -> Self {
        Self {
            traffic,
            rng: Rng::with_seed(seed),
            slot: 0,
            pending: [0; CLUMP_SLOTS],
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        let seconds = (self.slot * SLOT) as f64 / 1000.0;
        self.slot += 1;
        let mean = (self.traffic.rate)(seconds) * self.traffic.scale * SLOT as f64 / 1000.0;
        if self.traffic.clump == 1 {
            return poisson(&mut self.rng, mean);
        }
        for _ in 0..poisson(&mut self.rng, mean / f64::from(self.traffic.clump)) {
            for _ in 0..self.traffic.clump {
                self.pending[self.rng.usize(..CLUMP_SLOTS)] += 1;
            }
        }
        let now = std::mem::take(&mut self.pending[0]);
        self.pending.rotate_left(1);
        now
    }
}

/// A number of independent events of which so many are expected.
fn poisson(rng: &mut Rng, mean: f64) -> u64 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > 30.0 {
        // The normal distribution with its variance, which is as good for so many.
        let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
        return (mean + normal * mean.sqrt()).round().max(0.0) as u64;
    }
    let (limit, mut product, mut count) = ((-mean).exp(), rng.f64(), 0);
    while product > limit {
        product *= rng.f64();
        count += 1;
    }
    count
}
