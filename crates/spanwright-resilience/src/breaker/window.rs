//! What happened lately.

use std::time::{Duration, Instant};

/// Counts of calls over a window that slides in buckets.
#[derive(Clone, Debug)]
pub(super) struct Window {
    buckets: [Counts; BUCKETS],
    width: Duration,
    current: usize,
    began: Option<Instant>,
}

/// What became of calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
}

/// Fine enough that a failure is forgotten within a tenth of the window of when it should be.
const BUCKETS: usize = 10;

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            buckets: [Counts::default(); BUCKETS],
            width: (length / BUCKETS as u32).max(Duration::from_nanos(1)),
            current: 0,
            began: None,
        }
    }

    pub(super) fn add(&mut self, now: Instant, counts: Counts) {
        self.advance(now);
        let bucket = &mut self.buckets[self.current];
        bucket.calls += counts.calls;
        bucket.failures += counts.failures;
        bucket.slow += counts.slow;
    }

    pub(super) fn sum(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            calls: sum.calls + bucket.calls,
            failures: sum.failures + bucket.failures,
            slow: sum.slow + bucket.slow,
        })
    }

    pub(super) fn clear(&mut self) {
        self.buckets = [Counts::default(); BUCKETS];
    }

    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_nanos() / self.width.as_nanos();
        for _ in 0..passed.min(BUCKETS as u128) {
            self.current = (self.current + 1) % BUCKETS;
            self.buckets[self.current] = Counts::default();
        }
        // After a pause longer than the window, where the buckets begin makes no difference.
        self.began = match u32::try_from(passed) {
            Ok(passed) if passed <= BUCKETS as u32 => Some(began + self.width * passed),
            _ => Some(now),
        };
    }
}
