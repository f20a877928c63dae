//! The same decisions as Datadog's tracers, for services among theirs.
//!
//! # Source
//!
//! [libdd-sampling](https://github.com/DataDog/libdatadog/tree/main/libdd-sampling), `otel_consistent_sampling`.

use opentelemetry::TraceId;

use super::{RANGE, Randomness, Threshold};

/// Knuth's multiplier, by which Datadog's tracers hash a trace id.
const FACTOR: u64 = 1_111_111_111_111_111_111;

/// Datadog's rates have six decimals.
const MILLIONTHS: u128 = 1_000_000;

impl Randomness {
    /// What a trace id means to Datadog's tracers: `!(low64 * 1111111111111111111) >> 8`. Written as `rv`, it makes a sampler by
    /// this specification keep the traces that they keep.
    #[must_use]
    pub fn of_datadog_trace_id(trace_id: TraceId) -> Self {
        let [.., a, b, c, d, e, f, g, h] = trace_id.to_bytes();
        let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self::new(!low.wrapping_mul(FACTOR) >> 8)
    }
}

impl Threshold {
    /// The threshold of a rate as Datadog's tracers have it, exact to a millionth: `round(2^56 * (1 - rate))` in decimals, which
    /// can be a step beside that of the same number in binary. `None` outside of 0 to 1, for NaN, and for less than half a
    /// millionth.
    #[must_use]
    pub fn of_datadog_rate(rate: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&rate) {
            return None;
        }
        let rejected = MILLIONTHS - (rate * MILLIONTHS as f64).round() as u128;
        let bits = (u128::from(RANGE) * rejected + MILLIONTHS / 2) / MILLIONTHS;
        Self::from_bits(u64::try_from(bits).ok()?)
    }
}
