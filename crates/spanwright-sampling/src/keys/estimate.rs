//! How often something happens, from what was counted lately.

/// A rate, from two windows: the one that is being filled, and the one before.
///
/// A window is full after [`ENOUGH`] counts (and a second), or after [`LONGEST`]. So something that happens often is known from the
/// last seconds, and something rare from the last minute. If the window that is being filled contradicts the one before, the latter
/// is forgotten: after a change by a factor of ten that takes about 6 counts, by a factor of two about 25, and after silence falls
/// the time of about 25 counts that do not come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    count: f32,
    seconds: f32,
    earlier_count: f32,
    earlier_seconds: f32,
}

/// Counts that fill a window: the rate is then known to about a tenth (from 64 to 128 counts), and follows a drift within as many.
const ENOUGH: f32 = 64.0;
/// With fewer counts than this, what others do says more.
const RARE: f32 = 4.0;
const SHORTEST: f32 = 1.0;
const LONGEST: f32 = 30.0;

/// So many standard deviations are no chance. Of 100 000 keys that are looked at once a second a handful is then taken to have
/// changed for nothing, which costs them half of their memory.
const SIGMAS: f32 = 4.0;

impl Estimate {
    /// Of something that happened `count` times in so many `seconds`.
    pub(super) fn of(count: f32, seconds: f32) -> Self {
        Self {
            count,
            seconds,
            ..Self::default()
        }
    }

    /// How long it has been looked at, and is remembered.
    pub(super) fn seconds(&self) -> f32 {
        self.seconds + self.earlier_seconds
    }

    /// How often it happened in that time.
    pub(super) fn count(&self) -> f32 {
        self.count + self.earlier_count
    }

    /// Whether so many more in so many seconds contradict what was known before.
    pub(super) fn is_contradicted(&self, count: f32, seconds: f32) -> bool {
        if self.earlier_seconds <= 0.0 {
            return differs(count, seconds, self.count, self.seconds);
        }
        differs(
            self.count + count,
            self.seconds + seconds,
            self.earlier_count,
            self.earlier_seconds,
        ) || differs(count, seconds, self.count(), self.seconds())
    }

    /// Takes in that it happened `count` times in the last `seconds`.
    pub(super) fn observe(&mut self, count: f32, seconds: f32) {
        if self.is_contradicted(count, seconds) {
            // The window that is being filled saw the change, or was before it.
            *self = if differs(count, seconds, self.count, self.seconds) {
                Self::of(count, seconds)
            } else {
                Self::of(self.count + count, self.seconds + seconds)
            };
        } else {
            self.count += count;
            self.seconds += seconds;
        }
        if (self.count >= ENOUGH && self.seconds >= SHORTEST) || self.seconds >= LONGEST {
            *self = Self {
                earlier_count: self.count,
                earlier_seconds: self.seconds,
                ..Self::default()
            };
        }
    }

    /// Takes in what was counted in a time that is known already.
    pub(super) fn add(&mut self, count: f32) {
        self.count += count;
    }

    /// Whether next to nothing is known.
    pub(super) fn is_rare(&self) -> bool {
        self.count() < RARE
    }

    /// Takes what is known for `factor` times as often.
    pub(super) fn scale(&mut self, factor: f32) {
        self.seconds /= factor;
        self.earlier_seconds /= factor;
    }

    /// How often it happens in a second: as it was seen, or `usual` if it was not. One that was seen speaks for itself, because those
    /// that happen often are not like the others.
    pub(super) fn rate(&self, usual: f32) -> f32 {
        if self.count() > 0.0 && self.seconds() > 0.0 {
            self.own_rate()
        } else {
            usual
        }
    }

    /// The rate by itself.
    pub(super) fn own_rate(&self) -> f32 {
        if self.seconds() > 0.0 {
            self.count() / self.seconds()
        } else {
            0.0
        }
    }
}

/// Whether two counts are too far from one common rate.
fn differs(count: f32, seconds: f32, earlier_count: f32, earlier_seconds: f32) -> bool {
    if seconds <= 0.0 || earlier_seconds <= 0.0 {
        return false;
    }
    let share = seconds / earlier_seconds;
    let expected = earlier_count * share;
    let variance = expected * (1.0 + share) + 1.0;
    (count - expected).abs() > SIGMAS * variance.sqrt() + 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(rates: &[(f32, usize)]) -> Estimate {
        let mut estimate = Estimate::default();
        for (rate, seconds) in rates {
            (0..*seconds).for_each(|_| estimate.observe(*rate, 1.0));
        }
        estimate
    }

    #[test]
    fn a_frequent_thing_that_changes_is_known_after_a_second_and_a_rare_one_after_a_few_counts() {
        assert!((observed(&[(1000.0, 30), (10_000.0, 1)]).own_rate() - 10_000.0).abs() < 1.0);
        assert!((observed(&[(1000.0, 30), (10.0, 1)]).own_rate() - 10.0).abs() < 1.0);
        let after = |seconds| observed(&[(2.0, 60), (20.0, seconds)]).own_rate();
        assert!((after(1) - 20.0).abs() < 1.0, "{}", after(1));
        let after = |seconds| observed(&[(4.0, 60), (8.0, seconds)]).own_rate();
        assert!((after(16) - 8.0).abs() < 0.8, "{}", after(16));
        let after = |seconds| observed(&[(1.0, 60), (0.0, seconds)]).own_rate();
        assert!(after(40) < 0.1, "{}", after(40));
    }

    #[test]
    fn what_does_not_change_keeps_its_memory() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut estimate = Estimate::default();
        let mut forgotten = 0;
        for _ in 0..10_000 {
            // About 5 a second, as a thousand throws of a coin that falls on its edge.
            let count = (0..100).filter(|_| random.f32() < 0.05).count() as f32;
            forgotten += usize::from(estimate.is_contradicted(count, 1.0));
            estimate.observe(count, 1.0);
        }
        assert!(forgotten < 20, "{forgotten}");
        assert!((estimate.own_rate() - 5.0).abs() < 1.5, "{}", estimate.own_rate());
    }

    #[test]
    fn what_was_never_seen_is_taken_to_be_like_the_others() {
        assert_eq!(Estimate::of(0.0, 10.0).rate(0.1), 0.1);
        assert_eq!(Estimate::of(1.0, 10.0).rate(5.0), 0.1);
        assert_eq!(Estimate::of(100.0, 2.0).rate(0.1), 50.0);
    }
}
