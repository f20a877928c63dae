//! Up by one, down by a share.
//!
//! # Source
//!
//! Chiu, Jain: *Analysis of the increase and decrease algorithms for congestion avoidance*, 1989; as TCP Reno has it.

use spanwright_core::BuildError;

use super::{Limit, LimitOutcome, LimitSample, MAX_LIMIT};

/// One more for each limit's worth of successes while the limit is in use, and a tenth fewer when the receiver cannot take it.
#[derive(Clone, Debug)]
pub struct Aimd {
    limit: f64,
    max: usize,
    /// Requests that were under way at a step back say the same thing again.
    ignored: usize,
}

/// What is left at a step back. The receiver's capacity is hit again soon, so a small step costs less than a large one.
const DECREASE: f64 = 0.9;

impl Aimd {
    /// From 1 up to `max`, 1 and more.
    ///
    /// # Errors
    ///
    /// 0.
    pub fn new(max: usize) -> Result<Self, BuildError> {
        Ok(Self {
            limit: 1.0,
            max: BuildError::check_range("limit.max", max, 1..=usize::MAX)?,
            ignored: 0,
        })
    }
}

impl Default for Aimd {
    fn default() -> Self {
        Self {
            limit: 1.0,
            max: MAX_LIMIT,
            ignored: 0,
        }
    }
}

impl Limit for Aimd {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    fn on_sample(&mut self, sample: &LimitSample) {
        match sample.outcome {
            LimitOutcome::Ignore => {}
            LimitOutcome::Overload if self.ignored > 0 => self.ignored -= 1,
            LimitOutcome::Overload => {
                self.ignored = sample.in_flight.saturating_sub(1);
                self.limit = (self.limit * DECREASE).floor().max(1.0);
            }
            LimitOutcome::Success => {
                self.ignored = self.ignored.saturating_sub(1);
                if sample.in_flight >= self.limit() {
                    self.limit = (self.limit + 1.0 / self.limit).min(self.max as f64);
                }
            }
        }
    }
}
