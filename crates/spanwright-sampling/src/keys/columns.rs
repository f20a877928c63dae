//! Where many threads count at once, and what holds a burst until the next tick.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::counter::Counters;
use crate::probability::{RANGE, Threshold};

/// Counters of each thread's own for the keys that many threads are at, for spans without a budget of their own, and for what all
/// decisions come to.
///
/// # Bursts
///
/// What a column decides by is made for the traffic that is expected until the next tick. A burst beyond that lowers it at once:
/// every `2^stride`-th span of a thread is reported to a counter that all share, and where that passes the quota `q`, the n-th span
/// has the probability `p * q / n`. Of a burst of n spans `p * q * (1 + ln(n / q))` are kept then, which is a few times `p * q`
/// however large it is.
///
/// And if many keys burst together, none of them beyond its quota, it is the sum of all probabilities that passes its own, `Q`. Then
/// everything is damped: at a sum of `x`, by `exp(-4 (x / Q - 1))`. Of what would have been S, `Q * (1 + ln(1 + 4 S / Q) / 4)` is kept.
///
/// The probability of a span depends on how many came before it and on nothing else, so that its weight is right.
#[derive(Debug)]
pub(super) struct Columns {
    counters: Counters,
    controls: Box<[Control]>,
    total: Control,
}

/// By what a column decides until the next tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    pub(super) probability: f64,
    /// Spans expected.
    pub(super) expected: f64,
    /// Spans from which on the probability falls.
    pub(super) quota: f64,
}

#[derive(Debug)]
struct Control {
    terms: Terms,
    reported: Reported,
}

/// Read by every decision and written by few.
#[derive(Debug)]
#[repr(align(128))]
struct Terms {
    /// The threshold in the upper 56 bits, the binary logarithm of the stride below. For the total, of the probabilities.
    word: AtomicU64,
    /// The same for the beginning of the tick.
    base: AtomicU64,
    quota: AtomicU64,
}

/// Spans of all threads since the last tick. On lines of its own, because it is written to.
#[derive(Debug)]
#[repr(align(128))]
struct Reported(AtomicU64);

/// The sum of the probabilities of all decisions, in steps of 2^-40: what they will keep, without the noise of what they happen to.
const EXPECTED: usize = 0;
/// Spans that have no cell.
pub(super) const OVERFLOW: usize = 1;
/// Spans of keys that are too new to have a budget. They are counted in their cells as well.
pub(super) const YOUNG: usize = 2;
/// Those from here on are for hot keys.
pub(super) const FIRST_HOT: usize = 3;
pub(super) const COLUMNS: usize = 64;

const EXPECTED_SHIFT: u32 = 16;
pub(super) const EXPECTED_UNIT: f64 = (RANGE >> EXPECTED_SHIFT) as f64;

/// Reports of an expected tick: enough to see a burst begin, few enough for threads not to meet.
const REPORTS: f64 = 64.0;

/// How hard the total is held: the larger, the less is kept of a burst, and the more each kept span stands for.
const DAMPING: f64 = 4.0;

/// Below this nobody is ever sampled, and divisions go wrong.
pub(super) const MIN_PROBABILITY: f64 = 1.0 / EXPECTED_UNIT;

impl Columns {
    pub(super) fn new() -> Self {
        Self {
            counters: Counters::new(COLUMNS),
            controls: (0..COLUMNS).map(|_| Control::new()).collect(),
            total: Control::new(),
        }
    }

    /// Counts a span in `column`, and decides it as `control` says.
    pub(super) fn decide(&self, column: usize, control: usize) -> Threshold {
        let control = &self.controls[control];
        // Relaxed: any word of the recent past will do, it is whole in itself.
        let word = control.terms.word.load(Ordering::Relaxed);
        let stride = word & 0xff;
        if self.counters.add(column, 1) & ((1 << stride) - 1) == 0 {
            return control.report(word);
        }
        threshold_of(word)
    }

    /// The threshold that `control` has now.
    pub(super) fn threshold(&self, control: usize) -> Threshold {
        threshold_of(self.controls[control].terms.word.load(Ordering::Relaxed))
    }

    /// Adds a decision to what all of them come to, and returns what is left of it if that is too much.
    pub(super) fn expect(&self, threshold: Threshold) -> Threshold {
        // Relaxed: as in `decide`.
        let word = self.total.terms.word.load(Ordering::Relaxed);
        let damping = threshold_of(word);
        let threshold = if damping == Threshold::ALWAYS {
            threshold
        } else {
            threshold_of_probability(threshold.probability() * damping.probability())
        };
        let more = (RANGE - threshold.bits()) >> EXPECTED_SHIFT;
        let sum = self.counters.add(EXPECTED, more);
        let stride = word & 0xff;
        // Right also where the sum wraps around: what is too much here is shifted out below.
        let steps = (sum >> stride).wrapping_sub(sum.wrapping_sub(more) >> stride);
        if steps > 0 {
            self.total.report_total(word, steps << stride);
        }
        threshold
    }

    /// The sum of the probabilities of all decisions so far, in units of [`EXPECTED_UNIT`], of which the upper bits are cut off.
    pub(super) fn expected(&self) -> u64 {
        self.counters.sum(EXPECTED)
    }

    /// How many spans were counted in a column.
    pub(super) fn sum(&self, column: usize) -> u64 {
        self.counters.sum(column)
    }

    /// A new tick, in which so much may be kept of everything. For the thread that ticks.
    pub(super) fn forecast_total(&self, expected_kept: f64) {
        let quota = (expected_kept * EXPECTED_UNIT) as u64;
        let stride = u64::from((quota / REPORTS as u64).max(1).ilog2());
        // Relaxed, all of them: as in `forecast`.
        self.total.terms.quota.store(quota, Ordering::Relaxed);
        self.total.reported.0.store(0, Ordering::Relaxed);
        self.total.terms.word.store(stride, Ordering::Relaxed);
    }

    /// A new tick of a column. For the thread that ticks.
    pub(super) fn forecast(&self, control: usize, forecast: Forecast) {
        let control = &self.controls[control];
        let threshold = threshold_of_probability(forecast.probability).bits() << 8;
        let stride = log2(forecast.expected / REPORTS);
        // Relaxed, all of them: a burst that begins in between is held by numbers of two ticks, and each of its spans still has the
        // threshold that it was decided by.
        control.terms.base.store(threshold, Ordering::Relaxed);
        control
            .terms
            .quota
            .store(forecast.quota.max(1.0) as u64, Ordering::Relaxed);
        control.reported.0.store(0, Ordering::Relaxed);
        control.terms.word.store(threshold | stride, Ordering::Relaxed);
    }
}

impl Control {
    /// With nothing known every span is reported, and the first ones are all wanted.
    fn new() -> Self {
        Self {
            terms: Terms {
                word: AtomicU64::new(0),
                base: AtomicU64::new(0),
                quota: AtomicU64::new(1),
            },
            reported: Reported(AtomicU64::new(0)),
        }
    }

    #[cold]
    fn report(&self, word: u64) -> Threshold {
        let stride = word & 0xff;
        // Relaxed, all of them: as in `forecast`.
        let count = self.reported.0.fetch_add(1 << stride, Ordering::Relaxed) + (1 << stride);
        let quota = self.terms.quota.load(Ordering::Relaxed);
        if count <= quota {
            return threshold_of(word);
        }
        let base = threshold_of(self.terms.base.load(Ordering::Relaxed)).probability();
        let lowered = threshold_of_probability(beyond(base, quota as f64 / count as f64));
        let stride = stride.max(log2(count as f64 / REPORTS));
        // If somebody else was faster, it was a tick, or has counted about as far.
        let _ =
            self.terms
                .word
                .compare_exchange(word, lowered.bits() << 8 | stride, Ordering::Relaxed, Ordering::Relaxed);
        lowered
    }

    #[cold]
    fn report_total(&self, word: u64, more: u64) {
        let sum = self.reported.0.fetch_add(more, Ordering::Relaxed) + more;
        let quota = self.terms.quota.load(Ordering::Relaxed);
        if sum <= quota {
            return;
        }
        let damping = (-DAMPING * (sum as f64 / quota as f64 - 1.0)).exp();
        let damped = threshold_of_probability(damping).bits() << 8 | word & 0xff;
        // If somebody else was faster, it was a tick, or has counted about as far.
        let _ = self
            .terms
            .word
            .compare_exchange(word, damped, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The probability of a span beyond a quota, of which `share` is what the quota is of the spans so far.
pub(super) fn beyond(probability: f64, share: f64) -> f64 {
    probability * share
}

pub(super) fn threshold_of_probability(probability: f64) -> Threshold {
    Threshold::from_probability(probability.clamp(MIN_PROBABILITY, 1.0)).unwrap_or_default()
}

fn threshold_of(word: u64) -> Threshold {
    // 56 bits are always a threshold.
    Threshold::from_bits(word >> 8).unwrap_or_default()
}

/// Rounded down, from 0 to 32.
fn log2(value: f64) -> u64 {
    u64::from((value.clamp(1.0, f64::from(u32::MAX)) as u32).ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(columns: &Columns, spans: usize) -> f64 {
        (0..spans)
            .map(|_| columns.decide(OVERFLOW, OVERFLOW).probability())
            .sum()
    }

    #[test]
    fn what_is_kept_of_a_burst_of_any_size_is_bounded() {
        for (probability, expected, quota) in [(1.0, 0.0, 10.0), (0.1, 1000.0, 1500.0), (0.001, 100_000.0, 100_500.0)] {
            let columns = Columns::new();
            for spans in [10, 1000, 100_000, 1_000_000] {
                columns.forecast(
                    OVERFLOW,
                    Forecast {
                        probability,
                        expected,
                        quota,
                    },
                );
                let kept = kept(&columns, spans);
                let times = (spans as f64 / quota).max(1.0);
                let bound = probability * quota * (1.0 + times.ln());
                assert!(kept <= 1.05 * bound, "{kept} of {spans} where {bound} is the most");
                if times == 1.0 {
                    assert!((kept - probability * spans as f64).abs() < 1e-6 * kept);
                }
            }
        }
    }

    #[test]
    fn what_is_kept_of_everything_together_is_bounded() {
        for probability in [1.0, 0.01] {
            let columns = Columns::new();
            for wanted in [5.0, 100.0, 10_000.0] {
                columns.forecast_total(10.0);
                let threshold = threshold_of_probability(probability);
                let spans = (wanted / probability) as usize;
                let kept: f64 = (0..spans).map(|_| columns.expect(threshold).probability()).sum();
                let bound = 10.0 * (1.0 + (1.0 + 0.4 * wanted).ln() / 4.0);
                assert!(kept <= bound + 1.0, "{kept} of {wanted} where {bound} is the most");
                assert!(kept >= wanted.min(10.0) - 1e-6);
            }
        }
    }
}
