//! What is kept stands for the right number of what was there: Horvitz-Thompson counts with fixed seeds.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod tail_support;

use std::time::Duration;

use opentelemetry::TraceId;
use spanwright_sampling::{TailPolicy, TailSampler, TailSamplerBuilder, Threshold, Trigger};

use self::tail_support::{Queue, Span, end, root, span, start};

/// Many estimates of numbers that are known.
#[derive(Default)]
struct Errors {
    errors: Vec<f64>,
    truth: f64,
}

impl Errors {
    fn add(&mut self, estimate: f64, truth: f64) {
        self.errors.push(estimate - truth);
        self.truth += truth;
    }

    /// The sum of the errors is zero, within three of its own standard deviations; and those are small enough to say something.
    #[track_caller]
    fn assert_unbiased(&self, what: &str, max_deviation: f64) {
        let count = self.errors.len() as f64;
        let mean = self.errors.iter().sum::<f64>() / count;
        let variance = self.errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let z = mean / (variance / count).sqrt();
        assert!(z.abs() < 3.0, "{what}: z = {z:.2}");
        let deviation = (variance * count).sqrt() / self.truth;
        assert!(
            deviation < max_deviation,
            "{what}: a deviation of {deviation:.4} shows nothing"
        );
    }
}

fn weight(queue: &mut Queue, is_counted: impl Fn(u32) -> bool) -> f64 {
    let released = queue.released.iter().filter(|record| is_counted(record.number));
    released
        .map(|record| record.threshold().expect("a weight").adjusted_count())
        .sum()
}

fn builder() -> TailSamplerBuilder {
    TailSampler::builder()
        .with_max_traces(2_000)
        .with_max_bytes(16 << 20)
        .with_kept_decisions(100)
        .with_dropped_decisions(100)
        .with_entropy(|| 7)
}

/// A budget of `k` in many seconds, and traces of heads of these probabilities by turns.
fn budget(k: u32, seconds: usize, traces: usize, heads: &[f64], max_deviation: f64) {
    let sampler = builder().with_policy(TailPolicy::budget(k)).build().unwrap();
    let mut random = fastrand::Rng::with_seed(k.into());
    let (mut queue, mut errors) = (Queue::new(), Errors::default());
    let mut now = start();
    sampler.poll(now, &mut queue);
    for _ in 0..seconds {
        let traces = random.usize(traces / 2..traces * 3 / 2);
        for number in 0..traces {
            let head = Threshold::from_probability(heads[number % heads.len()]).unwrap();
            let root = root(TraceId::from(random.u128(..)), 0);
            if head.keeps(root.randomness()) {
                end(&sampler, &root.sampled(&format!("ot=th:{head}")), &mut queue);
            }
        }
        now += Duration::from_secs(1);
        sampler.poll(now, &mut queue);
        assert_eq!(sampler.held().items, 0);
        assert!(queue.released.len() <= k as usize, "over the budget");
        errors.add(weight(&mut queue, |_| true), traces as f64);
        queue.take();
    }
    errors.assert_unbiased(&format!("k = {k}, heads {heads:?}"), max_deviation);
}

#[test]
fn a_budget_counts_right_for_any_number_of_traces() {
    budget(5, 1_500, 40, &[1.0], 0.015);
    budget(10, 1_000, 60, &[1.0], 0.015);
    budget(100, 100, 400, &[1.0], 0.015);
}

#[test]
fn a_budget_counts_right_behind_heads_of_any_probability() {
    budget(5, 1_500, 60, &[1.0, 0.5, 0.1], 0.03);
    budget(10, 1_000, 80, &[0.3, 0.9], 0.02);
    budget(100, 100, 400, &[1.0, 0.2], 0.02);
}

#[test]
fn a_second_with_fewer_traces_than_the_budget_keeps_them_all_as_one_each() {
    let sampler = builder().with_policy(TailPolicy::budget(10)).build().unwrap();
    let mut queue = Queue::new();
    let now = start();
    sampler.poll(now, &mut queue);
    for number in 0..10 {
        end(
            &sampler,
            &root(TraceId::from(u128::from(number) + 1), number),
            &mut queue,
        );
    }
    assert_eq!(queue.total(), 0);
    sampler.poll(now + Duration::from_secs(1), &mut queue);
    assert_eq!(weight(&mut queue, |_| true), 10.0);
    assert_eq!(queue.released.len(), 10);
}

#[test]
fn a_reason_that_comes_after_the_root_is_none_while_the_budget_decides() {
    let sampler = builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::budget(1))
        .build()
        .unwrap();
    let mut queue = Queue::new();
    let now = start();
    sampler.poll(now, &mut queue);
    let (low, high) = (TraceId::from(1 << 50), TraceId::from(1 << 51));
    end(&sampler, &root(low, 1), &mut queue);
    end(&sampler, &span(low, 2).with_error(), &mut queue);
    end(&sampler, &root(high, 3), &mut queue);
    assert_eq!((queue.take_numbers(), queue.discarded), (vec![], 2));
    sampler.poll(now + Duration::from_secs(1), &mut queue);
    let released = queue.take();
    assert_eq!(released[0].threshold(), Threshold::from_bits((1 << 50) + 1));
}

#[test]
fn reasons_beside_a_budget_keep_their_weights() {
    let sampler = builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::root_name(["GET /half"]).with_ratio(0.5))
        .with_policy(TailPolicy::budget(8))
        .with_policy(TailPolicy::probability(0.09))
        .build()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut queue = Queue::new();
    let (mut all, mut half, mut failed) = (Errors::default(), Errors::default(), Errors::default());
    let mut now = start();
    sampler.poll(now, &mut queue);
    let head = Threshold::from_probability(0.5).unwrap();
    for _ in 0..1_000 {
        let mut counts = [0_usize; 3];
        for number in 0..100 {
            let (kind, name) = match number % 10 {
                0 => (0, "GET /"),
                1..=3 => (1, "GET /half"),
                _ => (2, "GET /"),
            };
            counts[kind] += 1;
            let root = Span {
                name,
                is_error: kind == 0,
                ..root(TraceId::from(random.u128(..)), kind as u32)
            };
            if head.keeps(root.randomness()) {
                end(&sampler, &root.sampled("ot=th:8"), &mut queue);
            }
        }
        now += Duration::from_secs(1);
        sampler.poll(now, &mut queue);
        all.add(weight(&mut queue, |_| true), 100.0);
        failed.add(weight(&mut queue, |kind| kind == 0), counts[0] as f64);
        half.add(weight(&mut queue, |kind| kind == 1), counts[1] as f64);
        let of_errors = queue.released.iter().filter(|record| record.number == 0);
        assert!(
            of_errors.clone().all(|record| record.threshold() == Some(head)),
            "an error is kept at its head's"
        );
        queue.take();
    }
    all.assert_unbiased("all", 0.02);
    failed.assert_unbiased("errors", 0.02);
    half.assert_unbiased("half", 0.02);
    let stats = sampler.stats();
    assert!(
        stats
            .policies
            .iter()
            .all(|policy| policy.policy == "none" || policy.kept > 0),
        "{stats:?}"
    );
}

/// Roots that never end, traces that grow too large and memory that is short: an early decision weighs right, too.
#[test]
fn traces_that_cannot_wait_count_right() {
    let sampler = builder()
        .with_policy(TailPolicy::budget(20))
        .with_policy(TailPolicy::probability(0.05))
        .with_max_traces(96)
        .with_max_spans_per_trace(4)
        .build()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(4);
    let (mut queue, mut errors) = (Queue::new(), Errors::default());
    let mut now = start();
    sampler.poll(now, &mut queue);
    // The first second knows no threshold yet.
    for second in 0..600 {
        for _ in 0..150 {
            let id = TraceId::from(random.u128(..));
            // Only the first span of each is counted: the others come with it or later.
            end(&sampler, &span(id, 1), &mut queue);
            match random.u8(0..4) {
                0 => {}
                1 => (0..6).for_each(|_| end(&sampler, &span(id, 0), &mut queue)),
                _ => end(&sampler, &root(id, 0), &mut queue),
            }
        }
        now += Duration::from_secs(1);
        sampler.poll(now, &mut queue);
        if second % 20 == 19 {
            // Those that are held at the moment are the next block's.
            errors.add(weight(&mut queue, |number| number == 1), 20.0 * 150.0);
            queue.take();
        }
    }
    let stats = sampler.stats();
    for trigger in [Trigger::Memory, Trigger::TraceSize, Trigger::Window] {
        let count = stats.by_trigger(trigger);
        assert!(count.kept > 100 && count.dropped > 100, "{count:?}");
    }
    errors.errors.remove(0);
    errors.assert_unbiased("early", 0.02);
}
