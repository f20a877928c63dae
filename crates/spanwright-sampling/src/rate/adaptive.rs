//! A target that is held.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{BuildError, Pressure};

use super::controller::Goal;
use super::governor::Governor;
use super::handle::RateHandle;
use super::stats::RateStats;
use crate::composable::{ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::ticker::{Tick, Ticker, Waker};

/// Wants so many spans per second, or a share of them, whatever is offered.
#[derive(Clone, Debug)]
pub struct Adaptive {
    governor: Arc<Governor>,
    delegate: Option<Arc<dyn ComposableSampler>>,
}

/// Holds a number of traces per second, or a share of them; spans with a parent follow it.
pub type AdaptiveSampler = CompositeSampler<ParentThreshold<Adaptive>>;

/// Settings of an [`Adaptive`], or of an [`AdaptiveSampler`].
#[derive(Debug)]
pub struct AdaptiveBuilder<S = Adaptive> {
    per_second: Option<f64>,
    ratio: Option<f64>,
    max_per_second: Option<f64>,
    max_burst: Option<f64>,
    pressure: Pressure,
    delegate: Option<Arc<dyn ComposableSampler>>,
    builds: PhantomData<fn() -> S>,
}

/// How much of what was missed is made up for, in seconds of the target.
const MAX_CREDIT: f64 = 2.0;

impl Adaptive {
    /// A target must be set.
    #[must_use]
    pub fn builder() -> AdaptiveBuilder {
        AdaptiveBuilder::new()
    }

    /// Changes the target and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        RateHandle::new(Arc::clone(&self.governor))
    }

    /// What was counted and found so far.
    #[must_use]
    pub fn stats(&self) -> RateStats {
        self.governor.stats()
    }

    /// It is `now`. For who builds without [`spawn`](AdaptiveBuilder::spawn): about every [`Ticker::INTERVAL`].
    pub fn tick(&self, now: Instant) {
        self.governor.tick(now);
    }

    /// Whether a burst, or a new target, asks for a tick ahead of time.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.governor.wants_tick()
    }
}

impl AdaptiveSampler {
    /// A target must be set.
    #[must_use]
    pub fn builder() -> AdaptiveBuilder<Self> {
        AdaptiveBuilder::new()
    }

    /// Changes the target and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        self.composable().root().handle()
    }

    /// It is `now`. For who builds without [`spawn`](AdaptiveBuilder::spawn): about every [`Ticker::INTERVAL`].
    pub fn tick(&self, now: Instant) {
        self.composable().root().tick(now);
    }

    /// Whether a burst, or a new target, asks for a tick ahead of time.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.composable().root().wants_tick()
    }
}

impl<S: From<Adaptive>> AdaptiveBuilder<S> {
    fn new() -> Self {
        Self {
            per_second: None,
            ratio: None,
            max_per_second: None,
            max_burst: None,
            pressure: Pressure::new(),
            delegate: None,
            builds: PhantomData,
        }
    }

    /// So many kept per second.
    #[must_use]
    pub fn target_per_second(mut self, target: f64) -> Self {
        self.per_second = Some(target);
        self
    }

    /// This share of what is offered.
    #[must_use]
    pub fn target_ratio(mut self, ratio: f64) -> Self {
        self.ratio = Some(ratio);
        self
    }

    /// With a target share: at most so many per second.
    #[must_use]
    pub fn max_per_second(mut self, max: f64) -> Self {
        self.max_per_second = Some(max);
        self
    }

    /// Never more in one second than this many times the target per second.
    #[must_use]
    pub fn max_burst(mut self, times: f64) -> Self {
        self.max_burst = Some(times);
        self
    }

    /// Lowers the target under this pressure.
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
        let adaptive = self.build_composable()?;
        Ticker::shared().drive(&adaptive.governor)?;
        Ok(S::from(adaptive))
    }

    fn build_composable(self) -> Result<Adaptive, BuildError> {
        let accepted = "either a target per second or a target share";
        let per_second = match (self.per_second, self.ratio) {
            (None, None) => return Err(BuildError::new("target_per_second", "unset", accepted)),
            (Some(target), None) => Some(check_rate("target_per_second", target)?),
            (Some(target), Some(_)) => return Err(BuildError::new("target_per_second", target, accepted)),
            (None, Some(_)) => None,
        };
        let ratio = self.ratio.map(|ratio| check_ratio("target_ratio", ratio)).transpose()?;
        let max = self
            .max_per_second
            .map(|max| check_rate("max_per_second", max))
            .transpose()?;
        if let (Some(max), Some(_)) = (max, per_second) {
            return Err(BuildError::new(
                "max_per_second",
                max,
                "nothing beside a target per second",
            ));
        }
        let per_second = per_second.or(max);
        let max_burst = check_burst(self.max_burst, per_second)?;
        let goal = Goal {
            per_second,
            ratio,
            max_burst,
            max_credit: MAX_CREDIT,
        };
        Ok(Adaptive {
            governor: Arc::new(Governor::new(goal, self.delegate.is_some(), self.pressure)),
            delegate: self.delegate,
        })
    }
}

impl ComposableSampler for Adaptive {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let intent = self.delegate.as_ref().map(|delegate| delegate.sampling_intent(span));
        lower_intent(&self.governor, intent, span, Reason::Adaptive)
    }

    fn description(&self) -> String {
        let goal = self.governor.goal();
        let mut parts = Vec::new();
        parts.extend(goal.per_second.map(|target| format!("{target}/s")));
        parts.extend(goal.ratio.map(|ratio| format!("ratio={ratio}")));
        parts.extend(self.delegate.as_ref().map(|delegate| delegate.description()));
        format!("ComposableAdaptive{{{}}}", parts.join(","))
    }
}

impl Tick for Adaptive {
    fn tick(&self, now: Instant) {
        self.governor.tick(now);
    }

    fn attach(&self, waker: Waker) {
        self.governor.attach(waker);
    }
}

impl From<Adaptive> for AdaptiveSampler {
    fn from(adaptive: Adaptive) -> Self {
        Self::new(ParentThreshold::new(adaptive))
    }
}

/// What the delegate wants (everything, if there is none) at the share that the governor keeps.
pub(super) fn lower_intent<'a>(
    governor: &Governor,
    intent: Option<Intent<'a>>,
    span: &StartingSpan<'a>,
    reason: Reason,
) -> Intent<'a> {
    let wanted = intent.as_ref().map_or(Some(Threshold::ALWAYS), Intent::threshold);
    let Some(wanted) = wanted else {
        if !span.is_rehearsal() {
            governor.note(false);
        }
        return intent.unwrap_or(Intent::drop(reason));
    };
    let threshold = if span.is_rehearsal() {
        governor.rehearse(wanted)
    } else {
        governor.decide(wanted)
    };
    span.explain(|| match threshold {
        Some(threshold) => format!("{reason}: wants a share of {}", threshold.probability()),
        None => format!("{reason}: the hard ceiling of this second is reached"),
    });
    let reason = if threshold.is_some() { reason } else { Reason::Burst };
    match intent {
        None => threshold.map_or(Intent::drop(reason), |threshold| Intent::keep_at(threshold, reason)),
        Some(intent) => intent.with_threshold(threshold, reason),
    }
}

pub(super) fn check_rate(field: &'static str, rate: f64) -> Result<f64, BuildError> {
    if rate.is_finite() && rate > 0.0 {
        return Ok(rate);
    }
    Err(BuildError::new(field, rate, "a finite number above 0"))
}

pub(super) fn check_ratio(field: &'static str, ratio: f64) -> Result<f64, BuildError> {
    if ratio > 0.0 && ratio <= 1.0 {
        return Ok(ratio);
    }
    Err(BuildError::new(field, ratio, "above 0, up to 1"))
}

pub(super) fn check_burst(max_burst: Option<f64>, per_second: Option<f64>) -> Result<Option<f64>, BuildError> {
    let Some(times) = max_burst else { return Ok(None) };
    if per_second.is_none() {
        return Err(BuildError::new("max_burst", times, "nothing without a rate per second"));
    }
    if times.is_finite() && times >= 1.0 {
        return Ok(max_burst);
    }
    Err(BuildError::new("max_burst", times, "a finite number, 1 or more"))
}
