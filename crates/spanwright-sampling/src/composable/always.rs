//! All or nothing.

use super::ComposableSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::StartingSpan;

/// Wants every span, with a threshold of 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

/// Wants no span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl ComposableSampler for AlwaysOn {
    #[inline]
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        span.explain(|| "always on: wants every span".to_owned());
        Intent::keep_at(Threshold::ALWAYS, Reason::AlwaysOn)
    }

    fn description(&self) -> String {
        "ComposableAlwaysOn".to_owned()
    }
}

impl ComposableSampler for AlwaysOff {
    #[inline]
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        span.explain(|| "always off: wants no span".to_owned());
        Intent::drop(Reason::AlwaysOff)
    }

    fn description(&self) -> String {
        "ComposableAlwaysOff".to_owned()
    }
}
