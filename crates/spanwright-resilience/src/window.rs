//! What happened lately.

use std::time::{Duration, Instant};

/// `N` counts of different things, over a window that slides in buckets. Time comes in; it must not go back.
#[derive(Clone, Debug)]
pub(crate) struct Window<const N: usize> {
    buckets: [[u64; N]; BUCKETS],
    width: Duration,
    current: usize,
    /// When the current bucket began; nothing before the first event.
    began: Option<Instant>,
}

/// Fine enough that what happened is forgotten within a tenth of the window of when it should be.
const BUCKETS: usize = 10;

impl<const N: usize> Window<N> {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            buckets: [[0; N]; BUCKETS],
            width: (length / BUCKETS as u32).max(Duration::from_nanos(1)),
            current: 0,
            began: None,
        }
    }

    pub(crate) fn add(&mut self, now: Instant, counts: [u64; N]) {
        self.advance(now);
        let bucket = &mut self.buckets[self.current];
        bucket.iter_mut().zip(counts).for_each(|(count, more)| *count += more);
    }

    /// What is in the window now.
    pub(crate) fn sum(&mut self, now: Instant) -> [u64; N] {
        self.advance(now);
        self.buckets.iter().fold([0; N], |mut sum, bucket| {
            sum.iter_mut().zip(bucket).for_each(|(sum, count)| *sum += count);
            sum
        })
    }

    pub(crate) fn clear(&mut self) {
        self.buckets = [[0; N]; BUCKETS];
    }

    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_nanos() / self.width.as_nanos();
        for _ in 0..passed.min(BUCKETS as u128) {
            self.current = (self.current + 1) % BUCKETS;
            self.buckets[self.current] = [0; N];
        }
        // After a pause longer than the window, where the buckets begin makes no difference.
        self.began = match u32::try_from(passed) {
            Ok(passed) if passed <= BUCKETS as u32 => Some(began + self.width * passed),
            _ => Some(now),
        };
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::{Clock, ManualClock};

    use super::*;

    #[test]
    fn what_happened_is_forgotten_after_the_window_and_not_before_nine_tenths_of_it() {
        let (clock, mut window) = (ManualClock::new(), Window::new(Duration::from_secs(10)));
        window.add(clock.now(), [1, 10]);
        clock.advance(Duration::from_millis(8_999));
        window.add(clock.now(), [1, 0]);
        assert_eq!(window.sum(clock.now()), [2, 10]);
        clock.advance(Duration::from_millis(1_001));
        assert_eq!(window.sum(clock.now()), [1, 0]);
        clock.advance(Duration::from_secs(1 << 35));
        assert_eq!(window.sum(clock.now()), [0, 0]);
    }
}
