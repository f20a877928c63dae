//! A target that is held.

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

/// Wants so many spans per second, or a share of them, whatever is offered.
///
/// It holds a *target*: the sum of the probabilities with which spans are kept, per second. It sets one threshold for all and
/// changes it as the traffic changes, so that a kept span stands for exactly `1 / p` spans, and every count that is made of what
/// was kept is right on average, also in the middle of a burst. (A token bucket keeps the first and drops the rest, after which
/// nobody can tell how many there were.)
///
/// ```text
/// p = min(1, ratio * ease, target * ease * (1 + correction) / rate)
///
/// rate         of the spans it is asked about: over the last 5 to 60 s, or since it changed, as found at each tick
/// correction   what is missing or too much so far, made up for within 1.5 s, -1/2 to 1/2
/// ease         1 - pressure
/// ```
///
/// # How well it holds
///
/// For offered rates of 10 per second and more, ticks every 100 ms and one ahead of time within a burst, the suite
/// `control_loop` holds, from a cold start:
///
/// - the mean over a minute is within 3 % of the target: for constant traffic, steps, flashes, sines, flips, clumps of 20 and 200,
///   and traffic that is on and off each second;
/// - each second is within 15 % from two seconds after a step on, where a thousand or more are offered in it (of fewer, chance
///   alone brings more or less than that);
/// - the second in which traffic becomes a hundredfold keeps no more than 1.5 times the target.
///
/// It cannot know what comes. Where spans come in clumps of 200, five clumps a second on average, single seconds keep up to 3.5
/// times the target, because a dozen came. Where one span is offered each second, the last of a minute brings 2 % of it, and the
/// mean is within 10 %. And whether a pause ends the traffic or belongs to it shows only later: the first one is not made up for.
/// [`max_burst`](AdaptiveBuilder::max_burst) is a hard ceiling for who needs one.
///
/// # Under rules
///
/// Every span that it is asked about counts as offered. Under a [`ParentThreshold`], as in [`AdaptiveSampler`], these are the
/// roots. Clones are the same sampler.
///
/// # Cost
///
/// A decision: one relaxed load, two additions and a comparison in a cache line of the thread's own. No lock, no clock, no
/// allocation. A tick: some microseconds, ten times a second. Memory: 10 KiB.
///
/// # Source
///
/// `History` and `Controller` in this crate's sources. Others hold such a target by feedback (dynsampler, Jaeger) or by an average
/// over seconds (java-contrib); simulated, they keep fifteen to a hundred times the target in the second of a flash.
#[derive(Clone, Debug)]
pub struct Adaptive {
    stage: Stage,
}

/// Holds a number of traces per second, or a share of them; spans with a parent follow it.
///
/// ```
/// use spanwright_sampling::AdaptiveSampler;
///
/// let sampler = AdaptiveSampler::builder().target_per_second(100.0).spawn()?;
/// let target = sampler.handle();
/// // SdkTracerProvider::builder().with_sampler(sampler)
///
/// target.set_target_per_second(20.0)?; // from another thread, whenever it is due
/// assert_eq!(target.stats().offered, 0);
/// # Ok::<(), spanwright_core::BuildError>(())
/// ```
pub type AdaptiveSampler = CompositeSampler<ParentThreshold<Adaptive>>;

/// Settings of an [`Adaptive`], or of an [`AdaptiveSampler`].
pub struct AdaptiveBuilder<S = Adaptive> {
    target_per_second: Option<f64>,
    target_ratio: Option<f64>,
    max_per_second: Option<f64>,
    max_burst: Option<f64>,
    pressure: Pressure,
    delegate: Option<Arc<dyn ComposableSampler>>,
    builds: PhantomData<fn() -> S>,
}

/// How much of what was missed is made up for, in seconds of the target. It must be more than a pause of the traffic that is to
/// be averaged over, and not so much that a restart becomes a burst.
const MAX_CREDIT: f64 = 2.0;

impl Adaptive {
    /// Either a target per second or a target share must be set.
    #[must_use]
    pub fn builder() -> AdaptiveBuilder {
        AdaptiveBuilder::new()
    }

    /// What changes the target and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        RateHandle::new(Arc::clone(&self.stage.governor))
    }

    /// What was counted and found so far.
    #[must_use]
    pub fn stats(&self) -> RateStats {
        self.stage.governor.stats()
    }

    /// It is `now`: to be called every [`Ticker::INTERVAL`] or so, unless it was made by [`spawn`](AdaptiveBuilder::spawn).
    ///
    /// Ticks may come late, early, or without time between them.
    pub fn tick(&self, now: Instant) {
        self.stage.governor.tick(now);
    }

    /// Whether a burst, or a new target, asks for a tick ahead of time. Until it comes, a burst is met by halving the probability
    /// each time that what came has doubled.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.stage.governor.wants_tick()
    }
}

impl AdaptiveSampler {
    /// Either a target per second or a target share must be set.
    #[must_use]
    pub fn builder() -> AdaptiveBuilder<Self> {
        AdaptiveBuilder::new()
    }

    /// What changes the target and reads the figures.
    #[must_use]
    pub fn handle(&self) -> RateHandle {
        self.composable().root().handle()
    }

    /// [`Adaptive::tick`].
    pub fn tick(&self, now: Instant) {
        self.composable().root().tick(now);
    }

    /// [`Adaptive::wants_tick`].
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.composable().root().wants_tick()
    }
}

impl<S: From<Adaptive>> AdaptiveBuilder<S> {
    fn new() -> Self {
        Self {
            target_per_second: None,
            target_ratio: None,
            max_per_second: None,
            max_burst: None,
            pressure: Pressure::new(),
            delegate: None,
            builds: PhantomData,
        }
    }

    /// How many to keep per second; everything, where fewer are offered. No default. Any finite number above 0.
    #[must_use]
    pub fn target_per_second(mut self, target: f64) -> Self {
        self.target_per_second = Some(target);
        self
    }

    /// Which share to keep of all that is offered, instead of a number per second. No default. Above 0, up to 1.
    ///
    /// Without a delegate this is a fixed probability, which needs no correction: what is kept is this share by construction. With
    /// one, what the delegate leaves is kept at a probability that makes it this share, as far as that is enough.
    #[must_use]
    pub fn target_ratio(mut self, ratio: f64) -> Self {
        self.target_ratio = Some(ratio);
        self
    }

    /// With a target share: how many to keep per second at most. Default: no limit. Any finite number above 0.
    #[must_use]
    pub fn max_per_second(mut self, max: f64) -> Self {
        self.max_per_second = Some(max);
        self
    }

    /// A hard ceiling: in no second more than this many times the target per second is expected to be kept. Default: none, because
    /// it costs weights. From 1.
    ///
    /// What comes when it is reached is dropped without a threshold ([`Reason::Burst`], [`RateStats::limited`]), until a second
    /// has passed since enough of what was kept. What was kept before has the right weight for what came before, but nothing
    /// stands for what was dropped: counts that are made of the kept are too low by it. It is held on the sum of probabilities,
    /// to a few spans; what is kept differs from that by chance.
    #[must_use]
    pub fn max_burst(mut self, times: f64) -> Self {
        self.max_burst = Some(times);
        self
    }

    /// Makes less under this pressure, before anything must be dropped. Default: no pressure.
    ///
    /// The target (per second, and share) is multiplied by `1 - pressure`, from the next tick on, and never by less than 0.01.
    /// When the pressure goes, the target comes back by half of the way each second. Weights stay right.
    #[must_use]
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// Asks another sampler first, and keeps a share of what that wants. Default: everything is wanted.
    ///
    /// Its probabilities keep their proportions: `p = p_delegate * target / rate`, the rate being the sum of `p_delegate` per
    /// second. What it drops stays dropped.
    #[must_use]
    pub fn with_sampler(mut self, delegate: impl ComposableSampler) -> Self {
        self.delegate = Some(Arc::new(delegate));
        self
    }

    /// One that somebody else [ticks](Adaptive::tick). Until the first two ticks it takes the rate to be 1000 per second.
    ///
    /// # Errors
    ///
    /// A setting outside of its range; no target, or two; a limit that limits nothing.
    pub fn build(self) -> Result<S, BuildError> {
        self.build_composable().map(S::from)
    }

    /// One that is ticked by [`Ticker::shared`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), or a thread that cannot be started.
    pub fn spawn(self) -> Result<S, BuildError> {
        let adaptive = self.build_composable()?;
        Ticker::shared().drive(&adaptive.stage.governor)?;
        Ok(S::from(adaptive))
    }

    fn build_composable(self) -> Result<Adaptive, BuildError> {
        let goal = self.goal()?;
        let governor = Governor::new(goal, self.delegate.is_some(), self.pressure);
        Ok(Adaptive {
            stage: Stage::new(governor, self.delegate, Reason::Adaptive),
        })
    }

    fn goal(&self) -> Result<Goal, BuildError> {
        let target = check::rate("target_per_second", self.target_per_second)?;
        let ratio = check::ratio("target_ratio", self.target_ratio)?;
        let max = check::rate("max_per_second", self.max_per_second)?;
        if target.is_some() == ratio.is_some() {
            let value = target.map_or("none".to_owned(), |target| target.to_string());
            let accepted = "a number, if there is no target ratio";
            return Err(BuildError::new("target_per_second", value, accepted));
        }
        if let (Some(_), Some(max)) = (target, max) {
            return Err(BuildError::new("max_per_second", max, "a number beside a target ratio"));
        }
        let per_second = target.or(max);
        Ok(Goal {
            per_second,
            ratio,
            max_burst: check::burst(self.max_burst, per_second)?,
            max_credit: MAX_CREDIT,
        })
    }
}

impl ComposableSampler for Adaptive {
    #[inline(always)]
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        self.stage.intent(span)
    }

    fn description(&self) -> String {
        let goal = self.stage.governor.goal();
        let ratio = goal.ratio.map(|ratio| format!("ratio={ratio}"));
        let per_second = goal.per_second.map(|target| format!("{target}/s"));
        let parts: Vec<_> = ratio.into_iter().chain(per_second).collect();
        self.stage.description("ComposableAdaptive", &parts.join(","))
    }
}

impl Tick for Adaptive {
    fn tick(&self, now: Instant) {
        self.stage.governor.tick(now);
    }

    fn attach(&self, waker: Waker) {
        self.stage.governor.attach(waker);
    }
}

impl From<Adaptive> for AdaptiveSampler {
    fn from(adaptive: Adaptive) -> Self {
        Self::new(ParentThreshold::new(adaptive))
    }
}

impl<S> fmt::Debug for AdaptiveBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveBuilder")
            .field("target_per_second", &self.target_per_second)
            .field("target_ratio", &self.target_ratio)
            .field("max_per_second", &self.max_per_second)
            .field("max_burst", &self.max_burst)
            .field("pressure", &self.pressure)
            .field("delegate", &self.delegate)
            .finish()
    }
}
