//! Where this crate meets the SDK: the `ShouldSample` trait.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue, TraceId};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::always_record::AlwaysRecord;
use crate::composable::ComposableSampler;
use crate::composite::CompositeSampler;
use crate::parent_based::ParentBased;
use crate::plain::{AlwaysOffSampler, AlwaysOnSampler};
use crate::sampler::{Decision, Outcome, Sampler};
use crate::shadow::Shadow;
use crate::span::StartingSpan;

/// Each sampler of ours is one of the SDK's: it can be cloned, and decides by the same arguments.
macro_rules! should_sample {
    ($([$($generics:tt)*] $sampler:ty;)*) => {$(
        impl<$($generics)*> ShouldSample for $sampler {
            fn should_sample(
                &self,
                parent_context: Option<&Context>,
                trace_id: TraceId,
                name: &str,
                span_kind: &SpanKind,
                attributes: &[KeyValue],
                links: &[Link],
            ) -> SamplingResult {
                let parent = parent_context.map(Context::span);
                let parent = parent.as_ref().map(|parent| parent.span_context());
                let span = StartingSpan::new(parent, trace_id, name, span_kind).with_details(attributes, links);
                self.sample(&span).into()
            }
        }
    )*};
}

should_sample! {
    [] AlwaysOffSampler;
    [] AlwaysOnSampler;
    [S: Sampler + Clone] AlwaysRecord<S>;
    [S: ComposableSampler] CompositeSampler<S>;
    [] ParentBased;
    [S: Sampler + Clone, T: Sampler + Clone] Shadow<S, T>;
}

impl From<Decision> for SamplingResult {
    fn from(decision: Decision) -> Self {
        Self {
            decision: match decision.outcome {
                Outcome::Drop => SamplingDecision::Drop,
                Outcome::RecordOnly => SamplingDecision::RecordOnly,
                Outcome::RecordAndSample => SamplingDecision::RecordAndSample,
            },
            attributes: decision.attributes,
            trace_state: decision.trace_state,
        }
    }
}
