//! What decides in the end.

use std::sync::Arc;

use super::plain::PlainAlwaysOn;
use crate::composable::{AlwaysOff, ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::reason::Reason;
use crate::sampler::{Decision, Outcome, Sampler};
use crate::span::StartingSpan;
use crate::tally::Tally;

/// What decides, and what is to be done with what it drops.
#[derive(Clone, Debug)]
pub(crate) struct Decider {
    pub(super) by: By,
    pub(super) always_records: bool,
}

#[derive(Clone, Debug)]
pub(super) enum By {
    /// A composable sampler; what it wants is held against the randomness here.
    Wish(Wish),
    /// One that decides by itself.
    Sampler(Arc<dyn Sampler>),
}

pub(super) type Wish = Arc<dyn ComposableSampler>;

/// Counts for samplers that come and go. Its own sampler is never asked.
pub(crate) type Counts = CompositeSampler<AlwaysOff>;

impl Decider {
    pub(crate) fn of_composable(sampler: impl ComposableSampler) -> Self {
        Self {
            by: By::Wish(Arc::new(sampler)),
            always_records: false,
        }
    }

    /// `parentbased_always_on`, which nothing can go wrong with.
    pub(crate) fn of_default() -> Self {
        Self::of_composable(ParentThreshold::new(PlainAlwaysOn))
    }

    pub(crate) fn of_sampler(sampler: impl Sampler) -> Self {
        Self {
            by: By::Sampler(Arc::new(sampler)),
            always_records: false,
        }
    }

    pub(crate) fn decide(&self, counts: &Counts, span: &StartingSpan<'_>) -> Decision {
        let decision = match &self.by {
            By::Wish(sampler) => counts.decide(span, sampler),
            By::Sampler(sampler) => {
                let decision = sampler.sample(span);
                counts.count_decision(span, Reason::Other, decision.outcome == Outcome::RecordAndSample);
                decision
            }
        };
        if !self.always_records || decision.outcome != Outcome::Drop {
            return decision;
        }
        span.explain(|| "always record: recorded all the same, and not sampled".to_owned());
        Decision {
            outcome: Outcome::RecordOnly,
            ..decision
        }
    }

    pub(crate) fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        if let By::Wish(sampler) = &self.by {
            sampler.visit_tallies(visit);
        }
    }

    pub(crate) fn description(&self) -> String {
        let description = match &self.by {
            By::Wish(sampler) => format!("CompositeSampler{{{}}}", sampler.description()),
            By::Sampler(sampler) => sampler.description(),
        };
        if self.always_records {
            format!("AlwaysRecordSampler{{{description}}}")
        } else {
            description
        }
    }
}
