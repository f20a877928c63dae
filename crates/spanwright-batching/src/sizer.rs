//! How many items a request has.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use spanwright_core::BuildError;

/// Chooses how many items the next request has.
///
/// The default is [`Fixed`], and for good reasons: see [`LatencyTarget`] for when not to use anything else.
pub trait BatchSizer: Debug + Send + 'static {
    /// The most items of the next request. The engine takes at least 1 and at most `max_export_batch_size`.
    fn batch_size(&self) -> usize;

    /// An export of `items` ended after `latency`. Failed ones are told as well, with the time that they took.
    fn on_export(&mut self, latency: Duration, items: usize, is_success: bool);
}

/// Always the same size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fixed(usize);

impl Fixed {
    /// Requests of at most `items`.
    #[must_use]
    pub const fn new(items: usize) -> Self {
        Self(items)
    }
}

impl BatchSizer for Fixed {
    fn batch_size(&self) -> usize {
        self.0
    }

    fn on_export(&mut self, _: Duration, _: usize, _: bool) {}
}

/// Moves the size so that 95 of 100 exports end within a target.
///
/// After every 10 exports the 95th percentile of the last 100 is compared with the target: above it the size is multiplied by
/// 0.9, below it by 1.1, between a least and a largest size.
///
/// # When not to use it
///
/// Nearly always. A larger batch takes longer by itself, so the controller reads its own action as congestion; and when the
/// receiver *is* slow, smaller batches are more requests with the same work in each, which makes it slower. Every surveyed
/// system that adapts (Vector, Netflix's and Envoy's limiters) keeps the size fixed and adapts the number of requests in
/// flight. Use it where a receiver's time really grows with the size of a request and single requests have a deadline of
/// their own, as with a synchronous, single-threaded store behind the receiver.
#[derive(Clone, Debug)]
pub struct LatencyTarget {
    target: Duration,
    min: usize,
    max: usize,
    size: f64,
    latencies: VecDeque<Duration>,
    since_change: usize,
}

const WINDOW: usize = 100;
const SAMPLES_PER_CHANGE: usize = 10;
const SHRINK: f64 = 0.9;
const GROW: f64 = 1.1;

impl LatencyTarget {
    /// Starts with `max` items and stays within `min..=max`.
    ///
    /// # Errors
    ///
    /// `target` is zero, `min` is 0, or `min` is larger than `max`.
    pub fn new(target: Duration, min: usize, max: usize) -> Result<Self, BuildError> {
        if target.is_zero() {
            return Err(BuildError::new("target", "0ns", "a duration above zero"));
        }
        BuildError::check_range("min", min, 1..=max.max(1))?;
        Ok(Self {
            target,
            min,
            max,
            size: max as f64,
            latencies: VecDeque::with_capacity(WINDOW),
            since_change: 0,
        })
    }

    fn percentile_95(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        // Nearest rank: the smallest value that 95 % do not exceed.
        let rank = (sorted.len() * 95).div_ceil(100);
        rank.checked_sub(1)
            .and_then(|index| sorted.get(index))
            .copied()
            .unwrap_or_default()
    }
}

impl BatchSizer for LatencyTarget {
    fn batch_size(&self) -> usize {
        self.size.round() as usize
    }

    fn on_export(&mut self, latency: Duration, _: usize, _: bool) {
        if self.latencies.len() == WINDOW {
            self.latencies.pop_front();
        }
        self.latencies.push_back(latency);
        self.since_change += 1;
        if self.since_change == SAMPLES_PER_CHANGE {
            self.since_change = 0;
            let factor = if self.percentile_95() > self.target {
                SHRINK
            } else {
                GROW
            };
            self.size = (self.size * factor).clamp(self.min as f64, self.max as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn shrinks_above_the_target_and_grows_below_it_every_ten_samples() {
        let mut sizer = LatencyTarget::new(millis(100), 10, 1000).unwrap();
        let mut sizes = Vec::new();
        for latency in [200; 20] {
            sizer.on_export(millis(latency), 1, true);
            sizes.push(sizer.batch_size());
        }
        assert_eq!((sizes[8], sizes[9], sizes[18], sizes[19]), (1000, 900, 900, 810));
        for _ in 0..100 {
            sizer.on_export(millis(1), 1, true);
        }
        let before = sizer.batch_size();
        (0..10).for_each(|_| sizer.on_export(millis(1), 1, true));
        assert!(sizer.batch_size() > before);
    }

    #[test]
    fn stays_within_its_bounds() {
        let mut sizer = LatencyTarget::new(millis(100), 300, 400).unwrap();
        (0..1000).for_each(|_| sizer.on_export(millis(500), 1, false));
        assert_eq!(sizer.batch_size(), 300);
        (0..1000).for_each(|_| sizer.on_export(millis(5), 1, true));
        assert_eq!(sizer.batch_size(), 400);
    }

    #[test]
    fn five_slow_exports_of_a_hundred_are_within_the_target() {
        let mut sizer = LatencyTarget::new(millis(100), 10, 1000).unwrap();
        sizer
            .latencies
            .extend((0..100).map(|n| if n < 5 { millis(900) } else { millis(10) }));
        assert_eq!(sizer.percentile_95(), millis(10));
        sizer.latencies[50] = millis(900);
        assert_eq!(sizer.percentile_95(), millis(900));
    }

    #[test]
    fn bad_bounds_are_refused() {
        assert_eq!(LatencyTarget::new(millis(1), 0, 5).unwrap_err().field(), "min");
        assert_eq!(LatencyTarget::new(millis(1), 9, 5).unwrap_err().field(), "min");
        assert_eq!(LatencyTarget::new(Duration::ZERO, 1, 5).unwrap_err().field(), "target");
    }
}
