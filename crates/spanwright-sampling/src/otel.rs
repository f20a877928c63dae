//! Where this crate meets the SDK: the `ShouldSample` trait, and spans that have ended.

use std::time::Instant;

use opentelemetry::trace::{Link, SpanId, SpanKind, Status, TraceContextExt, TraceState};
use opentelemetry::{Context, KeyValue, TraceId};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample, SpanData};
use spanwright_core::{Ended, Held, Release, TailStage};

use crate::always_record::AlwaysRecord;
use crate::composable::ComposableSampler;
use crate::composite::CompositeSampler;
use crate::config::ConfiguredSampler;
use crate::parent_based::ParentBased;
use crate::plain::{AlwaysOffSampler, AlwaysOnSampler};
use crate::reload::ReloadableSampler;
#[cfg(feature = "remote")]
use crate::remote::{JaegerRemoteSampler, XRaySampler};
use crate::sampler::{Decision, Outcome, Sampler};
use crate::shadow::Shadow;
use crate::span::StartingSpan;
use crate::tail::{TailSampler, TailSpan};

/// Out of line, for all that a parent may make necessary.
#[inline(never)]
fn sample(sampler: &impl Sampler, span: &StartingSpan<'_>) -> SamplingResult {
    sampler.sample(span).into()
}

/// Each sampler of ours is one of the SDK's: it can be cloned, and decides by the same arguments.
macro_rules! should_sample {
    ($([$($generics:tt)*] $sampler:ty;)*) => {$(
        impl<$($generics)*> ShouldSample for $sampler {
            #[inline]
            fn should_sample(
                &self,
                parent_context: Option<&Context>,
                trace_id: TraceId,
                name: &str,
                span_kind: &SpanKind,
                attributes: &[KeyValue],
                links: &[Link],
            ) -> SamplingResult {
                let start = |parent| StartingSpan::new(parent, trace_id, name, span_kind).with_details(attributes, links);
                match parent_context.filter(|context| context.has_active_span()) {
                    // Made twice: where there is no parent, nothing of what is asked about it is left after inlining.
                    None => self.sample(&start(None)).into(),
                    Some(context) => sample(self, &start(Some(context.span().span_context()))),
                }
            }
        }
    )*};
}

should_sample! {
    [] AlwaysOffSampler;
    [] AlwaysOnSampler;
    [S: Sampler + Clone] AlwaysRecord<S>;
    [S: ComposableSampler] CompositeSampler<S>;
    [] ConfiguredSampler;
    [] ParentBased;
    [] ReloadableSampler;
    [S: Sampler + Clone, T: Sampler + Clone] Shadow<S, T>;
}

#[cfg(feature = "remote")]
should_sample! {
    [] JaegerRemoteSampler;
    [] XRaySampler;
}

impl From<Decision> for SamplingResult {
    #[inline]
    fn from(decision: Decision) -> Self {
        Self {
            decision: match decision.outcome {
                Outcome::Drop => SamplingDecision::Drop,
                Outcome::RecordOnly => SamplingDecision::RecordOnly,
                Outcome::RecordAndSample => SamplingDecision::RecordAndSample,
            },
            attributes: decision.attributes,
            // An empty one was written in part just now. To read it as a whole would make the processor wait.
            trace_state: match decision.trace_state {
                none if none == TraceState::NONE => TraceState::NONE,
                some => some,
            },
        }
    }
}

impl TailStage<SpanData> for TailSampler {
    fn hold(&self, ended: Ended<'_, SpanData>, out: &mut dyn Release) {
        let span = ended.item;
        let duration = span.end_time.duration_since(span.start_time);
        let view = TailSpan::new(&span.span_context, &span.name)
            .with_attributes(&span.attributes)
            .with_duration(duration.unwrap_or_default())
            .with_local_root(span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote)
            .with_error(matches!(span.status, Status::Error { .. }));
        self.hold(&view, ended.record, ended.scope, ended.class, out);
    }

    fn poll(&self, now: Instant, out: &mut dyn Release) -> Option<Instant> {
        self.poll(now, out)
    }

    fn drain(&self, out: &mut dyn Release) -> bool {
        self.drain(out)
    }

    fn held(&self) -> Held {
        self.held()
    }
}
