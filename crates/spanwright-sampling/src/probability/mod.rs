//! Probabilities as 56-bit thresholds, and the randomness that they are held against.
//!
//! # Source
//!
//! [TraceState: probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/).

mod datadog;
mod downstream;
mod randomness;
mod threshold;

pub use self::{
    downstream::{Downstream, DownstreamDecision, DownstreamFault},
    randomness::Randomness,
    threshold::{Precision, Threshold},
};

/// One more than the largest threshold and the largest randomness: 2^56.
pub(crate) const RANGE: u64 = 1 << 56;

/// The digits of a threshold or a randomness in full: 56 bits in hexadecimal.
pub(crate) const DIGITS: usize = 14;
