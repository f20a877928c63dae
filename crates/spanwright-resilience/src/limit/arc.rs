//! Adaptive request concurrency.
//!
//! # Source
//!
//! Vector, [Adaptive Request Concurrency](https://vector.dev/blog/adaptive-request-concurrency/), with its steps and deviations.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use spanwright_core::BuildError;

use super::round_trips::RoundTrips;
use super::{Limit, LimitOutcome, LimitSample, MAX_LIMIT};

/// One more per round trip while round trips are as short as they can be and the limit is in use; a tenth fewer when they grow
/// beyond that and what chance may add, or the receiver says that it is too much.
///
/// Vector compares with an average of the past, which a queue of our own making raises: after the receiver's capacity halves, it
/// settles at a limit of 1.6 times what the receiver takes (simulated, `limit/tests.rs`). Here the measure are round trips without a
/// queue: those under fewer requests than seven tenths of a limit that has been found harmless since. Mean and spread are theirs, so
/// that a queue of ours is never taken for chance; and chance, as of a receiver that takes now a half and now twice the time, is
/// never taken for a queue. Where a limit that was cut by a third has made round trips no shorter, the way has become longer.
///
/// # How well it holds
///
/// In the suite `limit/tests.rs`, by simulation: a receiver whose capacity halves is met within 1.2 times what is left of it, and
/// one with 32 places whose every answer takes its own time, be it exponentially distributed, is used to nine tenths and more, by
/// a limit below twice its capacity.
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrency {
    limit: usize,
    max: usize,
    /// Round trips without a queue.
    base: RoundTrips,
    /// The last intervals of which it is not certain yet whether there was one, oldest first.
    recent: VecDeque<Interval>,
    /// What was seen since the last step.
    now: Interval,
    next_step: Option<Instant>,
    retreat: Option<Retreat>,
    /// The limit that was too much when it shrank last.
    too_much: Option<usize>,
    /// Until then, what ends was mostly sent under a larger limit.
    settled: Option<Instant>,
}

/// Between two steps.
#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    round_trips: RoundTrips,
    /// The limit at its end.
    limit: usize,
    most_in_flight: usize,
    was_overloaded: bool,
}

/// A limit that shrinks.
#[derive(Clone, Copy, Debug)]
struct Retreat {
    /// What it was before.
    limit: usize,
    /// The limit and the round trip that a much smaller limit is compared with.
    reference: Option<(usize, f64)>,
}

/// Until there are so many round trips nothing is compared with them.
const FIRST: f64 = 100.0;
/// And the limit does not grow beyond this.
const FIRST_LIMIT: usize = 4;
/// Intervals that are compared as one.
const RECENT: usize = 16;
/// So many standard deviations of the mean above the base are no accident.
const DEVIATIONS: f64 = 2.5;
/// Growing goes on up to this much above the base: a queue of one in twenty keeps the receiver busy.
const GROWS_BELOW: f64 = 1.05;
/// And what is above this is a queue that costs time and brings nothing.
const SHRINKS_ABOVE: f64 = 1.1;
const DECREASE: f64 = 0.9;
/// For so many intervals nothing must speak against a limit before one is tried that was too much: what waits for each other ends
/// together, and an interval may show nothing of a queue that the next one shows.
const PATIENCE: usize = 3;
/// So many times what was too much it is so no longer.
const BY_FAR: f64 = 1.2;
/// Below this share of a limit that makes no queue there is none.
const UNQUEUED: f64 = 0.7;
/// Of a retreat that did not help.
const FUTILE: f64 = 0.7;
/// A retreat helps if round trips are shorter than this share: between that of a queue, which is as short as the limit, and 1.
const HELPED: f64 = 0.85;

impl AdaptiveConcurrency {
    /// From 1 up to `max`, 1 and more.
    ///
    /// # Errors
    ///
    /// 0.
    pub fn new(max: usize) -> Result<Self, BuildError> {
        Ok(Self {
            max: BuildError::check_range("limit.max", max, 1..=usize::MAX)?,
            ..Self::default()
        })
    }

    /// Begins with this many, at least 1 and at most the largest. Default: 1, as Vector does; where a burst may come first, some more
    /// save the time in which the limit grows by one in each round trip. Not more than the receiver takes at once: a queue in the first
    /// hundred round trips passes for the way.
    #[must_use]
    pub fn starting_at(self, limit: usize) -> Self {
        Self {
            limit: limit.clamp(1, self.max),
            ..self
        }
    }

    /// A round trip without a queue on average, once there was one.
    #[must_use]
    pub fn base_rtt(&self) -> Option<Duration> {
        self.base.mean_duration()
    }

    /// Returns how long round trips take now, if there were any.
    fn step(&mut self) -> Option<Duration> {
        let interval = Interval {
            limit: self.limit,
            ..std::mem::take(&mut self.now)
        };
        if interval.was_overloaded {
            self.shrink();
        } else if self.base.count() < FIRST {
            self.base.learn(interval.round_trips);
            if interval.most_in_flight >= self.limit && self.limit < FIRST_LIMIT {
                self.grow();
            }
        } else if self.is_unqueued(&interval) {
            self.base.learn(interval.round_trips);
            // One alone is the whole limit, and waits for nobody.
            if interval.most_in_flight >= self.limit {
                self.grow();
            }
        } else {
            self.compare(interval);
        }
        interval.round_trips.mean_duration()
    }

    fn compare(&mut self, interval: Interval) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(interval);
        let steady = self.recent.iter().rev().take_while(|recent| recent.limit == self.limit);
        let steady = steady.count();
        let sum = |intervals: usize| {
            let last = self.recent.iter().rev().take(intervals);
            last.fold(RoundTrips::default(), |sum, interval| sum.and(interval.round_trips))
        };
        let (current, here, all) = (interval.round_trips, sum(steady), sum(RECENT));
        let base = self.base.mean();
        let exceeds = |factor: f64, deviations: f64| {
            let bound = |of: &RoundTrips| base * factor + deviations * self.base.error_of_mean(of);
            [current, here, all].iter().any(|of| of.mean() > bound(of))
        };
        if exceeds(SHRINKS_ABOVE, DEVIATIONS) {
            return self.retreat_from(current);
        }
        let was_too_much = self.too_much.is_some_and(|limit| self.limit + 1 >= limit);
        let is_patient = !was_too_much || steady >= PATIENCE;
        let reaches_limit = interval.most_in_flight >= self.limit;
        let may_grow = reaches_limit && is_patient && !exceeds(GROWS_BELOW, DEVIATIONS / 2.0);
        self.retreat = None;
        if all.mean() < base / SHRINKS_ABOVE - DEVIATIONS * self.base.error_of_mean(&all) {
            // The way has become shorter.
            self.base = all;
            self.recent.clear();
        } else if may_grow {
            self.grow();
        }
    }

    fn is_unqueued(&self, interval: &Interval) -> bool {
        interval.most_in_flight == 1 || (interval.most_in_flight as f64) < self.limit as f64 * UNQUEUED
    }

    fn grow(&mut self) {
        self.limit = (self.limit + 1).min(self.max);
        self.too_much = self
            .too_much
            .filter(|limit| self.limit as f64 <= *limit as f64 * BY_FAR);
        while let Some(oldest) = self.recent.front().filter(|oldest| self.is_unqueued(oldest)) {
            self.base.learn(oldest.round_trips);
            self.recent.pop_front();
        }
    }

    fn retreat_from(&mut self, current: RoundTrips) {
        let limit = self.limit;
        let Some(retreat) = &mut self.retreat else {
            self.retreat = Some(Retreat { limit, reference: None });
            return self.shrink();
        };
        // A few alone say nothing about all.
        if current.count() * 2.0 >= limit as f64 {
            let rtt = current.mean();
            match retreat.reference {
                // It takes a while until all that a queue does is seen.
                Some((_, reference)) if rtt > reference * SHRINKS_ABOVE => retreat.reference = Some((limit, rtt)),
                Some((reference, _)) if limit as f64 > reference as f64 * FUTILE => {}
                // A queue of ours would have become shorter as the limit did.
                Some((_, reference)) if rtt >= reference * HELPED => {
                    self.limit = retreat.limit;
                    (self.retreat, self.too_much) = (None, None);
                    self.base = RoundTrips::default();
                    return self.recent.clear();
                }
                _ => retreat.reference = Some((limit, rtt)),
            }
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        self.too_much = Some(self.limit);
        self.limit = ((self.limit as f64 * DECREASE) as usize).max(1);
        self.recent.clear();
    }
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self {
            limit: 1,
            max: MAX_LIMIT,
            base: RoundTrips::default(),
            recent: VecDeque::new(),
            now: Interval::default(),
            next_step: None,
            retreat: None,
            too_much: None,
            settled: None,
        }
    }
}

impl Limit for AdaptiveConcurrency {
    fn limit(&self) -> usize {
        self.limit
    }

    fn on_sample(&mut self, sample: &LimitSample) {
        self.now.most_in_flight = self.now.most_in_flight.max(sample.in_flight);
        match sample.outcome {
            LimitOutcome::Ignore => return,
            _ if self.settled.is_some_and(|settled| sample.now < settled) => return,
            LimitOutcome::Overload => self.now.was_overloaded = true,
            LimitOutcome::Success => self.now.round_trips.add(sample.rtt),
        }
        // Once per round trip: what a step does is seen one round trip later.
        if sample.now >= *self.next_step.get_or_insert(sample.now) {
            let before = self.limit;
            let round_trip = self.step().max(self.base_rtt()).unwrap_or(sample.rtt);
            self.settled = (self.limit < before).then(|| sample.now + round_trip);
            self.next_step = Some(self.settled.unwrap_or(sample.now) + round_trip);
        }
    }
}
