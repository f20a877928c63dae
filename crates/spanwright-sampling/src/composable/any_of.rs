//! Whoever wants it most.

use super::ComposableSampler;
use crate::intent::Intent;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::tally::Tally;

/// Wants a span if any of several samplers does: the lowest threshold counts.
///
/// Each sampler's attributes go to the spans that it would have kept by itself. The threshold is reliable if one of those that
/// want the lowest vouches for it.
///
/// # Source
///
/// [OTEP 250](https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/trace/4321-composite-samplers.md),
/// `ConsistentAnyOf`.
#[derive(Debug)]
pub struct AnyOf {
    samplers: Box<[Box<dyn ComposableSampler>]>,
}

impl AnyOf {
    /// Any of these. None of none.
    pub fn new(samplers: impl IntoIterator<Item = Box<dyn ComposableSampler>>) -> Self {
        Self {
            samplers: samplers.into_iter().collect(),
        }
    }
}

impl ComposableSampler for AnyOf {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let intents = self.samplers.iter().map(|sampler| sampler.sampling_intent(span));
        intents
            .reduce(Intent::or)
            .unwrap_or_else(|| Intent::drop(Reason::NoRule))
    }

    fn description(&self) -> String {
        let samplers: Vec<_> = self.samplers.iter().map(|sampler| sampler.description()).collect();
        format!("ComposableAnyOf{{{}}}", samplers.join(","))
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        self.samplers.iter().for_each(|sampler| sampler.visit_tallies(visit));
    }
}
