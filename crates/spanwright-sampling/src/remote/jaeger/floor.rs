//! What an operation gets at least.
//!
//! Jaeger's clients have a bucket of tokens beside the probability, and what it lets through has no weight. Here the lower bound is a
//! probability too, from the rate at which spans were offered: `p = min(1, bound / rate)`. The larger of the two probabilities
//! counts, and so each kept span still says how many it stands for.
//!
//! ```text
//! rate    spans / seconds, both fading with a window of a few times 1 / bound; forgotten on a change that chance does not explain
//! credit  += bound * dt - sum(p)                 what was not kept in time is made up for, and the other way around
//! p       = min(1, min(1, bound / rate) * (1 + credit / 3))      credit between -3 and 3 traces
//! p(n)    = p * (quota / n)^2 for n > quota      the n-th span since the last tick, where no more than `quota` were to be expected
//! ```
//!
//! The last line is for an operation that slept: its first span is kept, and of a thousand that follow at once, one or two. It reads
//! how many there were, never their randomness, so that it is as true a weight as the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::probability::Threshold;

/// The window is this many times the time in which one trace is due: with fewer spans in it, the rate is mostly chance.
const TRACES_PER_WINDOW: f64 = 5.0;
const SHORTEST_WINDOW: f64 = 10.0;
const LONGEST_WINDOW: f64 = 300.0;

/// Over how many of the last ticks a change is looked for.
const SPANS_OF_TICKS: [usize; 4] = [1, 2, 5, 10];

/// How many standard deviations are not chance any more.
const SIGMAS: f64 = 4.0;

/// A silence in which so many spans were to be expected means that they have stopped: chance brings it once in 3000 times.
const SILENCE: f64 = 8.0;

/// How many traces are made up for: a lower bound is about one now and then, and not about a heap of them afterwards.
const MAX_CREDIT: f64 = 3.0;

/// How fast the dispersion follows.
const DISPERSION_GAIN: f64 = 0.02;

/// A floor under an operation's probability.
#[derive(Debug)]
pub(super) struct Floor {
    /// The probability, as the bits of an `f64`.
    probability: AtomicU64,
    /// How many spans may have it until the next tick.
    quota: AtomicU64,
    /// The spans since the last tick that it was asked about.
    arrivals: AtomicU64,
    estimate: Mutex<Estimate>,
}

/// What is known of the rate.
#[derive(Debug)]
struct Estimate {
    /// When it was last brought up to date.
    at: Option<Instant>,
    /// All spans up to then.
    offered: u64,
    spans: f64,
    seconds: f64,
    /// Variance over mean of the counts of ticks: 1 for chance alone, more for spans that come in clumps.
    dispersion: f64,
    /// The last ticks: spans and seconds.
    ticks: [(f64, f64); 10],
    /// Seconds since the last span.
    silence: f64,
    credit: f64,
}

impl Floor {
    /// One that keeps the first span that comes.
    pub(super) fn new() -> Self {
        Self {
            probability: AtomicU64::new(1.0_f64.to_bits()),
            quota: AtomicU64::new(1),
            arrivals: AtomicU64::new(0),
            estimate: Mutex::new(Estimate {
                at: None,
                offered: 0,
                spans: 0.0,
                seconds: 0.0,
                dispersion: 1.0,
                ticks: [(0.0, 0.0); 10],
                silence: 0.0,
                credit: 0.0,
            }),
        }
    }

    /// The threshold for a span that would have `own` without a floor, if the floor's is the lower one. `counts` if it is a span and
    /// not only a question.
    ///
    /// # Cost
    ///
    /// A load; where the floor is the lower one, also an atomic addition, which is never contended for long: a tick later it
    /// follows the rate.
    pub(super) fn under(&self, own: Option<Threshold>, counts: bool) -> Option<Threshold> {
        // Relaxed, here and below: each value stands alone. One that is a tick older than the other is as good.
        let probability = f64::from_bits(self.probability.load(Ordering::Relaxed));
        if own.is_some_and(|own| own.probability() >= probability) {
            return None;
        }
        let arrivals = if counts {
            self.arrivals.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            self.arrivals.load(Ordering::Relaxed) + 1
        };
        let quota = self.quota.load(Ordering::Relaxed);
        let faded = if arrivals > quota {
            (quota as f64 / arrivals as f64).powi(2)
        } else {
            1.0
        };
        let threshold = Threshold::from_probability(probability * faded)?;
        own.is_none_or(|own| threshold < own).then_some(threshold)
    }

    /// It is `now`, `offered` spans have come in all, and `bound` of them a second are to be kept.
    pub(super) fn tick(&self, now: Instant, offered: u64, own: f64, bound: f64) {
        let mut estimate = self.estimate.lock();
        let Some(before) = estimate.at.replace(now) else {
            estimate.offered = offered;
            return;
        };
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        if seconds == 0.0 {
            return;
        }
        let spans = offered.saturating_sub(estimate.offered) as f64;
        estimate.offered = offered;

        let arrivals = self.arrivals.swap(0, Ordering::Relaxed) as f64;
        let probability = f64::from_bits(self.probability.load(Ordering::Relaxed));
        let quota = self.quota.load(Ordering::Relaxed) as f64;
        let kept = expected(arrivals, quota, probability, own);
        estimate.settle(seconds, bound, kept, spans > 0.0 && arrivals == 0.0);
        estimate.observe(spans, seconds, bound);

        let rate = estimate.rate();
        let correction = 1.0 + estimate.credit / MAX_CREDIT;
        let share = match bound {
            0.0 => 0.0,
            _ if rate > bound => bound / rate,
            _ => 1.0,
        };
        let probability = (share * correction).min(1.0);
        let usual = rate * seconds;
        let quota = usual + 3.0 * (estimate.dispersion * usual).sqrt() + 1.0 + estimate.credit.max(0.0);
        self.probability.store(probability.to_bits(), Ordering::Relaxed);
        self.quota.store(quota as u64, Ordering::Relaxed);
    }

    /// How long no span has come.
    pub(super) fn silence(&self) -> Duration {
        Duration::try_from_secs_f64(self.estimate.lock().silence).unwrap_or(Duration::MAX)
    }
}

impl Estimate {
    /// Books what was due and what is expected to have been kept.
    fn settle(&mut self, seconds: f64, bound: f64, kept: f64, is_idle: bool) {
        if is_idle {
            // The operation's own probability is the larger one: there is nothing to make up for.
            self.credit = 0.0;
            return;
        }
        // In units of one trace, or of a second's where that is more.
        let unit = bound.max(1.0);
        self.credit = (self.credit + (bound * seconds - kept) / unit).clamp(-MAX_CREDIT, MAX_CREDIT);
    }

    fn observe(&mut self, spans: f64, seconds: f64, bound: f64) {
        let expected = self.rate() * seconds;
        if expected > 0.0 {
            let surprise = ((spans - expected).powi(2) / expected).min(100.0);
            self.dispersion += DISPERSION_GAIN * (surprise - self.dispersion);
            self.dispersion = self.dispersion.max(1.0);
        }
        self.silence = if spans > 0.0 { 0.0 } else { self.silence + seconds };
        self.ticks.rotate_right(1);
        self.ticks[0] = (spans, seconds);

        let (rate, known) = (self.rate(), self.seconds);
        let window = (TRACES_PER_WINDOW / bound).clamp(SHORTEST_WINDOW, LONGEST_WINDOW);
        let fading = (-seconds / window).exp();
        self.spans = self.spans * fading + spans;
        self.seconds = self.seconds * fading + seconds;
        if known == 0.0 {
            return;
        }
        if rate * self.silence > SILENCE * self.dispersion {
            (self.spans, self.seconds) = (0.0, self.silence);
            return;
        }
        for count in SPANS_OF_TICKS {
            let recent = self.ticks[..count].iter();
            let (spans, seconds) = recent.fold((0.0, 0.0), |sum, tick| (sum.0 + tick.0, sum.1 + tick.1));
            // What the recent ticks scatter by, and what the rate itself is uncertain by.
            let variance = rate * seconds * (1.0 + seconds / known);
            if (spans - rate * seconds).abs() > SIGMAS * (self.dispersion * variance + 1.0).sqrt() + 2.0 {
                (self.spans, self.seconds) = (spans, seconds);
                return;
            }
        }
    }

    fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.spans / self.seconds
        } else {
            0.0
        }
    }
}

/// How many of `arrivals` were to be kept: the sum of their probabilities.
fn expected(arrivals: f64, quota: f64, probability: f64, own: f64) -> f64 {
    let floor = probability.max(own);
    if arrivals <= quota {
        return arrivals * floor;
    }
    // From here on the operation's own probability is the larger one.
    let crossing = if own > 0.0 {
        quota * (probability / own).sqrt()
    } else {
        arrivals
    };
    let last = crossing.clamp(quota, arrivals);
    // The sum of 1 / n^2 is close to that integral.
    let faded = probability * quota * quota * (1.0 / (quota + 0.5) - 1.0 / (last + 0.5));
    quota * floor + faded + (arrivals - last) * own
}

#[cfg(test)]
mod tests;
