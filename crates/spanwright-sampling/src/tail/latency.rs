//! How long traces usually take.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// A quantile of the last minutes' durations, overall or by the name of the root.
///
/// The quantile is worked out again when a second has passed, by whoever comes first, and is compared with until then. So a
/// duration does not take part in what it is held against.
#[derive(Debug)]
pub(super) struct Latencies {
    quantile: f64,
    max_names: usize,
    second: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// All roots, or those whose name has no histogram of its own.
    others: Histogram,
    names: HashMap<Box<str>, Histogram>,
}

impl Latencies {
    /// The quantile overall (`max_names` of 0), or for each of so many names and one for all the others.
    pub(super) fn new(quantile: f64, max_names: usize) -> Self {
        Self {
            quantile,
            max_names,
            second: AtomicU32::new(0),
            state: Mutex::new(State {
                others: Histogram::new(),
                names: HashMap::with_capacity(max_names),
            }),
        }
    }

    pub(super) fn bytes(max_names: usize) -> usize {
        // The map's table is at most 8/7 of a power of two, with a byte of its own for each entry.
        let entry = size_of::<(Box<str>, Histogram)>() + 1;
        (max_names * 8).div_ceil(7).next_power_of_two() * entry
            + max_names * (MAX_NAME + Histogram::BYTES)
            + Histogram::BYTES
    }

    /// Whether `duration` is above the quantile; then it becomes a part of it.
    pub(super) fn is_above(&self, name: &str, duration: Duration) -> bool {
        // Relaxed: a hint of the time.
        let second = self.second.load(Ordering::Relaxed);
        let mut state = self.state.lock();
        let State { others, names } = &mut *state;
        let is_new = || !names.contains_key(name);
        if names.len() < self.max_names && name.len() <= MAX_NAME && is_new() {
            names.insert(name.into(), Histogram::new());
        }
        let histogram = names.get_mut(name).unwrap_or(others);
        histogram.refresh(second, self.quantile);
        let bucket = bucket(duration);
        histogram.add(bucket);
        histogram.slow_above.is_some_and(|limit| bucket > limit)
    }

    /// What is slow now, as text for people: the end of the bucket that has the quantile.
    pub(super) fn limit(&self, name: &str) -> Option<Duration> {
        let state = self.state.lock();
        let histogram = state.names.get(name).unwrap_or(&state.others);
        histogram.slow_above.map(end_of)
    }

    /// So many seconds have passed.
    pub(super) fn set_second(&self, second: u32) {
        self.second.store(second, Ordering::Relaxed);
    }
}

/// Longer names than this have no histogram of their own.
const MAX_NAME: usize = 256;

/// Sixteen buckets for each doubling of a duration, in microseconds: a quantile is exact to 6 %.
const SUB_BUCKETS: u64 = 16;
const BUCKETS: usize = 37 * SUB_BUCKETS as usize;

/// Every so many seconds, and so many durations, each weighs half of what it did: what is slow follows what is usual.
const HALF_LIFE: u32 = 60;
const MAX_TOTAL: u32 = 20_000;

/// A quantile is known when so many durations are expected above it, and so many are there at all.
const MIN_ABOVE: f64 = 2.0;
const MIN_TOTAL: u32 = 100;

#[derive(Debug)]
struct Histogram {
    counts: Box<[u32]>,
    total: u32,
    refreshed: u32,
    halved: u32,
    slow_above: Option<usize>,
}

impl Histogram {
    const BYTES: usize = BUCKETS * size_of::<u32>();

    fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS].into(),
            total: 0,
            refreshed: 0,
            halved: 0,
            slow_above: None,
        }
    }

    fn add(&mut self, bucket: usize) {
        self.counts[bucket] += 1;
        self.total += 1;
        if self.total >= MAX_TOTAL {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
        self.total = self.counts.iter().sum();
    }

    fn refresh(&mut self, second: u32, quantile: f64) {
        if second == self.refreshed {
            return;
        }
        self.refreshed = second;
        if second.wrapping_sub(self.halved) >= HALF_LIFE {
            self.halved = second;
            self.halve();
        }
        let above = (1.0 - quantile) * f64::from(self.total);
        if self.total < MIN_TOTAL || above < MIN_ABOVE {
            // As long as there is little traffic, what was known last is better than nothing.
            return;
        }
        let mut left = above as u32;
        // From the top: the first bucket that is not wholly above.
        let limit = self.counts.iter().rposition(|count| match left.checked_sub(*count) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        self.slow_above = limit;
    }
}

fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros < SUB_BUCKETS {
        return micros as usize;
    }
    let octave = micros.ilog2() - SUB_BUCKETS.ilog2();
    let bucket = u64::from(octave) * SUB_BUCKETS + (micros >> octave);
    (bucket as usize).min(BUCKETS - 1)
}

/// The first duration that is above the bucket.
fn end_of(bucket: usize) -> Duration {
    let next = bucket as u64 + 1;
    let octave = (next / SUB_BUCKETS).saturating_sub(1);
    Duration::from_micros((next - octave * SUB_BUCKETS) << octave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_without_a_gap_and_narrow() {
        let mut micros = 0_u64;
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(Duration::from_micros(micros)), index);
            let end = end_of(index).as_micros() as u64;
            assert_eq!(bucket(Duration::from_micros(end - 1)), index);
            assert!(end > micros && (end - micros) * SUB_BUCKETS <= micros.max(SUB_BUCKETS));
            micros = end;
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    /// The share above the 90th percentile, when durations double half way.
    #[test]
    fn a_tenth_is_above_the_ninetieth_percentile_also_after_a_change() {
        let mut random = fastrand::Rng::with_seed(11);
        let latencies = Latencies::new(0.9, 0);
        let mut above = Vec::new();
        for second in 0..600_u32 {
            latencies.set_second(second);
            let scale = if second < 300 { 1.0 } else { 2.0 };
            let slow = (0..200).filter(|_| {
                let duration = Duration::from_secs_f64(-random.f64().max(1e-9).ln() * 0.05 * scale);
                latencies.is_above("GET /", duration)
            });
            above.push(slow.count());
        }
        let share = |seconds: std::ops::Range<usize>| {
            let len = seconds.len() * 200;
            above[seconds].iter().sum::<usize>() as f64 / len as f64
        };
        assert_eq!(above[0], 0, "nothing is slow before anything is known");
        for seconds in [2..300, 480..600] {
            let share = share(seconds.clone());
            assert!((0.085..=0.105).contains(&share), "{seconds:?}: {share}");
        }
    }

    #[test]
    fn names_have_their_own_and_those_beyond_the_bound_share_one() {
        let latencies = Latencies::new(0.5, 2);
        let long = "n".repeat(MAX_NAME + 1);
        let names = ["fast", "slow", "third", &long];
        let millis = [1, 100, 10, 10];
        for second in 1..=2 {
            latencies.set_second(second);
            for _ in 0..MIN_TOTAL {
                for (name, millis) in names.into_iter().zip(millis) {
                    latencies.is_above(name, Duration::from_millis(millis));
                }
            }
        }
        let limit = |name| latencies.limit(name).expect("known").as_millis();
        assert_eq!(latencies.state.lock().names.len(), 2);
        assert!(limit("fast") <= 2 && (100..=107).contains(&limit("slow")));
        assert!((10..=11).contains(&limit("third")) && limit(&long) == limit("third"));
        assert!(latencies.is_above("fast", Duration::from_millis(3)));
        assert!(!latencies.is_above("slow", Duration::from_millis(3)));
    }
}
