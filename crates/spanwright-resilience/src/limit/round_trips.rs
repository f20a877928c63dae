//! Round trips, and what chance may add to them.

use std::time::Duration;

/// How long they took, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrips {
    count: f64,
    sum: f64,
    squares: f64,
}

/// What is expected of round trips that were not seen yet: so many that vary as much as they can, with a deviation as large as the
/// mean. A few that are alike by chance are then no reason to take the next one for a queue.
const PRIOR: f64 = 2.0;
/// Older ones count for ever less of so many.
const REMEMBERED: f64 = 256.0;

impl RoundTrips {
    pub(super) fn add(&mut self, round_trip: Duration) {
        let seconds = round_trip.as_secs_f64();
        self.count += 1.0;
        self.sum += seconds;
        self.squares += seconds * seconds;
    }

    pub(super) fn and(self, others: Self) -> Self {
        Self {
            count: self.count + others.count,
            sum: self.sum + others.sum,
            squares: self.squares + others.squares,
        }
    }

    /// Takes these in, and of all together no more than are remembered.
    pub(super) fn learn(&mut self, newer: Self) {
        let all = self.and(newer);
        let share = (REMEMBERED / all.count).min(1.0);
        *self = Self {
            count: all.count * share,
            sum: all.sum * share,
            squares: all.squares * share,
        };
    }

    /// How many; of those that are remembered only in part, a fraction.
    pub(super) fn count(&self) -> f64 {
        self.count
    }

    /// In seconds. There must be some.
    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The mean, if there are any.
    pub(super) fn mean_duration(&self) -> Option<Duration> {
        (self.count > 0.0).then(|| Duration::from_secs_f64(self.mean()))
    }

    /// By how much the mean of others may differ from that of these, as a standard deviation, if they are of the same kind.
    pub(super) fn error_of_mean(&self, others: &Self) -> f64 {
        let square = self.mean() * self.mean();
        let seen = (self.squares / self.count - square).max(0.0);
        let variance = (self.count * seen + PRIOR * square) / (self.count + PRIOR);
        (variance * (1.0 / self.count + 1.0 / others.count)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> RoundTrips {
        let mut round_trips = RoundTrips::default();
        millis
            .into_iter()
            .for_each(|millis| round_trips.add(Duration::from_millis(millis)));
        round_trips
    }

    #[test]
    fn the_error_of_a_mean_falls_with_the_number_of_both_and_rises_with_the_spread() {
        let near = |value: f64, wanted: f64| assert!((value - wanted).abs() < 0.01 * wanted, "{value} is not {wanted}");
        // A hundred of 50 and 150 ms vary by 50 ms, and two more are expected to vary by 100.
        let base = of((0..100).map(|n| 50 + n % 2 * 100));
        let deviation = (0.05_f64.powi(2) * 100.0 / 102.0 + 0.1_f64.powi(2) * 2.0 / 102.0).sqrt();
        near(base.error_of_mean(&of([100])), deviation * 1.01_f64.sqrt());
        near(base.error_of_mean(&of([100; 100])), deviation * 0.02_f64.sqrt());
        // Of two alike by chance little is known.
        near(of([100; 2]).error_of_mean(&of([100; 2])), 0.1 * 0.5_f64.sqrt());
    }

    #[test]
    fn older_ones_count_for_ever_less() {
        let mut base = of([100; 256]);
        base.learn(of([200; 64]));
        assert_eq!(base.count(), REMEMBERED);
        assert_eq!(base.mean_duration(), Some(Duration::from_millis(120)));
        assert_eq!(RoundTrips::default().mean_duration(), None);
    }
}
