use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{KeyValue, TraceId};
use parking_lot::Mutex;
use spanwright_core::semconv::{Metric, SAMPLER_POLLS, attribute};
use spanwright_core::{Clock, Event, ManualClock, NoopObserver, Observer};

use super::active::Active;
use super::answer;
use super::operations::Operations;
use super::strategy::{OperationStrategies, Strategy};
use crate::composable::{AlwaysOn, ComposableSampler, Probability};
use crate::remote::error::{RemoteError, RemoteErrorKind};
use crate::remote::schedule::Schedule;
use crate::remote::state::State;
use crate::sampler::Outcome;
use crate::span::StartingSpan;
use crate::ticker::Tick;

fn state(initial: impl ComposableSampler, follows_parents: bool, observer: Arc<dyn Observer>) -> State<Active> {
    let initial = Active::Initial(Arc::new(initial));
    State::new(initial, "none yet".to_owned(), follows_parents, true, observer)
}

/// A sampler without its thread, on a clock of the test's.
struct Bench {
    state: State<Active>,
    schedule: Schedule,
    now: Instant,
    random: fastrand::Rng,
}

impl Bench {
    fn new() -> Self {
        Self::with_observer(Arc::new(NoopObserver))
    }

    fn with_observer(observer: Arc<dyn Observer>) -> Self {
        let now = ManualClock::new().now();
        Self {
            state: state(AlwaysOn, true, observer),
            schedule: Schedule::new(Duration::from_secs(60), now, 1),
            now,
            random: fastrand::Rng::with_seed(9),
        }
    }

    fn apply(&mut self, json: &str) {
        self.apply_strategy(answer::json(json.as_bytes()).expect("a strategy"));
    }

    fn apply_strategy(&mut self, strategy: Strategy) {
        let booked = self.state.book(self.now, &mut self.schedule, Ok(Some(strategy)));
        booked.expect("applied");
    }

    fn fail(&mut self) {
        let error = RemoteError::new(RemoteErrorKind::Refused, "no");
        let booked = self.state.book(self.now, &mut self.schedule, Err(error));
        booked.expect_err("it failed");
    }

    /// A tenth of a second, with the tick at its end.
    fn pass(&mut self) {
        self.pass_by(Duration::from_millis(100));
    }

    fn pass_by(&mut self, time: Duration) {
        self.now += time;
        self.state.tick(self.now);
    }

    /// A trace that begins with a span of this name: its probability, and whether it was kept.
    fn root(&mut self, name: &str) -> (f64, bool) {
        let span = StartingSpan::new(None, TraceId::from(self.random.u128(..)), name, &SpanKind::Server);
        // A question has the same answer as what comes next.
        let explanation = crate::span::Explanation::default();
        let question = span.explained_by(&explanation);
        let in_force = self.state.in_force();
        let threshold = in_force.sampling_intent(&question).threshold();
        let decision = self.state.decide(&span);
        let is_kept = decision.outcome == Outcome::RecordAndSample;
        if is_kept {
            // Each says how many it stands for.
            let th = threshold.expect("a threshold").to_string();
            assert_eq!(decision.trace_state.get("ot"), Some(format!("th:{th}").as_str()));
        }
        (threshold.map_or(0.0, |threshold| threshold.probability()), is_kept)
    }

    /// Seconds of even traffic: for each, the sum of the probabilities, and how many were kept.
    fn run(&mut self, name: &str, per_second: u32, seconds: usize) -> Vec<(f64, u32)> {
        let second = |bench: &mut Self| {
            let mut sum = (0.0, 0);
            for tenth in 0..10 {
                for _ in 0..(per_second * (tenth + 1) / 10 - per_second * tenth / 10) {
                    let (probability, is_kept) = bench.root(name);
                    sum = (sum.0 + probability, sum.1 + u32::from(is_kept));
                }
                bench.pass();
            }
            sum
        };
        (0..seconds).map(|_| second(self)).collect()
    }

    fn share_of(&mut self, name: &str) -> f64 {
        self.root(name).0
    }
}

const PER_OPERATION: &str = r#"{"operationSampling":{"defaultSamplingProbability":0.001,
    "defaultLowerBoundTracesPerSecond":0.0166,
    "perOperationStrategies":[{"operation":"/x","probabilisticSampling":{"samplingRate":0.25}}]}}"#;

#[test]
fn each_row_of_the_wire_is_in_force_at_once() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sampling.json");
    let vectors: serde_json::Value = serde_json::from_slice(&fs::read(vectors).expect("vectors")).expect("JSON");
    let rows = vectors["M_jaeger_wire"]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3);
    let mut bench = Bench::new();

    bench.apply(&rows[0].to_string());
    assert_eq!(bench.share_of("/x"), 0.5);

    bench.apply(&rows[1].to_string());
    bench.run("/x", 100, 5);
    assert!((0.09..0.11).contains(&bench.share_of("/x")));

    bench.apply(&rows[2].to_string());
    assert_eq!(bench.share_of("/x"), 1.0);
    bench.run("/y", 100, 5);
    assert!((0.000_999..0.001_001).contains(&bench.share_of("/y")));
    assert_eq!(bench.state.books().generation, 3);
}

#[test]
fn a_rate_limit_limits_second_by_second() {
    let mut bench = Bench::new();
    bench.apply(r#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":10}}"#);
    bench.run("/x", 100, 2);
    let seconds = bench.run("/x", 100, 60);
    for (second, (expected, _)) in seconds.iter().enumerate() {
        assert!((9.0..=11.0).contains(expected), "second {second}: {expected}");
    }
    // By chance, 600 are 600 +- 23.
    let kept: u32 = seconds.iter().map(|(_, kept)| kept).sum();
    assert!((500..700).contains(&kept), "{kept}");

    // Another limit begins with what is known of the rate.
    bench.apply(r#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":20}}"#);
    for (expected, _) in bench.run("/x", 100, 5) {
        assert!((18.0..=22.0).contains(&expected), "{expected}");
    }

    bench.apply(r#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":0}}"#);
    bench.pass();
    assert!(bench.run("/x", 100, 5).iter().all(|(_, kept)| *kept == 0));
}

#[test]
fn an_operation_has_its_share_and_no_less_than_the_lower_bound() {
    let mut bench = Bench::new();
    bench.apply(PER_OPERATION);
    // 10 a second of /x: a quarter of them is more than the bound, as soon as the rate is known.
    bench.run("/x", 10, 2);
    assert!(bench.run("/x", 10, 5).iter().all(|(expected, _)| *expected == 2.5));
    // Of /y there are 5 a second, and 0.001 of these is too little. It is met, and after that has a bound of its own.
    bench.run("/y", 5, 120);
    let expected: f64 = bench.run("/y", 5, 600).iter().map(|(expected, _)| expected).sum();
    assert!(
        (9.0..11.0).contains(&expected),
        "{expected} of the 10 that are due in ten minutes"
    );
    // So has /z, whatever /y has used up.
    bench.run("/z", 5, 120);
    let expected: f64 = bench.run("/z", 5, 600).iter().map(|(expected, _)| expected).sum();
    assert!(
        (9.0..11.0).contains(&expected),
        "{expected} of the 10 that are due in ten minutes"
    );
}

#[test]
fn what_is_known_of_operations_survives_another_strategy() {
    let mut bench = Bench::new();
    bench.apply(PER_OPERATION);
    bench.run("/x", 10, 100);
    bench.run("/y", 10, 100);
    let before = bench.state.decisions().rules;
    let share = bench.share_of("/y");
    assert!(share < 0.01, "{share}");

    bench.apply(&PER_OPERATION.replace("0.25", "0.5"));
    // The rate of /y is known: it does not begin with all of them once more.
    assert_eq!(bench.share_of("/y"), share);
    // Nothing of /x has come for a while, so the first one is kept.
    let shares: Vec<_> = (0..20).map(|_| bench.share_of("/x")).collect();
    assert_eq!((shares[0], shares[19]), (1.0, 0.5));
    let after = bench.state.decisions().rules;
    for count in before {
        let now = after.iter().find(|now| now.rule == count.rule).expect("still there");
        assert!(
            now.dropped + now.kept >= count.dropped + count.kept,
            "{count:?} {now:?}"
        );
    }
}

#[test]
fn an_operation_that_is_named_no_more_is_one_of_the_others() {
    let mut bench = Bench::new();
    bench.apply(
        r#"{"operationSampling":{"defaultSamplingProbability":0.125,"perOperationStrategies":[
        {"operation":"/x","probabilisticSampling":{"samplingRate":0.25}}]}}"#,
    );
    assert_eq!((bench.share_of("/x"), bench.share_of("/y")), (0.25, 0.125));
    bench.apply(
        r#"{"operationSampling":{"defaultSamplingProbability":0.125,"perOperationStrategies":[
        {"operation":"/y","probabilisticSampling":{"samplingRate":0}}]}}"#,
    );
    assert_eq!((bench.share_of("/x"), bench.share_of("/y")), (0.125, 0.0));
    // A name is exact.
    assert_eq!((bench.share_of("/Y"), bench.share_of("/y/")), (0.125, 0.125));
}

#[test]
fn a_name_that_a_tick_has_taken_is_not_met_again_before_its_table_is_in_force() {
    let strategies = OperationStrategies {
        default_probability: 0.0,
        lower_bound: 1.0,
        probabilities: Vec::new(),
    };
    let in_force = Operations::new(&strategies, None);
    let meet = |name: &str| _ = in_force.intent(&StartingSpan::new(None, TraceId::from(1), name, &SpanKind::Server));
    let now = ManualClock::new().now();

    meet("/x");
    assert!(in_force.tick(now).is_some());
    meet("/x");
    assert!(
        in_force.tick(now + Duration::from_secs(1)).is_none(),
        "/x came in twice"
    );
    // Who misses the table for longer than that is a newcomer once more.
    meet("/x");
    assert!(in_force.tick(now + Duration::from_secs(2)).is_some());
}

#[test]
fn names_without_end_share_what_is_left() {
    let mut bench = Bench::new();
    bench.apply(PER_OPERATION);
    let names: Vec<_> = (0..2400).map(|number| format!("/{number}")).collect();
    for batch in names.chunks(60) {
        batch.iter().for_each(|name| _ = bench.root(name));
        // Names are taken up once a second.
        bench.pass_by(Duration::from_secs(1));
    }
    names.iter().for_each(|name| _ = bench.root(name));
    let operations = bench.state.decisions().rules;
    // With the one that is named, and the one for all others.
    assert_eq!(operations.len(), 2002);
    assert!(
        operations
            .iter()
            .any(|count| count.rule == "other operations" && count.dropped > 1000)
    );
    assert!(bench.share_of(&"n".repeat(1000)) > 0.0);
    let (_, is_others) = (
        bench.share_of("/0"),
        bench.state.decisions().rules[0].rule == "other operations",
    );
    assert!(is_others, "they stand in the order in which they were met");

    // Places that nobody has used for long are given to others.
    bench.pass_by(Duration::from_secs(1));
    bench.pass_by(Duration::from_secs(700));
    for _ in 0..3000 {
        bench.root("/new");
    }
    bench.pass_by(Duration::from_secs(1));
    bench.root("/new");
    let rules = bench.state.decisions().rules;
    assert!(
        rules.len() < 100 && rules.iter().any(|count| count.rule == "/new"),
        "{}",
        rules.len()
    );
}

#[test]
fn children_follow_their_parents_unless_told_otherwise() {
    let parent = |flags| {
        let state = TraceState::from_key_value([("ot", "th:0")]).expect("valid");
        SpanContext::new(TraceId::from(7), SpanId::from(8), flags, true, state)
    };
    let (sampled, unsampled) = (parent(TraceFlags::SAMPLED), parent(TraceFlags::NOT_SAMPLED));
    for follows in [true, false] {
        let mut bench = Bench::new();
        bench.state = state(AlwaysOn, follows, Arc::new(NoopObserver));
        bench.apply(r#"{"probabilisticSampling":{"samplingRate":0}}"#);
        let outcome = |parent| {
            let span = StartingSpan::new(Some(parent), TraceId::from(7), "/x", &SpanKind::Internal);
            bench.state.decide(&span).outcome
        };
        let expected = if follows {
            Outcome::RecordAndSample
        } else {
            Outcome::Drop
        };
        assert_eq!((outcome(&sampled), outcome(&unsampled)), (expected, Outcome::Drop));
    }
}

#[test]
fn until_a_strategy_comes_the_initial_one_decides() {
    let initial = Probability::new(0.5).expect("a share");
    let state = state(initial, true, Arc::new(NoopObserver));
    let span = StartingSpan::new(None, TraceId::from(u128::MAX), "/x", &SpanKind::Server);
    let decision = state.decide(&span);
    assert_eq!(decision.trace_state.get("ot"), Some("th:8"));
    assert_eq!(
        decision.attributes,
        [KeyValue::new(attribute::SAMPLING_ADJUSTED_COUNT, 2.0)]
    );
    assert_eq!(
        (state.books().words.as_str(), state.books().generation),
        ("none yet", 0)
    );
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn count(&self, metric: &'static Metric, delta: i64, attributes: &[(&'static str, &str)]) {
        assert_eq!(*metric, SAMPLER_POLLS);
        self.0.lock().push(format!("polls +{delta} {attributes:?}"));
    }

    fn event(&self, event: &Event<'_>) {
        self.0.lock().push(match event {
            Event::SamplingStrategyApplied { generation, strategy } => format!("applied {generation}: {strategy}"),
            Event::SamplingStrategyFailed { error } => format!("failed: {error}"),
            Event::SamplingStrategyRecovered { outage } => format!("recovered after {outage:?}"),
            other => format!("{other:?}"),
        });
    }
}

#[test]
fn a_change_is_told_once_and_each_poll_is_counted() {
    let heard = Arc::new(Heard::default());
    let mut bench = Bench::with_observer(Arc::clone(&heard) as _);
    let half = r#"{"probabilisticSampling":{"samplingRate":0.5}}"#;
    bench.fail();
    bench.pass();
    bench.fail();
    bench.pass();
    bench.apply(half);
    bench.apply(half);
    bench.fail();
    assert_eq!(bench.share_of("/x"), 0.5, "a failure changes nothing");
    let success = "polls +1 []";
    let failure = r#"polls +1 [("error.type", "refused")]"#;
    assert_eq!(
        *heard.0.lock(),
        [
            failure,
            "failed: no",
            failure,
            success,
            "recovered after 200ms",
            "applied 1: a share of 0.5",
            success,
            failure,
            "failed: no"
        ]
    );
    let books = bench.state.books();
    assert_eq!((books.polls, books.failures, books.generation), (5, 3, 1));
    assert_eq!(books.last_error.as_deref(), Some("no"));
    assert_eq!(
        books.success_age(bench.now + Duration::from_secs(5)),
        Some(Duration::from_secs(5))
    );
}

#[test]
fn a_decision_is_explained_and_the_question_leaves_no_trace() {
    let mut bench = Bench::new();
    bench.apply(PER_OPERATION);
    bench.run("/x", 10, 2);
    let before = (bench.state.decisions().rules, bench.state.decisions().decisions);
    let span = StartingSpan::new(None, TraceId::from(u128::MAX), "/x", &SpanKind::Server);
    let explanation = crate::span::Explanation::default();
    bench.state.decide(&span.explained_by(&explanation));
    let steps = explanation.into_steps().join("\n");
    assert!(
        steps.contains("`/x` has a share of 0.25, and at least 0.0166 traces/s"),
        "{steps}"
    );
    assert!(steps.contains("kept by rule `/x`"), "{steps}");
    let unknown = StartingSpan::new(None, TraceId::from(1), "/unknown", &SpanKind::Server);
    let explanation = crate::span::Explanation::default();
    bench.state.decide(&unknown.explained_by(&explanation));
    (0..20).for_each(|_| bench.pass());
    assert_eq!(
        (bench.state.decisions().rules, bench.state.decisions().decisions),
        before
    );
}

/// Weights: what is kept, each with its adjusted count, is what was offered.
#[test]
fn the_weights_are_right_under_the_floor_too() {
    let mut bench = Bench::new();
    let strategies = OperationStrategies {
        default_probability: 0.01,
        lower_bound: 5.0,
        probabilities: Vec::new(),
    };
    bench.apply_strategy(Strategy::PerOperation(strategies));
    let (mut offered, mut estimated, mut variance) = (0.0, 0.0, 0.0);
    for second in 0..400 {
        for _ in 0..(20 + 180 * u32::from(second % 7 == 0)) {
            let (probability, is_kept) = bench.root("/x");
            offered += 1.0;
            estimated += if is_kept { 1.0 / probability } else { 0.0 };
            variance += (1.0 - probability) / probability;
        }
        (0..10).for_each(|_| bench.pass());
    }
    let z = (estimated - offered) / f64::sqrt(variance);
    assert!(z.abs() < 3.0, "{estimated} of {offered}, z = {z}");
}
