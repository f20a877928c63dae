//! What a server wants of a service.

use std::fmt;
use std::sync::Arc;

/// A strategy whose every number has been checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Strategy {
    /// A share of all traces, 0 to 1.
    Probability(f64),
    /// So many traces per second; finite, from 0.
    RateLimit(f64),
    /// By the name of the trace's first span.
    PerOperation(OperationStrategies),
}

/// Probabilities by operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OperationStrategies {
    /// For operations without one of their own.
    pub(super) default_probability: f64,
    /// What each operation gets at least, in traces per second, if it has so many.
    pub(super) lower_bound: f64,
    /// By name, each name once.
    pub(super) probabilities: Vec<(Arc<str>, f64)>,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probability(ratio) => write!(f, "a share of {ratio}"),
            Self::RateLimit(rate) => write!(f, "{rate} traces/s"),
            Self::PerOperation(operations) => write!(
                f,
                "a share for each of {} operations, {} of others, and at least {} traces/s of each",
                operations.probabilities.len(),
                operations.default_probability,
                operations.lower_bound,
            ),
        }
    }
}
