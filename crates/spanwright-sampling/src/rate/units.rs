//! Probabilities as whole numbers, so that their sum is exact.
//!
//! [`ONE`] is certainty. Every threshold that a governor gives is a whole number of units, and what it adds up is just that number:
//! a sum differs from what the thresholds say by nothing. Sums wrap around after four billion, and are only ever compared with
//! what they were at the last tick.

use crate::probability::{RANGE, Threshold};

/// A probability of 1. One unit is the smallest that can be given: one trace in four billion.
pub(super) const ONE: u64 = 1 << BITS;
pub(super) const BITS: u32 = 32;

/// From units to the bits of a threshold.
const SHIFT: u32 = RANGE.trailing_zeros() - BITS;

/// The threshold of a probability, which must not be 0.
#[inline]
pub(super) fn threshold(probability: u64) -> Threshold {
    Threshold::from_bits(RANGE - (probability << SHIFT)).unwrap_or_default()
}

/// The threshold that keeps the share `factor`, which must not be 0, of what `wanted` keeps.
pub(super) fn lower(wanted: Threshold, factor: u64) -> Threshold {
    if factor == ONE {
        return wanted;
    }
    // The product of two numbers up to 2^32, one of which is less.
    threshold(((probability(wanted) * factor) >> BITS).max(1))
}

/// The probability of what is kept at `threshold` among what is kept at `given`.
pub(super) fn given(threshold: Threshold, given: Threshold) -> u64 {
    if threshold <= given {
        return ONE;
    }
    // The threshold is not the lowest, so that its probability is below 2^32.
    ((probability(threshold) << BITS) / probability(given)).min(ONE)
}

pub(super) fn to_f64(units: u64) -> f64 {
    units as f64 / ONE as f64
}

/// To the next lower unit; 0 for what is negative or NaN, the most for what is too much.
pub(super) fn from_f64(amount: f64) -> u64 {
    (amount * ONE as f64) as u64
}

/// The probability of a threshold, at least one unit.
fn probability(threshold: Threshold) -> u64 {
    ((RANGE - threshold.bits()) >> SHIFT).max(1)
}
