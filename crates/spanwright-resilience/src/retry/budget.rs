//! How many retries all requests together may cost.
//!
//! # Source
//!
//! Finagle's retry budget, as `tower::retry::budget` has it: a share of recent requests, and a least rate, over a window that
//! slides in slots.

use std::time::{Duration, Instant};

use spanwright_core::BuildError;

use crate::window::Window;

/// Lets retries be a share of the requests of the last ten seconds, and not more.
///
/// ```text
/// room = least_per_second * 10 s + ratio * requests in the window - retries in the window
/// ```
///
/// When everything fails, `n` requests become at most `n * (1 + ratio)` attempts beyond the least rate. What may not be retried is
/// parked and not lost: the budget says when, never whether.
///
/// Time comes in; it must not go back.
///
/// # Cost
///
/// No allocation.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    ratio: f64,
    least_per_second: f64,
    /// Requests, and retries.
    window: Window<2>,
    exhausted: u64,
}

const WINDOW: Duration = Duration::from_secs(10);

impl RetryBudget {
    /// The default share: a receiver that fails gets a fifth more requests, which does not keep it down.
    pub const RATIO: f64 = 0.2;
    /// The default least rate: an exporter makes few requests, and one of them must be tried again for sure.
    pub const LEAST_PER_SECOND: f64 = 0.1;

    /// Retries up to the share `ratio` of requests, 0 to 1000, and `least_per_second` besides.
    ///
    /// # Errors
    ///
    /// A number that is negative, infinite or NaN, or a ratio above 1000.
    pub fn new(ratio: f64, least_per_second: f64) -> Result<Self, BuildError> {
        Ok(Self {
            ratio: BuildError::check_range("retry_budget.ratio", ratio, 0.0..=1000.0)?,
            least_per_second: BuildError::check_range("retry_budget.least_per_second", least_per_second, 0.0..=1e6)?,
            window: Window::new(WINDOW),
            exhausted: 0,
        })
    }

    /// A request begins that is no retry.
    pub fn deposit(&mut self, now: Instant) {
        self.window.add(now, [1, 0]);
    }

    /// Whether a retry may begin now; if so it has.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        let has_room = self.room(now) >= 1.0;
        if has_room {
            self.window.add(now, [0, 1]);
        } else {
            self.exhausted += 1;
        }
        has_room
    }

    /// How many retries may begin now.
    #[must_use]
    pub fn room(&mut self, now: Instant) -> f64 {
        let [requests, retries] = self.window.sum(now);
        let earned = self.least_per_second * WINDOW.as_secs_f64() + self.ratio * requests as f64;
        // Ten fifths are two, whatever the last digit of a float says.
        (earned - retries as f64 + 1e-9).max(0.0)
    }

    /// How often a retry was refused.
    #[must_use]
    pub fn exhausted(&self) -> u64 {
        self.exhausted
    }
}

/// A fifth of the requests, and one in ten seconds for sure.
impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            ratio: Self::RATIO,
            least_per_second: Self::LEAST_PER_SECOND,
            window: Window::new(WINDOW),
            exhausted: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::{Clock, ManualClock};

    use super::*;

    #[test]
    fn under_total_failure_a_fifth_more_is_sent_whatever_is_asked_for() {
        for per_second in [5_u32, 50, 1000] {
            let (clock, mut budget) = (ManualClock::new(), RetryBudget::default());
            let (mut requests, mut attempts) = (0_u32, 0_u32);
            for _ in 0..60 * per_second {
                let now = clock.now();
                budget.deposit(now);
                requests += 1;
                attempts += 1;
                while budget.withdraw(now) {
                    attempts += 1;
                }
                clock.advance(Duration::from_secs(1) / per_second);
            }
            let amplification = f64::from(attempts) / f64::from(requests);
            // The least rate is another tenth of a retry a second.
            let least = 0.1 * 70.0 / f64::from(requests);
            assert!(amplification <= 1.2 + least + 0.01, "{per_second}/s: {amplification}");
            assert!(
                amplification >= 1.15,
                "{per_second}/s: {amplification} uses what there is"
            );
            assert!(budget.exhausted() > 0);
        }
    }

    #[test]
    fn what_was_earned_is_gone_after_ten_seconds() {
        let (clock, mut budget) = (ManualClock::new(), RetryBudget::new(0.2, 0.0).expect("in range"));
        assert!(!budget.withdraw(clock.now()));
        (0..10).for_each(|_| budget.deposit(clock.now()));
        assert_eq!(budget.room(clock.now()).round(), 2.0);
        clock.advance(Duration::from_millis(9_999));
        assert!(budget.withdraw(clock.now()));
        clock.advance(Duration::from_millis(1));
        assert!(!budget.withdraw(clock.now()), "the requests have left the window");
        clock.advance(Duration::from_secs(1 << 40));
        budget.deposit(clock.now());
    }

    #[test]
    fn shares_that_cannot_be_are_refused_by_name() {
        assert!(
            RetryBudget::new(f64::NAN, 0.0)
                .unwrap_err()
                .to_string()
                .starts_with("`retry_budget.ratio`")
        );
        assert!(
            RetryBudget::new(0.1, -1.0)
                .unwrap_err()
                .to_string()
                .starts_with("`retry_budget.least_per_second`")
        );
    }
}
