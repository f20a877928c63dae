//! The way of time: virtual clock, fixed seeds, sums of probabilities instead of chance.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use spanwright_core::{Clock, ManualClock, Pressure};

use super::*;
use crate::composable::ComposableSampler;
use crate::probability::{Randomness, Threshold};
use crate::reason::Reason;
use crate::sampler::{Outcome, Sampler};
use crate::span::{Explanation, StartingSpan};

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
        intent(&self.keys, key).0.probability()
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

    /// The sum of what `keys` keep in each of so many seconds, each having so many spans in a tick.
    fn offer_each(&mut self, seconds: usize, keys: &[(&str, usize)]) -> Vec<HashMap<String, f64>> {
        let second = |world: &mut Self| {
            let mut kept = HashMap::new();
            for _ in 0..10 {
                for (key, spans) in keys {
                    let more: f64 = (0..*spans).map(|_| world.offer(key)).sum();
                    *kept.entry((*key).to_owned()).or_default() += more;
                }
                world.tick();
            }
            kept
        };
        (0..seconds).map(|_| second(self)).collect()
    }

    fn assert_accounted(&self) {
        let stats = self.keys.stats();
        assert_eq!(stats.offered, self.offered, "{stats:?}");
    }
}

fn intent(keys: &PerKey, key: &str) -> (Threshold, Reason) {
    let span = StartingSpan::new(None, TraceId::from(1), key, &SpanKind::Server);
    let intent = keys.sampling_intent(&span);
    assert!(intent.is_reliable());
    (intent.threshold().unwrap(), intent.reason())
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

#[track_caller]
fn assert_near(value: f64, expected: f64, share: f64) {
    assert!((value - expected).abs() <= share * expected, "{value}, not {expected}");
}

#[test]
fn the_budget_is_kept_with_a_hundred_thousand_keys_whether_they_have_room_or_not() {
    for (max_keys, is_zipf) in [(100_000, false), (100_000, true), (5_000, false), (5_000, true)] {
        let mut world = World::new(builder(100.0).max_keys(max_keys));
        let mut next = 0;
        // Each key once, and then as it comes.
        world.run(10, 10_000.0, |_| {
            next += 1;
            next % 100_000
        });
        let kept = if is_zipf {
            world.run(20, 10_000.0, zipf(100_000))
        } else {
            world.run(20, 10_000.0, uniform(100_000))
        };
        assert_near(mean(&kept[5..]), 100.0, 0.05);
        world.assert_accounted();
        let stats = world.keys.stats();
        assert_near(stats.expected_kept, 3000.0, 0.05);
        if max_keys == 100_000 {
            // The keys of which both buckets are full.
            assert!(stats.overflow_spans < stats.offered / 1000, "{stats:?}");
        } else {
            assert!(stats.keys <= 5_000 && stats.overflow_spans > 0, "{stats:?}");
            assert!(stats.overflow_keys > 1_000, "{stats:?}");
        }
    }
}

#[test]
fn shares_are_max_min_fair() {
    let mut world = World::new(builder(100.0).with_weight(["d"], 2.0));
    let keys = [("a", 1), ("b", 2), ("c", 10), ("d", 40), ("e", 500)];
    let kept = world.offer_each(20, &keys);
    // 10 of a, which has no more, and the rest of 100 in five parts, of which d gets two.
    for (key, expected) in [("a", 10.0), ("b", 18.0), ("c", 18.0), ("d", 36.0), ("e", 18.0)] {
        let kept: Vec<f64> = kept[5..].iter().map(|kept| kept[key]).collect();
        assert_near(mean(&kept), expected, 0.05);
    }
    let top = world.keys.top(2);
    assert_eq!((top[0].key.as_str(), top[1].key.as_str()), ("e", "d"));
    assert_near(top[0].offered_per_second, 5000.0, 0.02);
    assert_near(top[0].probability, 18.0 / 5000.0, 0.1);
    assert_near(world.keys.stats().level, 18.0, 0.1);
}

#[test]
fn probabilities_are_fractions() {
    let mut world = World::new(builder(70.0));
    let kept = world.offer_each(10, &[("only", 10)]);
    assert_near(kept[9]["only"], 70.0, 0.03);
    let probability = intent(&world.keys, "only").0.probability();
    assert_near(probability, 0.7, 0.05);
}

#[test]
fn where_there_is_enough_for_all_everything_is_kept() {
    let mut world = World::new(builder(1000.0));
    let kept = world.offer_each(5, &[("a", 5), ("b", 1)]);
    assert!(
        kept[1..].iter().all(|kept| kept["a"] == 50.0 && kept["b"] == 10.0),
        "{kept:?}"
    );
    assert_eq!(world.keys.stats().level, f64::INFINITY);
}

#[test]
fn floors_are_kept_whatever_the_target() {
    let keys: Vec<String> = (0..50).map(|key| key.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(|key| (key.as_str(), 10)).collect();
    let mut world = World::new(builder(10.0).min_per_second(1.0));
    let kept = world.offer_each(10, &keys);
    for key in 0..50 {
        let kept: Vec<f64> = kept[5..].iter().map(|kept| kept[&key.to_string()]).collect();
        assert_near(mean(&kept), 1.0, 0.05);
    }
    // What asks for less than the floor is kept whole.
    world.offer_each(3, &[("rare", 0)]);
    let rare: f64 = (0..20)
        .map(|_| {
            let kept = world.offer("rare");
            world.offer_each(2, &keys);
            kept
        })
        .last()
        .unwrap();
    assert_eq!(rare, 1.0);
}

#[test]
fn each_span_is_accounted_once_whether_it_has_a_cell_or_not_and_whether_there_are_ticks_or_not() {
    let mut world = World::new(builder(10.0).max_keys(3));
    let mut overflow = 0;
    for round in 0..100 {
        for key in 0..5 {
            let (_, reason) = intent(&world.keys, &format!("{key}"));
            assert_eq!(reason == Reason::KeyOverflow, key >= 3);
            overflow += u64::from(reason == Reason::KeyOverflow);
            world.offered += 1;
            world.assert_accounted();
        }
        if round > 50 {
            world.tick();
        }
    }
    let stats = world.keys.stats();
    assert_eq!(stats.overflow_spans, overflow);
    assert_eq!((stats.keys, stats.overflow_keys, stats.claimed_keys), (3, 2, 3));
}

#[test]
fn ten_thousand_new_keys_at_once_do_not_break_the_budget() {
    // Within a tick, and spread over a second; once each, and five times.
    for (ticks, times) in [(1, 1), (1, 5), (10, 1), (10, 5)] {
        let mut world = World::new(builder(100.0).max_keys(20_000));
        world.run(12, 1000.0, uniform(100));
        let mut kept = 0.0;
        for tick in 0..10 {
            if tick < ticks {
                for key in (0..10_000).filter(|key| key % ticks == tick) {
                    kept += (0..times).map(|_| world.offer(&format!("new {key}"))).sum::<f64>();
                }
            }
            kept += world.run_tick(1000.0, &mut uniform(100));
        }
        assert!(
            kept <= 150.0,
            "{kept} in the second of the spike, {ticks} ticks, {times} times"
        );
        let after = world.run(10, 1000.0, uniform(100));
        assert_near(mean(&after), 100.0, 0.15);
        assert_near(mean(&after[5..]), 100.0, 0.05);
    }
}

#[test]
fn a_burst_of_one_key_is_held_within_the_tick() {
    for quiet in [0, 1, 5, 200] {
        let mut world = World::new(builder(100.0));
        let others: Vec<String> = (0..50).map(|key| key.to_string()).collect();
        let mut keys: Vec<_> = others.iter().map(|key| (key.as_str(), 2)).collect();
        keys.push(("key", quiet));
        world.offer_each(10, &keys);
        let before = world.keys.stats().expected_kept;
        keys.last_mut().unwrap().1 = 20_000;
        world.offer_each(1, &keys);
        let kept = world.keys.stats().expected_kept - before;
        assert!(kept < 150.0, "{kept} of a burst after {quiet} a tick");
    }
}

#[test]
fn steps_of_all_keys_at_once_are_followed_within_two_seconds() {
    for (before, after) in [(500.0, 5000.0), (5000.0, 500.0)] {
        for is_zipf in [true, false] {
            let mut world = World::new(builder(100.0));
            let mut pick: Box<dyn FnMut(&mut fastrand::Rng) -> usize> = if is_zipf {
                Box::new(zipf(3000))
            } else {
                Box::new(uniform(3000))
            };
            world.run(15, before, &mut pick);
            let kept = world.run(12, after, &mut pick);
            for (second, kept) in kept.iter().enumerate().skip(2) {
                assert!(
                    (kept - 100.0).abs() < 35.0,
                    "second {second} after {before} to {after}: {kept}"
                );
            }
            assert_near(mean(&kept[2..]), 100.0, 0.08);
        }
    }
}

#[test]
fn idle_keys_give_their_cells_up_and_others_get_them() {
    let mut world = World::new(builder(100.0).max_keys(100));
    let lap = |world: &mut World, from: usize| {
        for key in from..from + 100 {
            world.offer(&format!("{key}"));
        }
        (0..10).for_each(|_| world.tick());
    };
    (0..3).for_each(|_| lap(&mut world, 0));
    assert_eq!(world.keys.stats().keys, 100);
    (0..650).for_each(|_| world.tick());
    assert_eq!((world.keys.stats().keys, world.keys.stats().freed_keys), (0, 100));
    let before = world.keys.stats().overflow_spans;
    (0..3).for_each(|_| lap(&mut world, 100));
    assert_eq!(world.keys.stats().keys, 100);
    // While others are turned away, they go sooner.
    let overflow = world.keys.stats().overflow_spans;
    assert!(overflow - before < 3, "both buckets full, once a lap at most");
    (0..10).for_each(|_| lap(&mut world, 200));
    let stats = world.keys.stats();
    assert!(
        stats.overflow_spans - overflow > 0 && stats.freed_keys >= 190,
        "{stats:?}"
    );
    assert!(
        world
            .keys
            .top(200)
            .iter()
            .all(|share| share.key.parse::<usize>().unwrap() >= 200)
    );
    world.assert_accounted();
}

#[test]
fn pressure_lowers_what_is_kept_at_once_and_gives_it_back_slowly() {
    let pressure = Pressure::new();
    let mut world = World::new(builder(100.0).with_pressure(pressure.clone()));
    world.offer_each(5, &[("key", 1000)]);
    pressure.set(0.8);
    let kept = world.offer_each(8, &[("key", 1000)]);
    assert_near(kept[7]["key"], 20.0, 0.1);
    pressure.set(0.0);
    let kept = world.offer_each(15, &[("key", 1000)]);
    assert!(kept[0]["key"] < 70.0, "{kept:?}");
    assert_near(kept[14]["key"], 100.0, 0.05);
}

#[test]
fn kept_spans_stand_for_as_many_as_there_were_of_each_key_and_in_total() {
    for target in [5.0, 10.0, 100.0] {
        let sampler = builder(target).with_seed(3).build().unwrap();
        let clock = ManualClock::new();
        sampler.tick(clock.now());
        let mut random = fastrand::Rng::with_seed(2);
        let mut pick = zipf(30);
        // By key: how much more the kept spans stand for than there were, and the variance of that, sum((1 - p) / p).
        let mut counts = vec![(0.0, 0.0); 30 + 200];
        for tick in 0..600 {
            let spans = if tick % 100 == 50 { 2000 } else { 100 };
            for index in 0..spans {
                // A fifth of the clumps is of keys that never came before.
                let is_new = spans > 100 && index % 5 == 0;
                let key = if is_new { 30 + tick / 3 } else { pick(&mut random) };
                let (threshold, _) = intent(sampler.composable().root(), &key.to_string());
                let weight = threshold.adjusted_count();
                // Thresholds know nothing of randomness, so that one is as good as twenty times the same traffic.
                for _ in 0..20 {
                    let is_kept = threshold.keeps(Randomness::new(random.u64(..)));
                    counts[key].0 += if is_kept { weight } else { 0.0 } - 1.0;
                    counts[key].1 += weight - 1.0;
                }
            }
            clock.advance(TICK);
            sampler.tick(clock.now());
        }
        let z = |counts: &[(f64, f64)]| {
            let sum = |which: fn(&(f64, f64)) -> f64| counts.iter().map(which).sum::<f64>();
            sum(|count| count.0) / sum(|count| count.1).sqrt()
        };
        assert!(z(&counts).abs() < 3.0, "target {target}: {}", z(&counts));
        assert!(
            z(&counts[30..]).abs() < 3.0,
            "target {target}, new keys: {}",
            z(&counts[30..])
        );
        for key in 0..30 {
            let z = z(&counts[key..=key]);
            assert!(z.abs() < 3.0, "target {target}, key {key}: {z}");
        }
    }
}

#[test]
fn a_sampler_writes_down_what_its_kept_spans_stand_for() {
    let sampler = builder(20.0).with_seed(3).build().unwrap();
    let clock = ManualClock::new();
    sampler.tick(clock.now());
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..2000 {
        let trace = TraceId::from(random.u128(..));
        let span = StartingSpan::new(None, trace, "GET /", &SpanKind::Server);
        let decision = sampler.sample(&span);
        if decision.outcome == Outcome::RecordAndSample {
            let th = decision.trace_state.get("ot").unwrap().strip_prefix("th:").unwrap();
            assert!(Threshold::parse(th).unwrap().keeps(Randomness::of_trace_id(trace)));
        }
    }
    let decisions = sampler.stats().decisions;
    assert!(
        decisions.len() == 1 && decisions[0].reason == Reason::Key,
        "{decisions:?}"
    );
    // What was kept by chance, against the sum of probabilities.
    let expected = sampler.key_stats().expected_kept;
    assert!((decisions[0].kept as f64 - expected).abs() < 4.0 * expected.sqrt());
}

#[test]
fn threads_lose_no_count_while_cells_are_freed_and_taken_under_them() {
    let keys = builder(100.0).max_keys(40).build_composable().unwrap();
    let clock = ManualClock::new();
    keys.tick(clock.now());
    let (is_over, is_enough) = (AtomicBool::new(false), AtomicBool::new(false));
    let offered = AtomicU64::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (keys, offered, is_enough) = (&keys, &offered, &is_enough);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(worker);
                    // How often the other thread gets to run meanwhile is the machine's choice: so until it has done its part.
                    for round in 0..30_000_000_u64 {
                        if round >= 30_000 && is_enough.load(Ordering::Relaxed) {
                            break;
                        }
                        // One that all are at, and some that come and go.
                        let key = if round % 2 == 0 {
                            0
                        } else {
                            round / 500 * 10 + random.u64(..20)
                        };
                        intent(keys, &key.to_string());
                        offered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let ticker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // Idle keys go after a tick or two.
                clock.advance(Duration::from_secs(4));
                keys.tick(clock.now());
                let stats = keys.stats();
                assert!(stats.keys <= 40);
                let has_seen_both = stats.freed_keys > 100 && stats.overflow_spans > 0;
                is_enough.store(has_seen_both, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
    });
    let stats = keys.stats();
    assert_eq!(stats.offered, offered.into_inner());
    assert!(stats.freed_keys > 100 && stats.overflow_spans > 0, "{stats:?}");
}

#[test]
fn a_question_leaves_no_trace_and_is_answered_in_words() {
    let mut world = World::new(builder(50.0).max_keys(2));
    world.offer_each(5, &[("a", 10), ("b", 1)]);
    let ask = |name| {
        let explanation = Explanation::default();
        let span = StartingSpan::new(None, TraceId::from(1), name, &SpanKind::Server).explained_by(&explanation);
        let threshold = world.keys.sampling_intent(&span).threshold().unwrap();
        (threshold, explanation.into_steps().concat())
    };
    let (threshold, words) = ask("b");
    assert_eq!(
        (threshold.probability(), words.as_str()),
        (1.0, "per key: `b` by span_name; the budget leaves it a share of 1")
    );
    let (threshold, words) = ask("c");
    assert!(words.contains("`c`") && words.contains("keys without room"), "{words}");
    world.assert_accounted();
    assert_eq!(world.keys.stats().keys, 2);
    assert_eq!(intent(&world.keys, "c"), (threshold, Reason::KeyOverflow));
    assert_eq!(world.keys.description(), "ComposablePerKey{span_name}");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |builder: PerKeyBuilder| {
        let error = builder.build().unwrap_err();
        (error.field().to_owned(), error.value().to_owned())
    };
    let text = |field: &str, value: &str| (field.to_owned(), value.to_owned());
    assert_eq!(refused(PerKeySampler::builder()), text("target_per_second", "nothing"));
    for target in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(builder(target)).0, "target_per_second");
    }
    assert_eq!(refused(builder(1.0).max_keys(0)), text("max_keys", "0"));
    assert_eq!(refused(builder(1.0).max_keys(usize::MAX)).0, "max_keys");
    assert_eq!(
        refused(builder(1.0).min_per_second(-0.1)),
        text("min_per_second", "-0.1")
    );
    assert_eq!(refused(builder(1.0).overflow_share(1.0)), text("overflow_share", "1.0"));
    assert_eq!(
        refused(builder(1.0).with_weight(["key"], f64::NAN)),
        text("weight", "NaN")
    );
    assert!(builder(1.0).max_keys(1).min_per_second(0.0).build().is_ok());
}

#[test]
fn time_that_stands_still_or_goes_back_changes_nothing() {
    let mut world = World::new(builder(10.0));
    world.offer_each(3, &[("key", 100)]);
    let before = world.keys.stats();
    world.keys.tick(world.clock.now());
    world.keys.tick(world.clock.now() - Duration::from_secs(2));
    assert_eq!(world.keys.stats(), before);
    // And a long pause is not taken for a long tick's worth of a burst.
    world.clock.advance(Duration::from_secs(86_400));
    world.keys.tick(world.clock.now());
    assert!(world.keys.stats().budget <= 12.0 + 1e-9);
}
