//! What a server answers, and whether it can be used.

mod json;
mod protobuf;

use std::collections::BTreeMap;
use std::sync::Arc;

use spanwright_core::BuildError;

use super::strategy::{OperationStrategies, Strategy};

pub(super) use self::{json::read as json, protobuf::read as protobuf};

/// The most operations that one answer may name. Each costs about a kibibyte here.
pub(super) const MAX_OPERATIONS: usize = 10_000;

const PROBABILITY: &str = "probabilisticSampling.samplingRate";
const RATE: &str = "rateLimitingSampling.maxTracesPerSecond";
const DEFAULT_PROBABILITY: &str = "operationSampling.defaultSamplingProbability";
const LOWER_BOUND: &str = "operationSampling.defaultLowerBoundTracesPerSecond";
const UPPER_BOUND: &str = "operationSampling.defaultUpperBoundTracesPerSecond";
const OPERATIONS: &str = "operationSampling.perOperationStrategies";

/// An answer as it was read; nothing in it has been checked.
#[derive(Debug, Default)]
struct Answer {
    kind: Option<Kind>,
    sampling_rate: Option<f64>,
    max_traces_per_second: Option<f64>,
    operations: Option<Operations>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Probabilistic,
    RateLimiting,
}

#[derive(Debug, Default)]
struct Operations {
    default_probability: f64,
    lower_bound: f64,
    upper_bound: f64,
    probabilities: Vec<(String, f64)>,
}

impl Answer {
    /// The strategy: by operation if there are such, as all of Jaeger's clients have it; else what the type names.
    ///
    /// The upper bound is checked and does nothing, because no server sets it and no client heeds it.
    fn check(self) -> Result<Strategy, BuildError> {
        if let Some(operations) = self.operations {
            return operations.check().map(Strategy::PerOperation);
        }
        match (self.kind, self.sampling_rate, self.max_traces_per_second) {
            (Some(Kind::Probabilistic) | None, Some(ratio), _) => share(PROBABILITY, ratio).map(Strategy::Probability),
            (Some(Kind::RateLimiting) | None, _, Some(limit)) => rate(RATE, limit).map(Strategy::RateLimit),
            (Some(Kind::Probabilistic), None, _) => Err(missing(PROBABILITY)),
            (Some(Kind::RateLimiting), _, None) => Err(missing(RATE)),
            (None, None, None) => Err(missing("strategyType")),
        }
    }
}

impl Operations {
    fn check(self) -> Result<OperationStrategies, BuildError> {
        rate(UPPER_BOUND, self.upper_bound)?;
        if self.probabilities.len() > MAX_OPERATIONS {
            let count = self.probabilities.len();
            return Err(BuildError::new(
                OPERATIONS,
                format_args!("{count} operations"),
                "at most 10000",
            ));
        }
        // Of two strategies for one operation the last counts, as in all of Jaeger's clients.
        let mut probabilities = BTreeMap::new();
        for (index, (operation, probability)) in self.probabilities.into_iter().enumerate() {
            let probability = share(|| format!("{OPERATIONS}[{index}].{PROBABILITY}"), probability)?;
            probabilities.insert(Arc::from(operation), probability);
        }
        Ok(OperationStrategies {
            default_probability: share(DEFAULT_PROBABILITY, self.default_probability)?,
            lower_bound: rate(LOWER_BOUND, self.lower_bound)?,
            probabilities: probabilities.into_iter().collect(),
        })
    }
}

/// The name of a field, made only where it is needed.
trait Field {
    fn name(self) -> String;
}

impl Field for &str {
    fn name(self) -> String {
        self.to_owned()
    }
}

impl<F: FnOnce() -> String> Field for F {
    fn name(self) -> String {
        self()
    }
}

/// NaN is in no range.
fn share(field: impl Field, value: f64) -> Result<f64, BuildError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(BuildError::new(field.name(), value, "0 to 1"))
}

fn rate(field: impl Field, value: f64) -> Result<f64, BuildError> {
    if (0.0..=f64::MAX).contains(&value) {
        return Ok(value);
    }
    Err(BuildError::new(
        field.name(),
        value,
        "a number of traces per second, 0 or more",
    ))
}

fn missing(field: impl Field) -> BuildError {
    BuildError::new(field.name(), "missing", "a strategy that says what to do")
}

#[cfg(test)]
mod tests;
