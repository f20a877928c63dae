//! How fast the past is delivered beside the present.

use std::time::{Duration, Instant};

use crate::BuildError;

/// Decides when a request of a [`Store`](crate::Store) may go out beside live ones.
///
/// Two rules, both of which must allow it: while live requests wait, three of them go for each of the store's; and at most so many
/// items a second are taken from the store, so that a receiver that has just come back is not knocked down again.
///
/// ```
/// use std::time::Duration;
/// use spanwright_core::{Clock, DrainPace, DrainPermit, ManualClock};
///
/// let (clock, mut pace) = (ManualClock::new(), DrainPace::default());
/// assert_eq!(pace.poll(clock.now(), false), DrainPermit::Now);
/// pace.replayed(clock.now(), 512);
/// clock.advance(Duration::from_millis(100));
/// assert_eq!(pace.poll(clock.now(), true), DrainPermit::AfterLive);
/// (0..3).for_each(|_| pace.live_sent());
/// assert_eq!(pace.poll(clock.now(), true), DrainPermit::Now);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DrainPace {
    live_per_replayed: u32,
    max_rate: u32,
    /// Live requests since the last one of the store.
    live: u32,
    /// The items that may be taken; below zero after a request that had more than there were.
    tokens: f64,
    filled_at: Option<Instant>,
}

/// Whether a request of the store may go out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each is one answer to one question")]
pub enum DrainPermit {
    /// After some live requests.
    AfterLive,
    /// At once.
    Now,
    /// Not before this moment.
    NotBefore(Instant),
}

impl DrainPace {
    /// Three live requests for each of the store's: a backlog of ten minutes is gone in less than five more where the receiver takes twice
    /// of what comes, and live spans wait for a third more at most.
    pub const DEFAULT_LIVE_PER_REPLAYED: u32 = 3;
    /// 50 000 items/s: ten minutes of 5 000 spans/s in one minute.
    pub const DEFAULT_MAX_RATE: u32 = 50_000;

    /// So many live requests for each of the store's, and at most so many items of the store a second.
    ///
    /// # Errors
    ///
    /// A rate of 0, or more than a million live requests.
    pub fn new(live_per_replayed: u32, max_rate: u32) -> Result<Self, BuildError> {
        BuildError::check_range("live_per_replayed", live_per_replayed, 0..=1_000_000)?;
        BuildError::check_range("max_rate", max_rate, 1..=u32::MAX)?;
        Ok(Self {
            live_per_replayed,
            max_rate,
            live: live_per_replayed,
            tokens: 0.0,
            filled_at: None,
        })
    }

    /// Whether a request of the store may go out now.
    pub fn poll(&mut self, now: Instant, is_live_waiting: bool) -> DrainPermit {
        self.fill(now);
        if self.tokens < 0.0 {
            let wait = -self.tokens / f64::from(self.max_rate);
            // A nanosecond more than too little: at that moment it is allowed.
            return DrainPermit::NotBefore(now + Duration::from_secs_f64(wait) + Duration::from_nanos(1));
        }
        if is_live_waiting && self.live < self.live_per_replayed {
            return DrainPermit::AfterLive;
        }
        DrainPermit::Now
    }

    /// A live request went out.
    pub fn live_sent(&mut self) {
        // Not saved up: after a long time without a backlog the first requests of one do not go out all at once.
        self.live = (self.live + 1).min(self.live_per_replayed);
    }

    /// A request of the store went out, with so many items.
    pub fn replayed(&mut self, now: Instant, items: u64) {
        self.fill(now);
        self.live = 0;
        self.tokens -= items as f64;
    }

    /// Up to a tenth of a second is saved up: a burst, not a flood.
    fn fill(&mut self, now: Instant) {
        let rate = f64::from(self.max_rate);
        let passed = self
            .filled_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.tokens = (self.tokens + passed.as_secs_f64() * rate).min(rate / 10.0);
        self.filled_at = Some(self.filled_at.map_or(now, |at| at.max(now)));
    }
}

impl Default for DrainPace {
    fn default() -> Self {
        Self {
            live_per_replayed: Self::DEFAULT_LIVE_PER_REPLAYED,
            max_rate: Self::DEFAULT_MAX_RATE,
            live: Self::DEFAULT_LIVE_PER_REPLAYED,
            tokens: 0.0,
            filled_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, ManualClock};

    #[test]
    fn three_live_requests_go_for_each_of_the_spool_while_they_wait() {
        let clock = ManualClock::new();
        let mut pace = DrainPace::new(3, u32::MAX).unwrap();
        let (mut live, mut replayed) = (0, 0);
        for _ in 0..400 {
            clock.advance(Duration::from_millis(1));
            if pace.poll(clock.now(), true) == DrainPermit::Now {
                pace.replayed(clock.now(), 512);
                replayed += 1;
            } else {
                pace.live_sent();
                live += 1;
            }
        }
        assert_eq!((live, replayed), (300, 100));
    }

    #[test]
    fn the_rate_holds_whatever_the_size_of_requests_and_the_clock_going_back() {
        let clock = ManualClock::new();
        let start = clock.now();
        let mut pace = DrainPace::new(0, 1_000).unwrap();
        let mut items = 0;
        while clock.now() - start < Duration::from_secs(100) {
            match pace.poll(clock.now(), false) {
                DrainPermit::Now => {
                    pace.replayed(clock.now(), 512);
                    pace.poll(start, false);
                    items += 512;
                }
                DrainPermit::NotBefore(until) => clock.advance(until - clock.now()),
                DrainPermit::AfterLive => unreachable!("no live request is asked for"),
            }
        }
        assert!((99_000..=101_000).contains(&items), "{items}");
    }

    #[test]
    fn what_no_pace_can_be_is_refused() {
        assert_eq!(DrainPace::new(3, 0).unwrap_err().field(), "max_rate");
        assert_eq!(DrainPace::new(u32::MAX, 1).unwrap_err().field(), "live_per_replayed");
    }
}
