//! The sampler that the specification had before there were thresholds.

use crate::composable::ComposableSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::StartingSpan;

/// Wants every span and writes nothing down, so that a service that samples everything does not pay for a trace state in every span.
///
/// A parent's threshold would say too little of what is kept here; it is erased.
///
/// # Source
///
/// [SDK, AlwaysOn](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwayson).
#[derive(Debug)]
pub(super) struct PlainAlwaysOn;

impl ComposableSampler for PlainAlwaysOn {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        span.explain(|| "always on: wants every span, without a threshold".to_owned());
        Intent::keep_at(Threshold::ALWAYS, Reason::AlwaysOn).unreliable()
    }

    fn description(&self) -> String {
        "AlwaysOnSampler".to_owned()
    }
}
