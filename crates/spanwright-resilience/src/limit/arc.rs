//! Adaptive request concurrency.
//!
//! # Source
//!
//! Vector, [Adaptive Request Concurrency](https://vector.dev/blog/adaptive-request-concurrency/), with its constants.

use std::time::{Duration, Instant};

use spanwright_core::BuildError;

use super::{Limit, LimitOutcome, LimitSample, MAX_LIMIT};

/// One more per round trip while round trips are as short as they can be and the limit is in use; a tenth fewer when they grow
/// beyond that and their usual spread, or the receiver says that it is too much.
///
/// Vector compares with an average of the past, which a queue of our own making raises: after the receiver's capacity halves, it
/// settles at a limit of 1.6 times what the receiver takes (simulated, `limit/tests.rs`). Here the measure is the round trip without a
/// queue. It falls with every shorter one, and rises only where the queue cannot be ours: while the limit is not in use, or when
/// a limit that was cut by a third has made round trips no shorter.
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrency {
    limit: usize,
    max: usize,
    /// Seconds of a round trip without a queue.
    base: Option<f64>,
    /// The variance of one round trip within an interval.
    variance: f64,
    /// What was seen since the last step.
    now: Interval,
    next_step: Option<Instant>,
    retreat: Option<Retreat>,
    /// When the limit shrank last: requests from before that were under way under the larger one.
    shrunk: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    sum: f64,
    squares: f64,
    samples: u32,
    most_in_flight: usize,
    was_overloaded: bool,
}

/// A limit that shrinks.
#[derive(Clone, Copy, Debug)]
struct Retreat {
    /// What it was before.
    limit: usize,
    /// The limit and the round trip after the first step, when what had been sent under the old limit was gone.
    reference: Option<(usize, f64)>,
}

/// How much an interval's spread weighs, and a shorter round trip.
const ALPHA: f64 = 0.4;
/// So many standard deviations of the mean above the base are no accident.
const DEVIATIONS: f64 = 2.5;
/// Growing goes on up to this much above the base: a queue of one in twenty keeps the receiver busy.
const GROWS_BELOW: f64 = 1.05;
/// And what is above this is a queue that costs time and brings nothing.
const SHRINKS_ABOVE: f64 = 1.1;
const DECREASE: f64 = 0.9;
/// Below this share of the limit there is no queue of ours.
const IN_USE: f64 = 0.7;
/// Of a retreat that did not help.
const FUTILE: f64 = 0.7;

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
    /// save the time in which the limit grows by one in each round trip.
    #[must_use]
    pub fn starting_at(self, limit: usize) -> Self {
        Self {
            limit: limit.clamp(1, self.max),
            ..self
        }
    }

    /// A round trip without a queue, once there was one.
    #[must_use]
    pub fn base_rtt(&self) -> Option<Duration> {
        self.base.map(Duration::from_secs_f64)
    }

    fn step(&mut self) {
        let interval = std::mem::take(&mut self.now);
        let Some(current) = interval.mean() else {
            if interval.was_overloaded {
                self.shrink();
            }
            return;
        };
        let noise = self.noise(&interval, current);
        let base = *self.base.get_or_insert(current);
        if interval.was_overloaded {
            self.shrink();
        } else if current > base * SHRINKS_ABOVE + noise {
            self.retreat_from(current);
        } else {
            self.retreat = None;
            let reaches_limit = interval.most_in_flight >= self.limit;
            if reaches_limit && current <= base * GROWS_BELOW + noise / 2.0 {
                self.limit = (self.limit + 1).min(self.max);
            }
        }
        let base = self.base.unwrap_or(current);
        if current < base || (interval.most_in_flight as f64) < self.limit as f64 * IN_USE {
            self.base = Some(base + ALPHA * (current - base));
        }
    }

    /// Whether it was sent under the limit of now.
    fn is_news(&self, sample: &LimitSample) -> bool {
        self.shrunk.is_none_or(|shrunk| shrunk + sample.rtt <= sample.now)
    }

    /// How far the mean of an interval is from the truth by accident.
    fn noise(&mut self, interval: &Interval, mean: f64) -> f64 {
        let samples = f64::from(interval.samples);
        if interval.samples > 1 {
            let variance = (interval.squares / samples - mean * mean).max(0.0);
            self.variance += ALPHA * (variance - self.variance);
        }
        DEVIATIONS * (self.variance / samples).sqrt()
    }

    fn retreat_from(&mut self, current: f64) {
        let limit = self.limit;
        let Some(retreat) = &mut self.retreat else {
            self.retreat = Some(Retreat { limit, reference: None });
            return self.shrink();
        };
        let (reference, rtt) = *retreat.reference.get_or_insert((limit, current));
        // A queue of ours would have become shorter as the limit did.
        if limit as f64 <= reference as f64 * FUTILE && current >= rtt * DECREASE {
            self.base = Some(current);
            self.limit = retreat.limit;
            self.retreat = None;
        } else {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        self.limit = ((self.limit as f64 * DECREASE) as usize).max(1);
    }
}

impl Interval {
    fn mean(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum / f64::from(self.samples))
    }
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self {
            limit: 1,
            max: MAX_LIMIT,
            base: None,
            variance: 0.0,
            now: Interval::default(),
            next_step: None,
            retreat: None,
            shrunk: None,
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
            LimitOutcome::Overload => self.now.was_overloaded |= self.is_news(sample),
            LimitOutcome::Success if self.is_news(sample) => {
                let rtt = sample.rtt.as_secs_f64();
                self.now.sum += rtt;
                self.now.squares += rtt * rtt;
                self.now.samples += 1;
            }
            LimitOutcome::Success => {}
        }
        // Once per round trip: what a step does is seen one round trip later.
        let next_step = *self.next_step.get_or_insert(sample.now);
        if sample.now >= next_step && (self.now.samples > 0 || self.now.was_overloaded) {
            let before = self.limit;
            self.step();
            if self.limit < before {
                self.shrunk = Some(sample.now);
            }
            self.next_step = Some(sample.now + sample.rtt);
        }
    }
}
