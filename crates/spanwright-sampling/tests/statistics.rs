//! How many are kept, and which. The seeds are fixed: these tests say the same each time.

use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use spanwright_sampling::{
    CompositeSampler, OtelTraceState, Outcome, Precision, Probability, Randomness, Sampler, StartingSpan, Threshold,
};

/// A difference of so many standard deviations comes once in half a million times, if nothing is wrong.
const MOST_DEVIATIONS: f64 = 4.75;

const PROBABILITIES: [f64; 13] = [
    1e-6,
    1e-5,
    1e-4,
    0.001,
    0.01,
    0.1,
    0.25,
    1.0 / 3.0,
    0.5,
    2.0 / 3.0,
    0.9,
    0.999,
    1.0,
];

fn precision(digits: u8) -> Precision {
    Precision::new(digits).expect("in range")
}

fn trace_ids(seed: u64, count: usize) -> impl Iterator<Item = TraceId> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(move |_| TraceId::from(random.u128(1..)))
}

fn deviations(kept: f64, of: f64, probability: f64) -> f64 {
    let variance = of * probability * (1.0 - probability);
    if variance == 0.0 {
        (kept - of * probability).abs()
    } else {
        (kept - of * probability) / variance.sqrt()
    }
}

#[test]
fn no_probability_is_biased_on_a_million_traces() {
    const TRACES: usize = 1_000_000;
    let thresholds = PROBABILITIES.map(|probability| Threshold::from_probability(probability).unwrap());
    let mut kept = [0_u32; PROBABILITIES.len()];
    for trace_id in trace_ids(1, TRACES) {
        let randomness = Randomness::of_trace_id(trace_id);
        for (kept, threshold) in kept.iter_mut().zip(thresholds) {
            *kept += u32::from(threshold.keeps(randomness));
        }
    }
    for (kept, probability) in kept.into_iter().zip(PROBABILITIES) {
        let z = deviations(f64::from(kept), TRACES as f64, probability);
        assert!(z.abs() < MOST_DEVIATIONS, "{probability}: {kept} kept, {z} deviations");
    }
    assert_eq!(kept[PROBABILITIES.len() - 1], TRACES as u32, "with 1, all of them");
}

/// Sorted thresholds nest if they compare as they should, so what is held here is that a smaller probability has a threshold that
/// is not smaller, at whatever precision each is written, and that a decision is that comparison and nothing else.
#[test]
fn a_smaller_probability_keeps_a_subset_in_ten_million_comparisons() {
    const TRACES: usize = 100_000;
    const PAIRS: usize = 100;
    let mut random = fastrand::Rng::with_seed(2);
    let digits = [3, 4, 5, 14].map(precision);
    let mut pairs = Vec::new();
    while pairs.len() < PAIRS {
        // Of all sizes, and some of them close together.
        let larger = 10_f64.powf(-6.0 * random.f64());
        let smaller = larger * (1.0 - 10_f64.powf(-4.0 * random.f64()));
        let of = |random: &mut fastrand::Rng, probability| {
            let threshold = Threshold::from_probability(probability).unwrap();
            threshold.with_precision(digits[random.usize(..digits.len())])
        };
        let (low, high) = (of(&mut random, larger), of(&mut random, smaller));
        // Rounding may turn two around that are closer than a digit; each precision by itself never does.
        for precision in digits {
            let of = |probability| {
                Threshold::from_probability(probability)
                    .unwrap()
                    .with_precision(precision)
            };
            assert!(of(larger) <= of(smaller), "{larger} {smaller}");
        }
        if low <= high {
            pairs.push((low, high));
        }
    }
    let mut violations = 0;
    for trace_id in trace_ids(3, TRACES) {
        // Where it matters: half of the traces lie close to a threshold.
        let near = pairs[random.usize(..PAIRS)].0.bits() ^ random.u64(..1 << 20);
        let randomness = if random.bool() {
            Randomness::of_trace_id(trace_id)
        } else {
            Randomness::new(near)
        };
        for (low, high) in &pairs {
            violations += u32::from(high.keeps(randomness) && !low.keeps(randomness));
        }
    }
    assert_eq!(violations, 0, "of {}", TRACES * PAIRS);
}

fn sample(sampler: &impl Sampler, trace_id: TraceId) -> Option<Threshold> {
    let decision = sampler.sample(&StartingSpan::new(None, trace_id, "GET /", &SpanKind::Server));
    let threshold = decision.trace_state.get("ot").map(|ot| {
        OtelTraceState::parse(ot)
            .expect("in range")
            .threshold
            .expect("in range")
    });
    assert_eq!(threshold.is_some(), decision.outcome == Outcome::RecordAndSample);
    threshold
}

/// Horvitz and Thompson: each kept trace stands for as many as its `th` says, and together they stand for all.
#[test]
fn the_kept_stand_for_all_of_them() {
    const TRACES: usize = 40_000;
    for (seed, probability) in [(11, 0.5), (12, 0.1), (13, 0.01), (14, 1.0 / 3.0)] {
        for digits in [1, 3, 4, 14] {
            let ratio = Probability::new(probability).unwrap();
            let sampler = CompositeSampler::new(ratio.with_precision(precision(digits)));
            let kept = trace_ids(seed, TRACES).filter_map(|trace_id| sample(&sampler, trace_id));
            let (mut estimate, mut actual) = (0.0, 0.0);
            for threshold in kept {
                estimate += threshold.adjusted_count();
                actual = threshold.probability();
            }
            // A weight's variance: (1 - p) / p for each trace there was.
            let deviation = (TRACES as f64 * (1.0 - actual) / actual).sqrt();
            let z = (estimate - TRACES as f64) / deviation;
            assert!(
                z.abs() < MOST_DEVIATIONS,
                "{probability} with {digits} digits: {estimate}, {z} deviations"
            );
        }
    }
}

/// As go-contrib's `statistical_test.go` has it: trials of as many traces as a sampler is likely to see in a while; how often each
/// count came is held against how often the binomial distribution has it, at a level of one in twenty. Of twenty such tests one
/// fails on average if all is well, and hardly ever more than four.
#[test]
fn the_counts_of_many_trials_are_distributed_as_they_should_be() {
    const TRIALS: usize = 200;
    const TESTS: u64 = 20;
    for (probability, traces) in [(0.5, 40), (0.1, 100), (0.25, 60), (0.9, 100)] {
        let sampler = CompositeSampler::new(Probability::new(probability).unwrap());
        let mut failed = 0;
        for seed in 0..TESTS {
            let mut counts = vec![0_u32; traces + 1];
            let ids: Vec<_> = trace_ids(1000 + seed, TRIALS * traces).collect();
            for trial in ids.chunks(traces) {
                let kept = trial.iter().filter(|trace_id| sample(&sampler, **trace_id).is_some());
                counts[kept.count()] += 1;
            }
            failed += u32::from(!is_binomial(&counts, probability, TRIALS));
        }
        assert!((0..=4).contains(&failed), "{probability}: {failed} of {TESTS} trials");
    }
}

/// Pearson's test, with the counts in classes that are expected five times at least.
fn is_binomial(counts: &[u32], probability: f64, trials: usize) -> bool {
    let traces = counts.len() - 1;
    let (mut square, mut classes) = (0.0, 0);
    let (mut expected, mut observed) = (0.0, 0.0);
    let mut left = trials as f64;
    let mut mass = (1.0 - probability).powi(traces as i32);
    for (kept, count) in counts.iter().enumerate() {
        expected += mass * trials as f64;
        observed += f64::from(*count);
        mass *= (traces - kept) as f64 / (kept + 1) as f64 * probability / (1.0 - probability);
        let is_last = kept == traces;
        if is_last || (expected >= 5.0 && left - expected >= 5.0) {
            square += (observed - expected).powi(2) / expected;
            left -= expected;
            classes += 1;
            (expected, observed) = (0.0, 0.0);
        }
    }
    square < chi_square_at_5_percent(classes - 1)
}

/// Wilson and Hilferty's approximation of the quantile, which is off by less than a percent from 3 degrees of freedom on.
fn chi_square_at_5_percent(degrees: u32) -> f64 {
    const QUANTILE: f64 = 1.644_853_627;
    let degrees = f64::from(degrees);
    let spread = 2.0 / (9.0 * degrees);
    degrees * (1.0 - spread + QUANTILE * spread.sqrt()).powi(3)
}

/// What is said of ids that are not random: the last 56 bits decide, whatever they are.
#[test]
fn ids_that_count_upwards_are_kept_by_their_last_bits_alone() {
    let threshold = Threshold::from_probability(0.5).unwrap();
    let kept = (1..1000_u128).filter(|id| threshold.keeps(Randomness::of_trace_id(TraceId::from(*id))));
    assert_eq!(kept.count(), 0, "that is what an explicit randomness is for");
}
