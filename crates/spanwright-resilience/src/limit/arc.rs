//! Adaptive request concurrency.
//!
//! # Source
//!
//! Vector, [Adaptive Request Concurrency](https://vector.dev/blog/adaptive-request-concurrency/), with its constants.

use std::time::{Duration, Instant};

use spanwright_core::BuildError;

use super::{Limit, LimitOutcome, LimitSample, MAX_LIMIT};

/// One more per round trip while round trips stay as they were and the limit is in use; a tenth fewer when they grow beyond
/// their usual spread, or the receiver says that it is too much.
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrency {
    limit: usize,
    max: usize,
    past: Option<Average>,
    /// What was seen since the last step.
    now: Interval,
    next_step: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    sum: f64,
    samples: u32,
    reached_limit: bool,
    was_overloaded: bool,
}

/// An exponentially weighted mean, and the mean of the squares.
#[derive(Clone, Copy, Debug)]
struct Average {
    mean: f64,
    variance: f64,
}

/// How much the round trips of one interval weigh.
const ALPHA: f64 = 0.4;
/// So many standard deviations above the mean are no accident.
const DEVIATIONS: f64 = 2.5;
const DECREASE: f64 = 0.9;

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

    /// The usual round trip, once there was one.
    #[must_use]
    pub fn usual_rtt(&self) -> Option<Duration> {
        self.past.map(|past| Duration::from_secs_f64(past.mean))
    }

    fn step(&mut self) {
        let Interval {
            sum,
            samples,
            reached_limit,
            was_overloaded,
        } = std::mem::take(&mut self.now);
        let current = (samples > 0).then(|| sum / f64::from(samples));
        let usual = self.past;
        let is_slower = match (current, usual) {
            (Some(current), Some(usual)) => {
                current >= usual.mean + DEVIATIONS * usual.variance.sqrt() && current > usual.mean
            }
            _ => false,
        };
        if was_overloaded || is_slower {
            self.limit = ((self.limit as f64 * DECREASE) as usize).max(1);
        } else if let Some(current) = current
            && reached_limit
            && usual.is_none_or(|usual| current <= usual.mean)
        {
            self.limit = (self.limit + 1).min(self.max);
        }
        if let Some(current) = current {
            self.past = Some(Average::with(usual, current));
        }
    }
}

impl Average {
    fn with(before: Option<Self>, value: f64) -> Self {
        let Some(Self { mean, variance }) = before else {
            return Self {
                mean: value,
                variance: 0.0,
            };
        };
        let delta = value - mean;
        let increment = ALPHA * delta;
        Self {
            mean: mean + increment,
            variance: (1.0 - ALPHA) * (variance + delta * increment),
        }
    }
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self {
            limit: 1,
            max: MAX_LIMIT,
            past: None,
            now: Interval::default(),
            next_step: None,
        }
    }
}

impl Limit for AdaptiveConcurrency {
    fn limit(&self) -> usize {
        self.limit
    }

    fn on_sample(&mut self, sample: &LimitSample) {
        self.now.reached_limit |= sample.in_flight >= self.limit;
        match sample.outcome {
            LimitOutcome::Ignore => return,
            LimitOutcome::Overload => self.now.was_overloaded = true,
            LimitOutcome::Success => {
                self.now.sum += sample.rtt.as_secs_f64();
                self.now.samples += 1;
            }
        }
        // Once per round trip: what a step does is seen one round trip later.
        let next_step = *self.next_step.get_or_insert(sample.now);
        if sample.now >= next_step {
            self.step();
            let pause = self.usual_rtt().unwrap_or(sample.rtt);
            self.next_step = Some(sample.now + pause);
        }
    }
}
