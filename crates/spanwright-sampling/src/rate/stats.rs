//! What a controller has counted and found.

use crate::probability::Threshold;

/// What an [`Adaptive`](crate::Adaptive) or a [`RateLimiting`](crate::RateLimiting) has counted and found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateStats {
    /// Spans that it was asked about.
    pub offered: u64,
    /// The sum of the probabilities with which it kept them. What was kept differs from it by chance only.
    pub expected_kept: f64,
    /// Spans dropped at the hard ceiling, without a weight.
    pub limited: u64,
    /// The share that it keeps now, 0 at the hard ceiling.
    pub probability: f64,
    /// The same as a threshold. `None` at the hard ceiling.
    pub threshold: Option<Threshold>,
    /// The rate at which spans are offered, per second, as of the last tick. Where another sampler comes first, the rate of what
    /// that would keep.
    pub estimated_per_second: f64,
    /// The pressure now, 0 to 1.
    pub pressure: f32,
    /// How often a burst was met between two ticks.
    pub trips: u64,
}
