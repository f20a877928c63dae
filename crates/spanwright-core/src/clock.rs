//! Where the time comes from.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Tells the time, so that what depends on it can be tested without waiting.
///
/// Engines do not hold a clock: they take `now` as a parameter. A clock is for the thin layer that drives them.
pub trait Clock: Debug + Send + Sync + 'static {
    /// A moment on a clock that never goes back.
    fn now(&self) -> Instant;

    /// The time of day, which may jump.
    fn system_time(&self) -> SystemTime;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that a test moves. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use spanwright_core::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.clone().advance(Duration::from_secs(3600));
/// assert_eq!(clock.now() - start, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    times: Arc<Mutex<(Instant, SystemTime)>>,
}

impl ManualClock {
    /// A clock that stands still at an arbitrary moment, and at the start of 2026 (UTC) by the time of day.
    #[must_use]
    pub fn new() -> Self {
        let start_of_2026 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        Self {
            times: Arc::new(Mutex::new((SystemClock.now(), start_of_2026))),
        }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.0 += by;
        times.1 += by;
    }

    /// Sets the time of day alone, as a correction by NTP does.
    pub fn set_system_time(&self, to: SystemTime) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).1 = to;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn system_time(&self) -> SystemTime {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_day_may_jump_without_moving_the_monotonic_clock() {
        let clock = ManualClock::new();
        let before = clock.now();
        clock.set_system_time(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), before);
        assert_eq!(clock.system_time(), SystemTime::UNIX_EPOCH);
    }
}
