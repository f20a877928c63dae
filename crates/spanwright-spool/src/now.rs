//! The moment at which something is done.

use std::time::{Duration, Instant, SystemTime};

use spanwright_core::Clock;

/// A moment, by both clocks: one measures intervals, the other ages that outlive a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "two clocks are what there is")]
pub struct Now {
    /// By the clock that never goes back.
    pub instant: Instant,
    /// By the time of day.
    pub time: SystemTime,
}

impl Now {
    /// What `clock` shows.
    pub fn of(clock: &(impl Clock + ?Sized)) -> Self {
        Self {
            instant: clock.now(),
            time: clock.system_time(),
        }
    }

    /// Nanoseconds since 1970; 0 for what was before.
    pub(crate) fn nanos(&self) -> u64 {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.as_nanos().try_into().unwrap_or(u64::MAX)
    }
}

pub(crate) fn time_of(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}
