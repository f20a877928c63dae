//! A limit on the rate.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{BuildError, Pressure};

use super::check;
use super::controller::Goal;
use super::governor::Governor;
use super::handle::RateHandle;
use super::stage::Stage;
use super::stats::RateStats;
use crate::composable::{ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::intent::Intent;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::ticker::{Tick, Ticker, Waker};

/// Wants everything up to a number per second, and of more than that a share.
///
/// A limit is a threshold and never a token bucket: it is lowered and raised with the rate at which traces begin, by the same
/// controller as an [`Adaptive`](crate::Adaptive), and the weights of what is kept stay right. It holds on average: over any ten seconds to 5 % or
/// so, and in a single second as [`Adaptive`](crate::Adaptive) does, since what comes next second is not known. Other than that one it makes up for
/// pauses of no more than a second, as a bucket that holds the tokens of one second.
///
/// Spans with a parent follow it, because a trace is limited where it begins:
///
/// - *Traces per second*: roots are counted and limited.
/// - *Spans per second*: all spans that start are counted, those of dropped traces too, and roots are limited so that the spans
///   of the kept traces, which stay whole, are as many as the limit allows. Spans that others decided to keep take their part of
///   it. A service that only takes part in the traces of others begins none, and has nothing to limit.
///
/// Clones are the same sampler.
///
/// # Cost
///
/// As [`Adaptive`](crate::Adaptive).
///
/// # Source
///
/// The composable rate limiter of OpenTelemetry's Java contributions does the same with an average over five seconds, which keeps
/// twice the limit and more for as long after the traffic has become tenfold.
#[derive(Clone, Debug)]
pub struct RateLimiting {
    root: ParentThreshold<Root>,
}

/// Keeps no more than so many traces, or spans, per second.
///
/// ```
/// use spanwright_sampling::RateLimitingSampler;
///
/// let sampler = RateLimitingSampler::traces_per_second(50.0).spawn()?;
/// // SdkTracerProvider::builder().with_sampler(sampler)
/// # Ok::<(), spanwright_core::BuildError>(())
/// ```
pub type RateLimitingSampler = CompositeSampler<RateLimiting>;

/// Settings of a [`RateLimiting`], or of a [`RateLimitingSampler`].
pub struct RateLimitingBuilder<S = RateLimiting> {
    limit: f64,
    unit: Unit,
    max_burst: Option<f64>,
    pressure: Pressure,
    delegate: Option<Arc<dyn ComposableSampler>>,
    builds: PhantomData<fn() -> S>,
}

/// What decides for a span without a parent.
#[derive(Clone, Debug)]
struct Root {
    stage: Stage,
    unit: Unit,
}

/// What is limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unit {
    Spans,
    Traces,
}

/// What is made up for, in seconds of the limit.
const MAX_CREDIT: f64 = 1.0;

macro_rules! constructors {
    ($builder:ty) => {
        /// At most so many traces per second. Any finite number above 0.
        #[must_use]
        pub fn traces_per_second(limit: f64) -> $builder {
            RateLimitingBuilder::new(limit, Unit::Traces)
        }

        /// At most so many spans per second, in whole traces. Any finite number above 0.
        #[must_use]
        pub fn spans_per_second(limit: f64) -> $builder {
            RateLimitingBuilder::new(limit, Unit::Spans)
        }
    };
}

impl RateLimiting {
    constructors!(RateLimitingBuilder);

    /// What changes the limit and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        RateHandle::new(Arc::clone(self.governor()))
    }

    /// What was counted and found so far.
    #[must_use]
    pub fn stats(&self) -> RateStats {
        self.governor().stats()
    }

    /// It is `now`: to be called every [`Ticker::INTERVAL`] or so, unless it was made by [`spawn`](RateLimitingBuilder::spawn).
    ///
    /// Ticks may come late, early, or without time between them.
    pub fn tick(&self, now: Instant) {
        self.governor().tick(now);
    }

    /// Whether a burst, or a new limit, asks for a tick ahead of time.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.governor().wants_tick()
    }

    fn governor(&self) -> &Arc<Governor> {
        &self.root.root().stage.governor
    }
}

impl RateLimitingSampler {
    constructors!(RateLimitingBuilder<Self>);

    /// What changes the limit and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        self.composable().handle()
    }

    /// [`RateLimiting::tick`].
    pub fn tick(&self, now: Instant) {
        self.composable().tick(now);
    }

    /// [`RateLimiting::wants_tick`].
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

    /// A hard ceiling, in multiples of the limit: [`AdaptiveBuilder::max_burst`](crate::AdaptiveBuilder::max_burst). Default: none.
    /// From 1.
    #[must_use]
    pub fn max_burst(mut self, times: f64) -> Self {
        self.max_burst = Some(times);
        self
    }

    /// Lowers the limit under this pressure: [`AdaptiveBuilder::with_pressure`](crate::AdaptiveBuilder::with_pressure). Default:
    /// no pressure.
    #[must_use]
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// Asks another sampler first: [`AdaptiveBuilder::with_sampler`](crate::AdaptiveBuilder::with_sampler). Default: everything is
    /// wanted.
    #[must_use]
    pub fn with_sampler(mut self, delegate: impl ComposableSampler) -> Self {
        self.delegate = Some(Arc::new(delegate));
        self
    }

    /// One that somebody else [ticks](RateLimiting::tick). Until the first two ticks it takes the rate to be 1000 per second.
    ///
    /// # Errors
    ///
    /// A setting outside of its range.
    pub fn build(self) -> Result<S, BuildError> {
        self.build_composable().map(S::from)
    }

    /// One that is ticked by [`Ticker::shared`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), or a thread that cannot be started.
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
        let per_second = check::rate(field, Some(self.limit))?;
        let goal = Goal {
            per_second,
            ratio: None,
            max_burst: check::burst(self.max_burst, per_second)?,
            max_credit: MAX_CREDIT,
        };
        let governor = Governor::new(goal, self.delegate.is_some(), self.pressure);
        Ok(RateLimiting {
            root: ParentThreshold::new(Root {
                stage: Stage::new(governor, self.delegate, Reason::RateLimit),
                unit: self.unit,
            }),
        })
    }
}

impl ComposableSampler for RateLimiting {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        if let Some(parent) = span.parent()
            && self.root.root().unit == Unit::Spans
            && !span.is_rehearsal()
        {
            self.governor().note_follower(parent.is_sampled());
        }
        self.root.sampling_intent(span)
    }

    fn description(&self) -> String {
        self.root.root().description()
    }
}

impl ComposableSampler for Root {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        self.stage.intent(span)
    }

    fn description(&self) -> String {
        let unit = match self.unit {
            Unit::Spans => "spans",
            Unit::Traces => "traces",
        };
        let limit = self.stage.governor.goal().per_second.unwrap_or_default();
        self.stage
            .description("ComposableRateLimiting", &format!("{limit} {unit}/s"))
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

impl<S> fmt::Debug for RateLimitingBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitingBuilder")
            .field("limit", &self.limit)
            .field("unit", &self.unit)
            .field("max_burst", &self.max_burst)
            .field("pressure", &self.pressure)
            .field("delegate", &self.delegate)
            .finish()
    }
}
