//! By how much longer requests take than they used to.
//!
//! # Source
//!
//! Netflix, concurrency-limits, `Gradient2Limit`, with its constants.

use spanwright_core::BuildError;

use super::{Limit, LimitOutcome, LimitSample, MAX_LIMIT};

/// `limit * clamp(tolerance * long / short, 0.5, 1) + room`, smoothed: as round trips grow over their long average, the limit shrinks.
#[derive(Clone, Debug)]
pub struct Gradient {
    limit: f64,
    max: usize,
    long: LongAverage,
}

/// An average over the last so many round trips, a plain one until there are as many.
#[derive(Clone, Copy, Debug, Default)]
struct LongAverage {
    seconds: f64,
    samples: u32,
}

/// Half as long again is no sign of a queue.
const TOLERANCE: f64 = 1.5;
/// A queue this long is asked for on purpose, so that the limit can grow.
const ROOM: f64 = 4.0;
const SMOOTHING: f64 = 0.2;
const WINDOW: u32 = 600;

impl Gradient {
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
}

impl Default for Gradient {
    fn default() -> Self {
        Self {
            limit: 1.0,
            max: MAX_LIMIT,
            long: LongAverage::default(),
        }
    }
}

impl Limit for Gradient {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    fn on_sample(&mut self, sample: &LimitSample) {
        let gradient = match sample.outcome {
            LimitOutcome::Ignore => return,
            LimitOutcome::Overload => 0.5,
            LimitOutcome::Success => {
                let short = sample.rtt.as_secs_f64().max(1e-9);
                let long = self.long.add(short);
                // A limit that nobody reaches says nothing of what the receiver could take.
                if (sample.in_flight as f64) < self.limit / 2.0 {
                    return;
                }
                (TOLERANCE * long / short).clamp(0.5, 1.0)
            }
        };
        let room = if sample.outcome == LimitOutcome::Success {
            ROOM
        } else {
            0.0
        };
        let wanted = self.limit * gradient + room;
        let smoothed = self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING;
        self.limit = smoothed.clamp(1.0, self.max as f64);
    }
}

impl LongAverage {
    fn add(&mut self, seconds: f64) -> f64 {
        self.samples = (self.samples + 1).min(WINDOW);
        self.seconds += (seconds - self.seconds) / f64::from(self.samples);
        // Once the load is gone, what it was must not stand in the way of growing again.
        if self.seconds > 2.0 * seconds {
            self.seconds *= 0.95;
        }
        self.seconds
    }
}
