//! What retrying has come to.

use std::time::{Duration, Instant};

use super::policy::GiveUp;
use crate::window::Window;

/// What a strategy has done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryStats {
    /// Operations begun.
    pub operations: u64,
    /// Attempts at them, the first ones included.
    pub attempts: u64,
    /// Attempts that were not the first.
    pub retries: u64,
    /// Operations that came to a good end.
    pub succeeded: u64,
    /// Operations that were given up, by why; only reasons that occurred.
    pub given_up: Vec<(GiveUp, u64)>,
    /// The share of operations of the last minute that came to a good end; 1 if there was none.
    pub success_rate: f64,
    /// Retries that the budget has room for now.
    pub budget: f64,
    /// The delay before the last retry.
    pub last_delay: Duration,
    /// All delays together.
    pub total_delay: Duration,
}

#[derive(Debug)]
pub(super) struct Tally {
    operations: u64,
    retries: u64,
    succeeded: u64,
    given_up: [u64; REASONS.len()],
    last_delay: Duration,
    total_delay: Duration,
    /// Operations that ended, and those that ended well.
    recent: Window<2>,
}

const REASONS: [GiveUp; 5] = [
    GiveUp::Attempts,
    GiveUp::Budget,
    GiveUp::Elapsed,
    GiveUp::Permanent,
    GiveUp::Shutdown,
];
const RECENT: Duration = Duration::from_secs(60);

impl Tally {
    pub(super) fn begun(&mut self) {
        self.operations += 1;
    }

    pub(super) fn succeeded(&mut self, now: Instant) {
        self.succeeded += 1;
        self.recent.add(now, [1, 1]);
    }

    pub(super) fn retried(&mut self, delay: Duration) {
        self.retries += 1;
        self.last_delay = delay;
        self.total_delay = self.total_delay.saturating_add(delay);
    }

    pub(super) fn gave_up(&mut self, now: Instant, reason: GiveUp) {
        self.given_up[reason as usize] += 1;
        self.recent.add(now, [1, 0]);
    }

    pub(super) fn stats(&mut self, now: Instant, budget: f64) -> RetryStats {
        let [ended, well] = self.recent.sum(now);
        let given_up = REASONS.into_iter().zip(self.given_up);
        RetryStats {
            operations: self.operations,
            attempts: self.operations + self.retries,
            retries: self.retries,
            succeeded: self.succeeded,
            given_up: given_up.filter(|(_, count)| *count > 0).collect(),
            success_rate: if ended == 0 { 1.0 } else { well as f64 / ended as f64 },
            budget,
            last_delay: self.last_delay,
            total_delay: self.total_delay,
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            operations: 0,
            retries: 0,
            succeeded: 0,
            given_up: [0; REASONS.len()],
            last_delay: Duration::ZERO,
            total_delay: Duration::ZERO,
            recent: Window::new(RECENT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_at_its_own_place() {
        for (index, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.as_str());
        }
    }
}
