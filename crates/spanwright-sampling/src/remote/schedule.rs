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
    is_failing: bool,
    random: fastrand::Rng,
}

impl Schedule {
    /// The first poll is due at once.
    pub(super) fn new(interval: Duration, now: Instant, seed: u64) -> Self {
        Self {
            interval,
            retry: FIRST_RETRY.min(interval),
            due: now,
            is_failing: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The next one is due at once, whatever was planned.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.due = now;
    }

    /// There is nothing to ask; perhaps after the interval.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.due = now + self.interval.mul_f64(0.9 + 0.2 * self.random.f64());
    }

    /// Returns whether this ends failures.
    pub(super) fn succeeded(&mut self, now: Instant) -> bool {
        self.retry = FIRST_RETRY.min(self.interval);
        self.postpone(now);
        std::mem::take(&mut self.is_failing)
    }

    /// Returns whether it is the first of several.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.due = now + self.retry.mul_f64(0.5 + 0.5 * self.random.f64());
        self.retry = self.retry.saturating_mul(2).min(self.interval);
        !std::mem::replace(&mut self.is_failing, true)
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
        assert!(!schedule.failed(now) && schedule.succeeded(now) && !schedule.succeeded(now));
        schedule.hasten(now);
        assert_eq!(schedule.due(), now);

        let mut often = Schedule::new(Duration::from_millis(100), now, 3);
        often.failed(now);
        assert!(often.due() - now <= Duration::from_millis(100));
    }
}
