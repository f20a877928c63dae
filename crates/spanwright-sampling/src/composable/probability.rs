//! A fixed share of all traces.

use spanwright_core::BuildError;

use super::ComposableSampler;
use crate::intent::Intent;
use crate::probability::{Precision, Threshold};
use crate::reason::Reason;
use crate::span::StartingSpan;

/// Wants a fixed share of all traces, the same ones wherever it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Probability {
    ratio: f64,
    threshold: Option<Threshold>,
}

impl Probability {
    /// Wants the share `ratio` of all traces, 0 to 1. Below 2^-56 it wants none.
    ///
    /// # Errors
    ///
    /// A `ratio` outside of 0 to 1, or NaN.
    pub fn new(ratio: f64) -> Result<Self, BuildError> {
        Ok(Self {
            ratio: BuildError::check_range("ratio", ratio, 0.0..=1.0)?,
            threshold: Threshold::from_probability(ratio),
        })
    }

    /// With a threshold of so many significant digits, which makes for shorter headers. Default: every digit.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        let exact = Threshold::from_probability(self.ratio);
        Self {
            threshold: exact.map(|threshold| threshold.with_precision(precision)),
            ..self
        }
    }
}

impl ComposableSampler for Probability {
    #[inline(always)]
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        span.explain(|| format!("probability: wants a share of {}", self.ratio));
        match self.threshold {
            Some(threshold) => Intent::keep_at(threshold, Reason::Probability),
            None => Intent::drop(Reason::Probability),
        }
    }

    fn description(&self) -> String {
        format!("ComposableProbability{{{}}}", self.ratio)
    }
}
