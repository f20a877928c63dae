//! How many requests may be under way: fixed, or found out.
//!
//! A limit hears how each request went and says how many may be under way from now on. It knows no clock, no semaphore and no service:
//! [`ConcurrencyLimitLayer`] has those.

mod aimd;
mod arc;
mod concurrency;
mod fixed;
mod gradient;
mod layer;
mod round_trips;
mod service;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::{Duration, Instant};

pub use self::{
    aimd::Aimd, arc::AdaptiveConcurrency, concurrency::Concurrency, fixed::FixedLimit, gradient::Gradient,
    layer::ConcurrencyLimitLayer, service::LimitService,
};

/// Finds out how many requests may be under way.
///
/// # Contract
///
/// [`on_sample`](Self::on_sample) is called once for each request that has ended, with a time that does not go back. The limit is
/// never below 1.
pub trait Limit: Debug + Send + 'static {
    /// How many may be under way now.
    fn limit(&self) -> usize;

    /// A request has ended.
    fn on_sample(&mut self, sample: &LimitSample);
}

/// How a request went, as a limit sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LimitSample {
    /// When it ended.
    pub now: Instant,
    /// From its start to its end.
    pub rtt: Duration,
    /// How many were under way when it started, this one included.
    pub in_flight: usize,
    /// How it ended.
    pub outcome: LimitOutcome,
}

/// How a request ended, as a limit sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a limit can only be told to go on, to step back, or nothing"
)]
pub enum LimitOutcome {
    /// It failed for a reason of its own: says nothing.
    Ignore,
    /// The receiver could not take it now: a timeout, or an error that asks to come back later.
    Overload,
    /// It was taken.
    Success,
}

impl LimitSample {
    /// A request that ended so.
    #[must_use]
    pub const fn new(now: Instant, rtt: Duration, in_flight: usize, outcome: LimitOutcome) -> Self {
        Self {
            now,
            rtt,
            in_flight,
            outcome,
        }
    }
}

/// The largest limit of those that adapt, unless another is given: Vector's.
pub const MAX_LIMIT: usize = 200;
