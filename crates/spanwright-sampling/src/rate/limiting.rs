//! A limit on the rate.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{BuildError, Pressure};

use super::adaptive::{check_burst, check_rate, lower_intent};
use super::controller::Goal;
use super::governor::Governor;
use super::handle::RateHandle;
use super::stats::RateStats;
use crate::composable::{ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::intent::Intent;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::ticker::{Tick, Ticker, Waker};

/// Wants everything up to a number per second.
#[derive(Clone, Debug)]
pub struct RateLimiting {
    root: ParentThreshold<Root>,
}

/// Limits traces, or spans, per second.
pub type RateLimitingSampler = CompositeSampler<RateLimiting>;

/// Settings of a [`RateLimiting`], or of a [`RateLimitingSampler`].
#[derive(Debug)]
pub struct RateLimitingBuilder<S = RateLimiting> {
    limit: f64,
    unit: Unit,
    max_burst: Option<f64>,
    pressure: Pressure,
    delegate: Option<Arc<dyn ComposableSampler>>,
    builds: PhantomData<fn() -> S>,
}

#[derive(Clone, Debug)]
struct Root {
    governor: Arc<Governor>,
    unit: Unit,
    delegate: Option<Arc<dyn ComposableSampler>>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unit {
    Spans,
    Traces,
}

/// What may be made up for, in seconds of the limit: as a bucket that holds one second's tokens.
const MAX_CREDIT: f64 = 1.0;

macro_rules! constructors {
    ($builder:ty) => {
        /// At most so many traces per second.
        #[must_use]
        pub fn traces_per_second(limit: f64) -> $builder {
            RateLimitingBuilder::new(limit, Unit::Traces)
        }

        /// At most so many spans per second, in whole traces.
        #[must_use]
        pub fn spans_per_second(limit: f64) -> $builder {
            RateLimitingBuilder::new(limit, Unit::Spans)
        }
    };
}

impl RateLimiting {
    constructors!(RateLimitingBuilder);

    /// Changes the limit and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        RateHandle::new(Arc::clone(self.governor()))
    }

    /// What was counted and found so far.
    #[must_use]
    pub fn stats(&self) -> RateStats {
        self.governor().stats()
    }

    /// It is `now`. For who builds without [`spawn`](RateLimitingBuilder::spawn): about every [`Ticker::INTERVAL`].
    pub fn tick(&self, now: Instant) {
        self.governor().tick(now);
    }

    /// Whether a burst, or a new limit, asks for a tick ahead of time.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.governor().wants_tick()
    }

    fn governor(&self) -> &Arc<Governor> {
        &self.root.root().governor
    }
}

impl RateLimitingSampler {
    constructors!(RateLimitingBuilder<Self>);

    /// Changes the limit and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        self.composable().handle()
    }

    /// It is `now`. For who builds without [`spawn`](RateLimitingBuilder::spawn): about every [`Ticker::INTERVAL`].
    pub fn tick(&self, now: Instant) {
        self.composable().tick(now);
    }

    /// Whether a burst, or a new limit, asks for a tick ahead of time.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.composable().wants_tick()
    }
}

impl<S: From<RateLimiting>> RateLimitingBuilder<S> {
    fn new(limit: f64, unit: Unit) -> Self {
        Self {
            limit,
            unit,
            max_burst: None,
            pressure: Pressure::new(),
            delegate: None,
            builds: PhantomData,
        }
    }

    /// Never more in one second than this many times the limit.
    #[must_use]
    pub fn max_burst(mut self, times: f64) -> Self {
        self.max_burst = Some(times);
        self
    }

    /// Lowers the limit under this pressure.
    #[must_use]
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// Asks another sampler first.
    #[must_use]
    pub fn with_sampler(mut self, delegate: impl ComposableSampler) -> Self {
        self.delegate = Some(Arc::new(delegate));
        self
    }

    /// One that somebody else ticks.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used.
    pub fn build(self) -> Result<S, BuildError> {
        self.build_composable().map(S::from)
    }

    /// One that is ticked by [`Ticker::shared`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and a thread that cannot be started.
    pub fn spawn(self) -> Result<S, BuildError> {
        let limiting = self.build_composable()?;
        Ticker::shared().drive(limiting.governor())?;
        Ok(S::from(limiting))
    }

    fn build_composable(self) -> Result<RateLimiting, BuildError> {
        let field = match self.unit {
            Unit::Spans => "spans_per_second",
            Unit::Traces => "traces_per_second",
        };
        let per_second = Some(check_rate(field, self.limit)?);
        let goal = Goal {
            per_second,
            ratio: None,
            max_burst: check_burst(self.max_burst, per_second)?,
            max_credit: MAX_CREDIT,
        };
        Ok(RateLimiting {
            root: ParentThreshold::new(Root {
                governor: Arc::new(Governor::new(goal, self.delegate.is_some(), self.pressure)),
                unit: self.unit,
                delegate: self.delegate,
            }),
        })
    }
}

impl ComposableSampler for RateLimiting {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let root = self.root.root();
        if let Some(parent) = span
            .parent()
            .filter(|_| root.unit == Unit::Spans && !span.is_rehearsal())
        {
            root.governor.note(parent.is_sampled());
        }
        self.root.sampling_intent(span)
    }

    fn description(&self) -> String {
        self.root.description()
    }
}

impl ComposableSampler for Root {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let intent = self.delegate.as_ref().map(|delegate| delegate.sampling_intent(span));
        lower_intent(&self.governor, intent, span, Reason::RateLimit)
    }

    fn description(&self) -> String {
        let unit = match self.unit {
            Unit::Spans => "spans",
            Unit::Traces => "traces",
        };
        let limit = self.governor.goal().per_second.unwrap_or_default();
        let delegate = self
            .delegate
            .as_ref()
            .map(|delegate| format!(",{}", delegate.description()));
        format!(
            "ComposableRateLimiting{{{limit} {unit}/s{}}}",
            delegate.unwrap_or_default()
        )
    }
}

impl Tick for RateLimiting {
    fn tick(&self, now: Instant) {
        self.governor().tick(now);
    }

    fn attach(&self, waker: Waker) {
        self.governor().attach(waker);
    }
}

impl From<RateLimiting> for RateLimitingSampler {
    fn from(limiting: RateLimiting) -> Self {
        Self::new(limiting)
    }
}
