//! When to ask.

use std::time::{Duration, Instant};

/// How long to wait after the first failure, at most. Then twice that, up to the polling interval: a server that restarts is asked
/// soon, one that is gone no more often than one that is there.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Polls at intervals that are spread by a tenth to both sides, so that a fleet that starts at once does not ask at once.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    retry: Duration,
    due: Instant,
    random: fastrand::Rng,
}

impl Schedule {
    /// The first poll is due at once.
    pub(super) fn new(interval: Duration, now: Instant, seed: u64) -> Self {
        Self {
            interval,
            retry: FIRST_RETRY.min(interval),
            due: now,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn succeeded(&mut self, now: Instant) {
        self.retry = FIRST_RETRY.min(self.interval);
        self.due = now + self.interval.mul_f64(0.9 + 0.2 * self.random.f64());
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.due = now + self.retry.mul_f64(0.5 + 0.5 * self.random.f64());
        self.retry = self.retry.saturating_mul(2).min(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanwright_core::{Clock, ManualClock};

    const INTERVAL: Duration = Duration::from_secs(60);

    #[test]
    fn polls_are_spread_around_the_interval() {
        let now = ManualClock::new().now();
        let mut schedule = Schedule::new(INTERVAL, now, 1);
        assert_eq!(schedule.due(), now);
        let waits = std::iter::repeat_with(|| {
            schedule.succeeded(now);
            (schedule.due() - now).as_secs_f64()
        });
        let waits: Vec<_> = waits.take(1000).collect();
        assert!(waits.iter().all(|wait| (54.0..66.0).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 55.0) && waits.iter().any(|wait| *wait > 65.0));
    }

    #[test]
    fn failures_are_retried_soon_then_later_and_at_most_at_the_interval() {
        let now = ManualClock::new().now();
        let mut schedule = Schedule::new(INTERVAL, now, 2);
        for bound in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            schedule.failed(now);
            let wait = (schedule.due() - now).as_secs_f64();
            assert!((bound / 2.0..bound).contains(&wait), "{wait} of {bound}");
        }
        schedule.succeeded(now);
        schedule.failed(now);
        assert!(schedule.due() - now <= FIRST_RETRY, "a success makes it start anew");

        let mut often = Schedule::new(Duration::from_millis(100), now, 3);
        often.failed(now);
        assert!(often.due() - now <= Duration::from_millis(100));
    }
}
