//! A sampler, as this crate has it.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceState;

use crate::span::{Explanation, StartingSpan};

/// Decides whether a span is recorded and sampled.
///
/// What the SDK calls `ShouldSample`, without its types: every sampler of this crate implements both.
///
/// # Contract
///
/// Called on the application's threads at the start of each span. It must not block, and must not panic.
pub trait Sampler: fmt::Debug + Send + Sync + 'static {
    /// Decides for a span that is about to start.
    fn sample(&self, span: &StartingSpan<'_>) -> Decision;

    /// How the decision for such a span would come about, in words. Nothing is counted.
    fn explain(&self, span: &StartingSpan<'_>) -> Vec<String> {
        let explanation = Explanation::default();
        self.sample(&span.explained_by(&explanation));
        explanation.into_steps()
    }

    /// What it is, as the specification writes descriptions: `ParentBased{root:AlwaysOnSampler,..}`.
    fn description(&self) -> String;
}

/// What is to become of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether it is recorded and sampled.
    pub outcome: Outcome,
    /// Attributes that it gets besides its own.
    pub attributes: Vec<KeyValue>,
    /// Its trace state, whatever the outcome.
    pub trace_state: TraceState,
}

/// Whether a span is recorded and sampled.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the specification fixes the three")]
pub enum Outcome {
    /// Neither.
    Drop,
    /// Recorded for processors in this process, but not sampled: it is not exported, and others are told so.
    RecordOnly,
    /// Both.
    RecordAndSample,
}

impl Decision {
    /// Dropped, and nothing to say.
    pub(crate) const DROP: Self = Self {
        outcome: Outcome::Drop,
        attributes: Vec::new(),
        trace_state: TraceState::NONE,
    };
}

impl Outcome {
    /// The value of the attribute `otel.span.sampling_result`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "DROP",
            Self::RecordOnly => "RECORD_ONLY",
            Self::RecordAndSample => "RECORD_AND_SAMPLE",
        }
    }
}

impl<S: Sampler + ?Sized> Sampler for Arc<S> {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        (**self).sample(span)
    }

    fn description(&self) -> String {
        (**self).description()
    }
}

impl<S: Sampler + ?Sized> Sampler for Box<S> {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        (**self).sample(span)
    }

    fn description(&self) -> String {
        (**self).description()
    }
}
