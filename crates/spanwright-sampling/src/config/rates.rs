//! Samplers of a rate as a configuration has them.

use super::settings::Node;
use crate::rate::{Adaptive, AdaptiveBuilder, RateLimiting, RateLimitingBuilder};

/// `spanwright/adaptive`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AdaptiveNode {
    pub(super) target_per_second: Option<f64>,
    pub(super) target_ratio: Option<f64>,
    pub(super) max_per_second: Option<f64>,
    pub(super) max_burst: Option<f64>,
    pub(super) sampler: Option<Node>,
}

/// `spanwright/rate_limiting`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RateLimitingNode {
    pub(super) limit: RateLimit,
    pub(super) max_burst: Option<f64>,
    pub(super) sampler: Option<Node>,
}

/// A number per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RateLimit {
    Spans(f64),
    Traces(f64),
}

impl AdaptiveNode {
    /// What can be said without the sampler inside and the surroundings.
    pub(super) fn builder(&self) -> AdaptiveBuilder {
        let mut builder = Adaptive::builder();
        if let Some(target) = self.target_per_second {
            builder = builder.target_per_second(target);
        }
        if let Some(ratio) = self.target_ratio {
            builder = builder.target_ratio(ratio);
        }
        if let Some(max) = self.max_per_second {
            builder = builder.max_per_second(max);
        }
        if let Some(times) = self.max_burst {
            builder = builder.max_burst(times);
        }
        builder
    }
}

impl RateLimitingNode {
    /// What can be said without the sampler inside and the surroundings.
    pub(super) fn builder(&self) -> RateLimitingBuilder {
        let builder = match self.limit {
            RateLimit::Spans(limit) => RateLimiting::spans_per_second(limit),
            RateLimit::Traces(limit) => RateLimiting::traces_per_second(limit),
        };
        match self.max_burst {
            Some(times) => builder.max_burst(times),
            None => builder,
        }
    }
}
