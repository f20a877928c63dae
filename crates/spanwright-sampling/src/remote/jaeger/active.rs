//! The strategy in force.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::BuildError;

use super::operations::Operations;
use super::strategy::Strategy;
use crate::composable::ComposableSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::rate::RateLimiting;
use crate::reason::Reason;
use crate::remote::state;
use crate::span::StartingSpan;
use crate::tally::Tally;
use crate::ticker::{Tick, Waker};

/// A strategy that is decided by.
#[derive(Debug)]
pub(super) enum Active {
    /// Until the first one comes.
    Initial(Arc<dyn ComposableSampler>),
    PerOperation(Operations),
    Probability(f64),
    RateLimit(RateLimiting),
}

impl state::Active for Active {
    type Strategy = Strategy;

    fn followed_by(&self, strategy: &Strategy, waker: Option<&Waker>) -> Result<Self, BuildError> {
        Ok(match (strategy, self) {
            (Strategy::Probability(ratio), _) => Self::Probability(*ratio),
            // No traces at all are no rate.
            (Strategy::RateLimit(0.0), _) => Self::Probability(0.0),
            (Strategy::RateLimit(rate), Self::RateLimit(limiting)) => {
                limiting.handle().set_target_per_second(*rate)?;
                Self::RateLimit(limiting.clone())
            }
            (Strategy::RateLimit(rate), _) => {
                let limiting = RateLimiting::traces_per_second(*rate).build()?;
                if let Some(waker) = waker {
                    limiting.attach(waker.clone());
                }
                Self::RateLimit(limiting)
            }
            (Strategy::PerOperation(strategies), Self::PerOperation(before)) => {
                Self::PerOperation(Operations::new(strategies, Some(before)))
            }
            (Strategy::PerOperation(strategies), _) => Self::PerOperation(Operations::new(strategies, None)),
        })
    }

    fn tick(&self, now: Instant) -> Option<Self> {
        match self {
            Self::Initial(_) | Self::Probability(_) => None,
            Self::PerOperation(operations) => operations.tick(now).map(Self::PerOperation),
            Self::RateLimit(limiting) => {
                limiting.tick(now);
                None
            }
        }
    }
}

impl ComposableSampler for Active {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        match self {
            Self::Initial(sampler) => {
                span.explain(|| "remote: no strategy has come yet".to_owned());
                sampler.sampling_intent(span)
            }
            Self::PerOperation(operations) => operations.intent(span),
            Self::Probability(ratio) => {
                span.explain(|| format!("remote: wants a share of {ratio}"));
                match Threshold::from_probability(*ratio) {
                    Some(threshold) => Intent::keep_at(threshold, Reason::Probability),
                    None => Intent::drop(Reason::Probability),
                }
            }
            Self::RateLimit(limiting) => limiting.sampling_intent(span),
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Initial(sampler) => sampler.description(),
            Self::PerOperation(_) => "per operation".to_owned(),
            Self::Probability(ratio) => format!("probability {ratio}"),
            Self::RateLimit(limiting) => limiting.description(),
        }
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        match self {
            Self::Initial(sampler) => sampler.visit_tallies(visit),
            Self::PerOperation(operations) => operations.visit_tallies(visit),
            Self::Probability(_) => {}
            Self::RateLimit(limiting) => limiting.visit_tallies(visit),
        }
    }
}
