//! All or nothing, and the trace state as it was.

use opentelemetry::trace::TraceState;

use crate::sampler::{Decision, Outcome, Sampler};
use crate::span::StartingSpan;
use crate::trace_state;

/// Samples every span, and leaves the parent's trace state as it came.
///
/// That is what a branch of [`ParentBased`](crate::ParentBased) needs: the child of a sampled parent stands for as many spans as
/// the parent does, so the parent's threshold goes on. A threshold that disagrees with whether the parent was sampled is erased.
///
/// A span without a parent gets no threshold. [`CompositeSampler`](crate::CompositeSampler) over [`AlwaysOn`](crate::AlwaysOn)
/// also samples every span, and says in the trace state that each stands for itself alone.
///
/// # Source
///
/// [SDK, AlwaysOn](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwayson).
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOnSampler;

/// Samples no span.
///
/// The parent's trace state goes on without its threshold, which is for spans that are sampled.
///
/// # Source
///
/// [SDK, AlwaysOff](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwaysoff).
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOffSampler;

impl Sampler for AlwaysOnSampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        span.explain(|| "kept: always on".to_owned());
        let keeps_threshold = span.parent_threshold().is_some();
        decision(span, Outcome::RecordAndSample, keeps_threshold)
    }

    fn description(&self) -> String {
        "AlwaysOnSampler".to_owned()
    }
}

impl Sampler for AlwaysOffSampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        span.explain(|| "dropped: always off".to_owned());
        decision(span, Outcome::Drop, false)
    }

    fn description(&self) -> String {
        "AlwaysOffSampler".to_owned()
    }
}

fn decision(span: &StartingSpan<'_>, outcome: Outcome, keeps_threshold: bool) -> Decision {
    Decision {
        outcome,
        attributes: Vec::new(),
        trace_state: inherited(span, keeps_threshold).unwrap_or_default(),
    }
}

/// The parent's trace state, unchanged where nothing must go.
fn inherited(span: &StartingSpan<'_>, keeps_threshold: bool) -> Option<TraceState> {
    let parent = span.trace_state()?;
    let ot = span.otel_trace_state();
    let must_go = span.has_malformed_trace_state() || ot.threshold.is_some() && !keeps_threshold;
    if must_go {
        return Some(trace_state::without_threshold(Some(parent), ot));
    }
    Some(parent.clone())
}
