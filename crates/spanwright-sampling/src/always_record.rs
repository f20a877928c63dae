//! Nothing is dropped before somebody has seen it.

use crate::sampler::{Decision, Outcome, Sampler};
use crate::span::StartingSpan;

/// What another sampler drops is recorded and not sampled; whatever else it decides stays.
///
/// So the span processors see every span, for metrics of spans and for decisions at their end, and exporters and other services
/// only those that are sampled.
///
/// # Source
///
/// [SDK, AlwaysRecord](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwaysrecord).
#[derive(Clone, Debug)]
pub struct AlwaysRecord<S> {
    root: S,
}

impl<S: Sampler> AlwaysRecord<S> {
    /// `root` decides what is sampled.
    pub const fn new(root: S) -> Self {
        Self { root }
    }

    /// What decides what is sampled.
    pub const fn root(&self) -> &S {
        &self.root
    }
}

impl<S: Sampler> Sampler for AlwaysRecord<S> {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        let decision = self.root.sample(span);
        if decision.outcome != Outcome::Drop {
            return decision;
        }
        span.explain(|| "always record: recorded all the same, and not sampled".to_owned());
        Decision {
            outcome: Outcome::RecordOnly,
            ..decision
        }
    }

    fn description(&self) -> String {
        format!("AlwaysRecordSampler{{{}}}", self.root.description())
    }
}
