//! Adaptive and limiting samplers as their users have them: settings, targets that change, pressure, delegates, ceilings.
//!
//! How well the controller follows hostile traffic is held where threads can be simulated, in `src/rate/control_loop.rs`.

mod traffic;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanKind;
use spanwright_core::Pressure;
use spanwright_sampling::{
    Adaptive, AdaptiveSampler, ComposableSampler, Intent, Outcome, Probability, RateLimiting, RateLimitingSampler,
    Reason, Sampler, StartingSpan, Tick, Ticker,
};

use traffic::{Roots, Ticked, parent, threshold};

const SECOND: Duration = Duration::from_secs(1);

/// As other rate limiters do: everything of one name at one probability.
#[derive(Debug)]
struct ByName([(&'static str, Probability); 2]);

impl ComposableSampler for ByName {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        match self.0.iter().find(|(name, _)| *name == span.name()) {
            Some((_, probability)) => probability.sampling_intent(span),
            None => Intent::drop(Reason::NoRule),
        }
    }

    fn description(&self) -> String {
        "ByName".to_owned()
    }
}

fn holding(target: f64, seed: u64) -> Roots<AdaptiveSampler> {
    let sampler = AdaptiveSampler::builder().target_per_second(target).build();
    Roots::new(sampler.expect("a target"), seed)
}

#[track_caller]
fn assert_near(value: f64, wanted: f64, tolerance: f64) {
    assert!((value / wanted - 1.0).abs() <= tolerance, "{value} is not {wanted}");
}

#[test]
fn what_is_kept_is_the_target_where_enough_is_kept_to_tell() {
    for seed in 1..=3 {
        let mut roots = holding(500.0, seed);
        let kept = roots.offer(2_000 * 20, 20 * SECOND);
        // Three standard deviations of ten thousand are 3 %.
        assert_near(kept, 500.0 * 20.0, 0.03);
    }
}

/// The cases of the Java contributions' `ConsistentRateLimitingSamplerTest`; where theirs grants the five seconds after a step, ours
/// has to be there in two.
#[test]
fn a_limiter_follows_a_constant_rate_and_steps_up_and_down() {
    for (before, after) in [(1_000, 1_000), (1_000, 10_000), (10_000, 1_000)] {
        let sampler = RateLimitingSampler::traces_per_second(100.0).build().unwrap();
        let mut roots = Roots::new(sampler, 7);
        let mut expected = |rate: u32, seconds: u32| {
            let earlier = roots.sampler.handle().stats().expected_kept;
            roots.offer(rate * seconds, seconds * SECOND);
            roots.sampler.handle().stats().expected_kept - earlier
        };
        expected(before, 5);
        assert_near(expected(before, 5), 500.0, 0.05);
        let first = expected(after, 2);
        assert_near(first, 200.0, 0.25);
        assert_near(expected(after, 5), 500.0, 0.05);
    }
}

#[test]
fn a_clock_of_whole_milliseconds_is_good_enough() {
    let mut roots = holding(100.0, 3);
    let start = roots.now;
    for millisecond in 0..20_000_u64 {
        // Ticks at times that are cut off, many of them twice.
        roots.sampler.tick(start + Duration::from_millis(millisecond / 3 * 3));
        roots.root("GET /");
        roots.root("GET /");
    }
    assert_near(roots.sampler.handle().stats().expected_kept, 100.0 * 20.0, 0.05);
}

#[test]
fn a_tick_that_goes_back_in_time_changes_nothing() {
    let mut roots = holding(100.0, 5);
    roots.offer(5_000, 5 * SECOND);
    let before = roots.sampler.handle().stats();
    roots.sampler.tick(roots.now - 3 * SECOND);
    assert_eq!(roots.sampler.handle().stats(), before);
    roots.offer(5_000, 5 * SECOND);
    assert_near(roots.sampler.handle().stats().expected_kept, 1_000.0, 0.05);
}

#[test]
fn a_delegates_probabilities_keep_their_proportions() {
    let delegate = ByName([
        ("checkout", Probability::new(0.6).unwrap()),
        ("search", Probability::new(0.4).unwrap()),
    ]);
    let sampler = AdaptiveSampler::builder()
        .target_per_second(300.0)
        .with_sampler(delegate)
        .build();
    let mut roots = Roots::new(sampler.unwrap(), 11);
    let mut kept = [0.0, 0.0];
    for _ in 0..20_000 {
        for (name, kept) in ["checkout", "search"].into_iter().zip(&mut kept) {
            let decision = roots.root(name);
            *kept += threshold(&decision).map_or(0.0, |_| 1.0);
        }
        assert_eq!(roots.root("health").outcome, Outcome::Drop);
        roots.pass(SECOND / 1_000);
    }
    // Three standard deviations of both are 6 %.
    assert_near(kept[0] / kept[1], 1.5, 0.06);
    let stats = roots.sampler.handle().stats();
    assert_near(stats.expected_kept, 300.0 * 20.0, 0.02);
    assert_near(stats.estimated_per_second, 1_000.0, 0.05);
    assert_eq!(stats.offered, 60_000);
}

#[test]
fn a_target_share_is_a_share_of_all_that_is_offered_and_has_a_limit() {
    let fixed = AdaptiveSampler::builder().target_ratio(0.05).build().unwrap();
    let mut roots = Roots::new(fixed, 2);
    roots.offer(10_000, SECOND);
    let stats = roots.sampler.handle().stats();
    assert_near(stats.expected_kept, 500.0, 1e-6);

    // A fifth of what a delegate leaves, which is half, is a tenth of all.
    let half = Probability::new(0.5).unwrap();
    let shared = AdaptiveSampler::builder()
        .target_ratio(0.1)
        .with_sampler(half)
        .build()
        .unwrap();
    let mut roots = Roots::new(shared, 2);
    roots.offer(2_000, 2 * SECOND);
    let earlier = roots.sampler.handle().stats().expected_kept;
    roots.offer(10_000, 10 * SECOND);
    assert_near(roots.sampler.handle().stats().expected_kept - earlier, 1_000.0, 0.001);

    let limited = AdaptiveSampler::builder()
        .target_ratio(0.5)
        .max_per_second(100.0)
        .build()
        .unwrap();
    let mut roots = Roots::new(limited, 2);
    roots.offer(1_000, 10 * SECOND);
    assert_near(roots.sampler.handle().stats().probability, 0.5, 1e-6);
    roots.offer(10_000, 5 * SECOND);
    let earlier = roots.sampler.handle().stats().expected_kept;
    roots.offer(20_000, 10 * SECOND);
    assert_near(roots.sampler.handle().stats().expected_kept - earlier, 1_000.0, 0.03);
}

#[test]
fn pressure_lowers_the_target_at_the_next_tick_and_it_comes_back_slowly() {
    let pressure = Pressure::new();
    let sampler = AdaptiveSampler::builder()
        .target_per_second(100.0)
        .with_pressure(pressure.clone())
        .build();
    let mut roots = Roots::new(sampler.unwrap(), 9);
    roots.offer(5_000, 5 * SECOND);
    let mut expected = |seconds: u32| {
        let earlier = roots.sampler.handle().stats().expected_kept;
        roots.offer(1_000 * seconds, seconds * SECOND);
        (roots.sampler.handle().stats().expected_kept - earlier) / f64::from(seconds)
    };
    pressure.set(0.75);
    assert_near(expected(1), 25.0, 0.5);
    assert_near(expected(4), 25.0, 0.05);
    pressure.set(1.0);
    expected(1);
    assert_near(expected(4), 1.0, 0.1);
    pressure.set(0.0);
    let first = expected(1);
    assert!(
        (15.0..50.0).contains(&first),
        "{first} in the first second without pressure"
    );
    expected(6);
    assert_near(expected(5), 100.0, 0.05);

    // A share is lowered too.
    let pressure = Pressure::new();
    pressure.set(0.5);
    let sampler = AdaptiveSampler::builder()
        .target_ratio(0.2)
        .with_pressure(pressure)
        .build();
    let mut roots = Roots::new(sampler.unwrap(), 9);
    roots.offer(1_000, SECOND);
    assert_near(roots.sampler.handle().stats().probability, 0.1, 1e-6);
}

#[test]
fn another_target_is_held_from_the_next_tick() {
    let mut roots = holding(100.0, 4);
    roots.offer(10_000, 10 * SECOND);
    let handle = roots.sampler.handle();
    handle.set_target_per_second(20.0).unwrap();
    assert!(roots.sampler.wants_tick());
    roots.offer(100, Ticker::INTERVAL);
    assert_near(handle.stats().probability, 0.02, 0.1);
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = handle.set_target_per_second(wrong).unwrap_err();
        assert_eq!(error.field(), "target_per_second");
    }
    let earlier = handle.stats().expected_kept;
    roots.offer(10_000, 10 * SECOND);
    assert_near(handle.stats().expected_kept - earlier, 200.0, 0.05);
}

#[test]
fn a_hard_ceiling_is_never_passed_and_what_it_costs_is_counted() {
    let sampler = AdaptiveSampler::builder()
        .target_per_second(10.0)
        .max_burst(1.5)
        .build();
    let mut roots = Roots::new(sampler.unwrap(), 8);
    roots.offer(100, 10 * SECOND);
    let mut tenths = Vec::new();
    let mut expected = 0.0;
    // Clumps of 200 out of a quiet ten a second.
    for tenth in 0..100 {
        for _ in 0..if tenth % 20 == 0 { 200 } else { 1 } {
            roots.root("GET /");
        }
        roots.pass(Ticker::INTERVAL);
        let sum = roots.sampler.handle().stats().expected_kept;
        tenths.push(sum - expected);
        expected = sum;
    }
    for second in tenths.windows(10).skip(10) {
        let kept: f64 = second.iter().sum();
        assert!(kept <= 15.0 + 1.0, "{kept} in a second");
    }
    let stats = roots.sampler.handle().stats();
    let burst = roots
        .sampler
        .stats()
        .decisions
        .into_iter()
        .find(|count| count.reason == Reason::Burst);
    let burst = burst.expect("a burst was dropped");
    assert_eq!((burst.dropped, burst.kept), (stats.limited, 0));
    assert_eq!(stats.offered, 100 + 5 * 200 + 95);
}

/// By how much the weights of the kept spans are more than the spans that were offered, and the variance of that.
///
/// A span that is kept with probability `p` adds `1 / p` with that probability: `(1 - p) / p` is its variance. The probability is
/// known before its randomness is looked at, so that both add up whatever the controller makes of what was before.
fn excess<S: Ticked>(sampler: S, seed: u64) -> (f64, f64) {
    let mut roots = Roots::new(sampler, seed);
    let (mut excess, mut variance) = (0.0, 0.0);
    // Quiet, a rush, silence, clumps.
    for rate in [200, 200, 4_000, 200, 0, 0, 200, 10, 2_000, 10] {
        roots.pass(if rate == 0 { SECOND } else { Duration::ZERO });
        for _ in 0..rate {
            roots.pass(SECOND / rate);
            let span = StartingSpan::new(None, roots.trace_id(), "GET /", &SpanKind::Server);
            let threshold = roots.sampler.composable().sampling_intent(&span).threshold();
            let threshold = threshold.expect("no ceiling is set");
            let weight = if threshold.keeps(span.randomness()) {
                threshold.adjusted_count()
            } else {
                0.0
            };
            excess += weight - 1.0;
            variance += threshold.adjusted_count() - 1.0;
        }
    }
    (excess, variance)
}

/// Horvitz and Thompson's estimate of how many there were is right for each target, within three standard deviations over many
/// seeds: where a hundred are kept per second, a bias of three hundredths would show.
#[test]
fn weights_are_unbiased_for_few_and_for_many() {
    for target in [5.0, 10.0, 100.0] {
        let adaptive = |seed| {
            excess(
                AdaptiveSampler::builder().target_per_second(target).build().unwrap(),
                seed,
            )
        };
        let limiting = |seed| excess(RateLimitingSampler::traces_per_second(target).build().unwrap(), seed);
        for (kind, runs) in [
            ("adaptive", (1..=30).map(adaptive).collect::<Vec<_>>()),
            ("limiting", (31..=60).map(limiting).collect()),
        ] {
            let excess: f64 = runs.iter().map(|run| run.0).sum();
            let variance: f64 = runs.iter().map(|run| run.1).sum();
            let deviations = excess / variance.sqrt();
            assert!(
                deviations.abs() <= 3.0,
                "{kind}, target {target}: {deviations:.2} standard deviations"
            );
        }
    }
}

#[test]
fn spans_are_limited_in_whole_traces() {
    let sampler = RateLimitingSampler::spans_per_second(300.0).build().unwrap();
    let mut roots = Roots::new(sampler, 6);
    let mut kept = 0.0;
    for round in 0..20_000 {
        let trace_id = roots.trace_id();
        let root = roots
            .sampler
            .sample(&StartingSpan::new(None, trace_id, "root", &SpanKind::Server));
        let context = parent(trace_id, &root);
        let children = roots.rng.u32(0..20);
        let is_settled = round >= 2_000;
        kept += if is_settled && context.is_sampled() {
            f64::from(1 + children)
        } else {
            0.0
        };
        for _ in 0..children {
            let child = StartingSpan::new(Some(&context), trace_id, "child", &SpanKind::Internal);
            let child = roots.sampler.sample(&child);
            assert_eq!(child.outcome, root.outcome);
            assert_eq!(threshold(&child), threshold(&root));
        }
        roots.pass(SECOND / 200);
    }
    // 90 seconds of 300, in traces of ten on average: 2 600 of them, 2 % each way for one standard deviation.
    assert_near(kept, 300.0 * 90.0, 0.06);
    assert_near(roots.sampler.handle().stats().estimated_per_second, 200.0 * 10.5, 0.1);
}

#[test]
fn a_question_leaves_no_trace() {
    let adaptive = holding(1.0, 1);
    let limiting = Roots::new(RateLimitingSampler::spans_per_second(1.0).build().unwrap(), 1);
    let trace_id = opentelemetry::TraceId::from(1);
    let root = StartingSpan::new(None, trace_id, "GET /", &SpanKind::Server);
    let context = parent(trace_id, &limiting.sampler.sample(&root));
    let child = StartingSpan::new(Some(&context), trace_id, "child", &SpanKind::Internal);
    let before = (adaptive.sampler.handle().stats(), limiting.sampler.handle().stats());
    for _ in 0..10_000 {
        let steps = adaptive.sampler.explain(&root);
        assert!(
            steps.iter().any(|step| step.contains("adaptive: wants a share of")),
            "{steps:?}"
        );
        assert!(!limiting.sampler.explain(&root).is_empty());
        assert!(!limiting.sampler.explain(&child).is_empty());
    }
    assert_eq!(
        (adaptive.sampler.handle().stats(), limiting.sampler.handle().stats()),
        before
    );
    assert!(!adaptive.sampler.wants_tick() && !limiting.sampler.wants_tick());
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let adaptive = Adaptive::builder().target_per_second(wrong).build().unwrap_err();
        assert_eq!(
            (adaptive.field(), adaptive.value()),
            ("target_per_second", &*wrong.to_string())
        );
        let max = Adaptive::builder()
            .target_ratio(0.1)
            .max_per_second(wrong)
            .build()
            .unwrap_err();
        assert_eq!(max.field(), "max_per_second");
        assert_eq!(
            Adaptive::builder().target_ratio(wrong).build().unwrap_err().field(),
            "target_ratio"
        );
        let limiting = RateLimiting::traces_per_second(wrong).build().unwrap_err();
        assert_eq!(
            (limiting.field(), limiting.accepted()),
            ("traces_per_second", "a finite number above 0")
        );
        assert_eq!(
            RateLimiting::spans_per_second(wrong).build().unwrap_err().field(),
            "spans_per_second"
        );
        let burst = RateLimiting::traces_per_second(1.0)
            .max_burst(wrong)
            .build()
            .unwrap_err();
        assert_eq!(burst.field(), "max_burst");
    }
    let wrong = [
        Adaptive::builder(),
        Adaptive::builder().target_per_second(1.0).target_ratio(0.5),
        Adaptive::builder().target_ratio(1.5),
        Adaptive::builder().target_per_second(1.0).max_per_second(1.0),
        Adaptive::builder().target_ratio(0.5).max_burst(2.0),
    ];
    let fields = wrong.map(|builder| builder.build().unwrap_err().field().to_owned());
    assert_eq!(
        fields,
        [
            "target_per_second",
            "target_per_second",
            "target_ratio",
            "max_per_second",
            "max_burst"
        ]
    );
}

#[test]
fn threads_lose_no_count_while_bursts_and_ticks_change_the_plan() {
    let sampler = AdaptiveSampler::builder().target_per_second(1_000.0).build().unwrap();
    let start = Roots::new(sampler.clone(), 0).now;
    let shares: f64 = thread::scope(|scope| {
        let decide = |seed: u64| {
            let mut roots = Roots::new(sampler.clone(), seed);
            move || (0..20_000).filter_map(|_| threshold(&roots.root("GET /"))).count() as f64
        };
        let threads = [1, 2, 3, 4].map(|seed| scope.spawn(decide(seed)));
        let mut now = start;
        while threads.iter().any(|thread| !thread.is_finished()) {
            now += Duration::from_millis(10);
            sampler.tick(now);
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let stats = sampler.handle().stats();
    assert_eq!(stats.offered, 80_000);
    // What was kept differs from what was expected by chance only.
    assert!(
        (shares - stats.expected_kept).abs() <= 5.0 * stats.expected_kept.sqrt(),
        "{shares}: {stats:?}"
    );
}

/// Tells of each tick.
struct Told(Sender<()>);

impl Tick for Told {
    fn tick(&self, _: Instant) {
        _ = self.0.send(());
    }
}

#[test]
fn one_that_is_spawned_is_ticked_by_the_process() {
    let sampler = AdaptiveSampler::builder().target_per_second(10.0).spawn().unwrap();
    let (sender, ticks) = channel();
    let told = Arc::new(Told(sender));
    Ticker::shared().drive(&told).unwrap();
    let mut roots = Roots::new(sampler.clone(), 1);
    // Within a second or so of fifty per tick the rate is found.
    let is_found = (0..100).any(|_| {
        ticks.recv_timeout(Duration::from_secs(60)).expect("a tick");
        for _ in 0..50 {
            roots.root("GET /");
        }
        sampler.handle().stats().estimated_per_second > 100.0
    });
    assert!(is_found, "{:?}", sampler.handle().stats());
}
