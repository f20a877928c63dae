//! The way of time: virtual clock, fixed seeds, sums of probabilities instead of chance.

use std::time::{Duration, Instant};

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, TraceId};
use spanwright_core::{Clock, ManualClock, Pressure};

use super::*;
use crate::reason::Reason;
use crate::sampler::Sampler;
use crate::span::StartingSpan;
use crate::composable::ComposableSampler;

/// A sampler under traffic that a test makes up, a tick at a time.
struct World {
    keys: PerKey,
    clock: ManualClock,
    random: fastrand::Rng,
    offered: u64,
}

const TICK: Duration = Duration::from_millis(100);

impl World {
    fn new(builder: PerKeyBuilder) -> Self {
        let keys = builder.with_seed(11).build_composable().unwrap();
        let clock = ManualClock::new();
        keys.tick(clock.now());
        Self {
            keys,
            clock,
            random: fastrand::Rng::with_seed(5),
            offered: 0,
        }
    }

    /// A span of this key. The probability with which it is kept.
    fn offer(&mut self, key: &str) -> f64 {
        self.offered += 1;
        let span = StartingSpan::new(None, TraceId::from(1), key, &SpanKind::Server);
        let intent = self.keys.sampling_intent(&span);
        intent.threshold().unwrap().probability()
    }

    fn tick(&mut self) {
        self.clock.advance(TICK);
        self.keys.tick(self.clock.now());
    }

    /// A tick with the number of spans that chance makes of `rate`, of keys by `pick`. What is kept of them.
    fn run_tick(&mut self, rate: f64, pick: &mut dyn FnMut(&mut fastrand::Rng) -> usize) -> f64 {
        let spans = poisson(&mut self.random, rate * TICK.as_secs_f64());
        let mut kept = 0.0;
        for _ in 0..spans {
            let key = pick(&mut self.random);
            kept += self.offer(&format!("key {key}"));
        }
        self.tick();
        kept
    }

    /// What is kept in each second.
    fn run(&mut self, seconds: usize, rate: f64, mut pick: impl FnMut(&mut fastrand::Rng) -> usize) -> Vec<f64> {
        (0..seconds)
            .map(|_| (0..10).map(|_| self.run_tick(rate, &mut pick)).sum())
            .collect()
    }

    fn overflow_share(&self) -> f64 {
        let stats = self.keys.stats();
        stats.overflow_spans as f64 / stats.offered as f64
    }
}

fn builder(target: f64) -> PerKeyBuilder {
    PerKeySampler::builder().target_per_second(target)
}

fn poisson(random: &mut fastrand::Rng, mean: f64) -> usize {
    if mean > 50.0 {
        let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        return (mean + mean.sqrt() * normal).round().max(0.0) as usize;
    }
    let (mut count, mut product, limit) = (0, random.f64(), (-mean).exp());
    while product > limit {
        count += 1;
        product *= random.f64();
    }
    count
}

/// The n-th of `keys` has 1/n of the traffic of the first.
fn zipf(keys: usize) -> impl FnMut(&mut fastrand::Rng) -> usize {
    let mut sums: Vec<f64> = (1..=keys).map(|rank| 1.0 / rank as f64).collect();
    for index in 1..keys {
        sums[index] += sums[index - 1];
    }
    move |random| {
        let point = random.f64() * sums[keys - 1];
        sums.partition_point(|sum| *sum < point)
    }
}

fn uniform(keys: usize) -> impl FnMut(&mut fastrand::Rng) -> usize {
    move |random| random.usize(..keys)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn explore() {
    for (name, keys, max_keys, rate, is_zipf) in [
        ("uniform 100k in 100k", 100_000, 100_000, 20_000.0, false),
        ("zipf 100k in 100k", 100_000, 100_000, 20_000.0, true),
        ("uniform 100k in 5k", 100_000, 5_000, 20_000.0, false),
        ("zipf 100k in 5k", 100_000, 5_000, 20_000.0, true),
        ("zipf 300", 300, 5_000, 5_000.0, true),
        ("uniform 300", 300, 5_000, 5_000.0, false),
    ] {
        let mut world = World::new(builder(100.0).max_keys(max_keys));
        let kept = if is_zipf { world.run(40, rate, zipf(keys)) } else { world.run(40, rate, uniform(keys)) };
        println!("{name}: mean {:.1} {:?} {:?}", mean(&kept[10..]), kept.iter().map(|k| k.round()).collect::<Vec<_>>(), world.keys.stats());
        println!("{:?} {:?}", &world.keys.top(5), world.overflow_share());
    }
}
