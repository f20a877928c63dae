use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, TraceId};
use spanwright_core::{Clock, ManualClock, NoopObserver};

use super::answer;
use super::rules::Rules;
use super::service::{Service, kind};
use super::statistics::{Counts, Statistics};
use super::strategy::{RuleSet, RuleSpec};
use super::target::Target;
use crate::composable::ComposableSampler;
use crate::remote::schedule::Schedule;
use crate::remote::state::State;
use crate::sampler::Outcome;
use crate::span::{Explanation, StartingSpan};
use crate::ticker::{Tick, Ticker};

/// The start of 2026 in seconds since 1970, as [`ManualClock`] has it.
const EPOCH: f64 = 1_767_225_600.0;

fn rule(name: &str, priority: u32) -> RuleSpec {
    let any = || "*".to_owned();
    RuleSpec {
        name: name.into(),
        priority,
        fixed_rate: 0.0,
        reservoir_size: 0.0,
        service_name: any(),
        service_type: any(),
        resource_arn: any(),
        host: any(),
        method: any(),
        path: any(),
        attributes: Vec::new(),
    }
}

/// A sampler without its thread, on a clock of the test's.
struct Bench {
    state: State<Rules>,
    schedule: Schedule,
    clock: ManualClock,
    random: fastrand::Rng,
}

impl Bench {
    fn new(rules: Vec<RuleSpec>) -> Self {
        let clock = ManualClock::new();
        let service = Service {
            name: "Checkout".to_owned(),
            kind: kind("aws_ecs"),
            arn: Some("arn:aws:ecs:eu:1:container/a".to_owned()),
        };
        let initial = Rules::none_yet(service);
        let mut bench = Self {
            state: State::new(initial, "none yet".to_owned(), true, false, Arc::new(NoopObserver)),
            schedule: Schedule::new(Duration::from_secs(300), clock.now(), 1),
            clock,
            random: fastrand::Rng::with_seed(5),
        };
        if !rules.is_empty() {
            bench.apply(rules);
        }
        bench
    }

    fn apply(&mut self, rules: Vec<RuleSpec>) {
        let now = self.clock.now();
        let booked = self.state.book(now, &mut self.schedule, Ok(Some(RuleSet::new(rules))));
        booked.expect("applied");
    }

    fn grant(&self, target: &Target) {
        let since = self.clock.system_time().duration_since(std::time::UNIX_EPOCH);
        let seconds = since.expect("after 1970").as_secs_f64();
        self.state.in_force().root().grant(target, self.clock.now(), seconds);
    }

    /// Which rule decides about a span with these attributes.
    fn rule_for(&self, attributes: &[(&'static str, &'static str)]) -> String {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| KeyValue::new(*key, *value))
            .collect();
        let span = StartingSpan::new(None, TraceId::from(1), "/x", &SpanKind::Server).with_details(&attributes, &[]);
        let in_force = self.state.in_force();
        let intent = in_force.root().sampling_intent(&span);
        intent.rule().expect("a rule").name().to_owned()
    }

    /// The probability of a trace, and whether it was kept.
    fn root(&mut self) -> (f64, bool) {
        let span = StartingSpan::new(None, TraceId::from(self.random.u128(..)), "/x", &SpanKind::Server);
        let explanation = Explanation::default();
        let threshold = self
            .state
            .in_force()
            .sampling_intent(&span.explained_by(&explanation))
            .threshold();
        let decision = self.state.decide(&span);
        let is_kept = decision.outcome == Outcome::RecordAndSample;
        if is_kept {
            let th = threshold.expect("a threshold").to_string();
            assert_eq!(decision.trace_state.get("ot"), Some(format!("th:{th}").as_str()));
        }
        (threshold.map_or(0.0, |threshold| threshold.probability()), is_kept)
    }

    /// Seconds of even traffic: for each, the sum of the probabilities.
    fn run(&mut self, per_second: usize, seconds: usize) -> Vec<f64> {
        let second = |bench: &mut Self| {
            let mut sum = 0.0;
            for _ in 0..10 {
                for _ in 0..per_second / 10 {
                    sum += bench.root().0;
                }
                bench.clock.advance(Ticker::INTERVAL);
                bench.state.tick(bench.clock.now());
            }
            sum
        };
        (0..seconds).map(|_| second(self)).collect()
    }

    fn statistics(&self, is_wished: bool) -> Vec<Statistics> {
        self.state.in_force().root().statistics(self.clock.now(), is_wished)
    }

    fn report(&self, statistics: &[Statistics]) {
        let in_force = self.state.in_force();
        statistics
            .iter()
            .for_each(|statistics| in_force.root().reported(statistics, self.clock.now()));
    }
}

fn mean(seconds: &[f64]) -> f64 {
    seconds.iter().sum::<f64>() / seconds.len() as f64
}

#[test]
fn rules_go_by_priority_and_then_by_name_and_the_last_of_a_name_counts() {
    let set = RuleSet::new(vec![
        rule("Default", 10_000),
        rule("b", 2),
        rule("c", 1),
        rule("a", 2),
        RuleSpec {
            fixed_rate: 0.5,
            ..rule("c", 3)
        },
    ]);
    let names: Vec<_> = set.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["a", "b", "c", "Default"]);
    assert_eq!(set.rules[2].fixed_rate, 0.5);
    assert_eq!(set.to_string(), "4 rules: `a`, `b`, `c`, `Default`");
    let many = RuleSet::new((0..9).map(|index| rule(&index.to_string(), 1)).collect());
    assert!(many.to_string().ends_with("`7`, .."), "{many}");
}

#[test]
fn a_rule_fits_by_patterns_in_which_case_does_not_count() {
    let get = RuleSpec {
        method: "get".to_owned(),
        path: "/API/*/item?".to_owned(),
        host: "*.example.com".to_owned(),
        ..rule("get", 1)
    };
    let paid = RuleSpec {
        attributes: vec![
            ("tier".to_owned(), "Gold*".to_owned()),
            ("n".to_owned(), "*".to_owned()),
        ],
        ..rule("paid", 2)
    };
    let bench = Bench::new(vec![get, paid, rule("Default", 10_000)]);
    let method = ("http.request.method", "GET");
    let host = ("server.address", "A.Example.Com");
    assert_eq!(bench.rule_for(&[method, ("url.path", "/api/v1/x/items"), host]), "get");
    assert_eq!(
        bench.rule_for(&[method, ("http.url", "http://h/api/v1/item1?q=/"), host]),
        "get"
    );
    assert_eq!(bench.rule_for(&[method, ("url.path", "/api/item1"), host]), "Default");
    assert_eq!(
        bench.rule_for(&[method, ("url.path", "/api/v1/items")]),
        "Default",
        "no host"
    );
    assert_eq!(
        bench.rule_for(&[("url.path", "/api/v1/items"), host]),
        "Default",
        "no method"
    );
    assert_eq!(bench.rule_for(&[("tier", "golden"), ("n", "")]), "paid");
    assert_eq!(
        bench.rule_for(&[("tier", "gold")]),
        "Default",
        "each of them must be there"
    );
    assert_eq!(bench.rule_for(&[]), "Default");
}

#[test]
fn rules_for_other_services_are_none_of_ours() {
    let with = |change: fn(&mut RuleSpec)| {
        let mut changed = rule("r", 1);
        change(&mut changed);
        Bench::new(vec![changed, rule("Default", 10_000)]).rule_for(&[])
    };
    assert_eq!(with(|rule| rule.service_name = "check*".to_owned()), "r");
    assert_eq!(with(|rule| rule.service_name = "cart".to_owned()), "Default");
    assert_eq!(with(|rule| rule.service_type = "aws::ECS::*".to_owned()), "r");
    assert_eq!(
        with(|rule| rule.service_type = "AWS::Lambda::Function".to_owned()),
        "Default"
    );
    assert_eq!(with(|rule| rule.resource_arn = "arn:aws:ecs:*".to_owned()), "r");
    assert_eq!(
        with(|rule| rule.resource_arn = "arn:aws:lambda:*".to_owned()),
        "Default"
    );
    // Whatever else it says, and in place of rules that fit nothing.
    let default = RuleSpec {
        service_name: "cart".to_owned(),
        path: "/never".to_owned(),
        ..rule("Default", 10_000)
    };
    assert_eq!(Bench::new(vec![default]).rule_for(&[]), "Default");
    let none = RuleSpec {
        path: "/never".to_owned(),
        ..rule("r", 1)
    };
    assert_eq!(Bench::new(vec![none]).rule_for(&[]), "no rule");
}

#[test]
fn before_there_are_rules_it_is_one_a_second_and_a_twentieth() {
    let mut bench = Bench::new(Vec::new());
    bench.run(100, 5);
    let kept = mean(&bench.run(100, 60));
    assert!((5.8..6.1).contains(&kept), "{kept} of 1 and 0.05 * 99");
    assert_eq!(bench.statistics(true), [], "nobody asks for these");
}

#[test]
fn a_rule_borrows_until_it_has_a_quota_and_again_when_that_has_expired() {
    let limited = RuleSpec {
        reservoir_size: 50.0,
        fixed_rate: 0.1,
        ..rule("Default", 10_000)
    };
    let mut bench = Bench::new(vec![limited]);
    bench.run(100, 5);
    let kept = mean(&bench.run(100, 30));
    assert!((10.7..11.1).contains(&kept), "{kept} of 1 and 0.1 * 99");

    let mut target = Target {
        rule: "Default".to_owned(),
        fixed_rate: Some(0.2),
        quota: Some(20.0),
        quota_ends: Some(EPOCH + 35.0 + 15.0),
        interval_seconds: None,
    };
    bench.grant(&target);
    bench.run(100, 5);
    let kept = mean(&bench.run(100, 10));
    assert!((35.0..37.0).contains(&kept), "{kept} of 20 and 0.2 * 80");
    // It has ended by now. The rate is the last one that was said.
    bench.run(100, 5);
    let kept = mean(&bench.run(100, 20));
    assert!((20.4..21.2).contains(&kept), "{kept} of 1 and 0.2 * 99");

    // One that has passed is none, one of nothing is one, and one without end ends in a day.
    target.quota_ends = Some(-1e300);
    bench.grant(&target);
    assert!(mean(&bench.run(100, 10)) < 22.0);
    target.quota = Some(0.0);
    target.quota_ends = Some(1e300);
    bench.grant(&target);
    assert!(bench.run(100, 10).iter().all(|kept| (kept - 20.0).abs() < 0.01));
    bench.clock.advance(Duration::from_secs(24 * 60 * 60));
    bench.state.tick(bench.clock.now());
    bench.run(100, 5);
    assert!((20.4..21.2).contains(&mean(&bench.run(100, 20))));
}

#[test]
fn an_empty_reservoir_lends_nothing() {
    let mut bench = Bench::new(vec![rule("Default", 10_000)]);
    assert!(bench.run(100, 10).iter().all(|kept| *kept == 0.0));
}

#[test]
fn what_was_counted_is_reported_once_it_is_due_and_again_if_it_was_not_taken() {
    let limited = RuleSpec {
        reservoir_size: 10.0,
        ..rule("Default", 10_000)
    };
    let mut bench = Bench::new(vec![limited]);
    assert_eq!(bench.statistics(true), [], "nothing to tell");
    bench.run(100, 10);
    let first = bench.statistics(false);
    let [Statistics { rule, counts }] = &first[..] else {
        panic!("{first:?}")
    };
    assert_eq!((rule.as_str(), counts.requests), ("Default", 1000));
    assert!(counts.borrowed <= counts.sampled && counts.sampled < 40, "{counts:?}");
    assert_eq!(bench.statistics(false), first, "it was not taken");

    bench.report(&first);
    assert_eq!(bench.statistics(true), []);
    bench.run(100, 5);
    assert_eq!(bench.statistics(false), [], "not due");
    bench.run(100, 5);
    let second = bench.statistics(false);
    assert_eq!(second[0].counts.requests, 1000);
    bench.report(&second);

    // The server wants it less often, and grants a quota, so that nothing is borrowed any more.
    bench.grant(&Target {
        rule: "Default".to_owned(),
        quota: Some(50.0),
        quota_ends: Some(EPOCH + 1000.0),
        interval_seconds: Some(30.0),
        ..Target::default()
    });
    bench.run(100, 20);
    assert_eq!(bench.statistics(false), []);
    bench.run(100, 10);
    let third = bench.statistics(false)[0].counts;
    assert_eq!(third.requests, 3000);
    assert!((1200..1800).contains(&third.sampled), "{third:?}");
    let borrowed = [first[0].counts, second[0].counts, third].map(|counts| counts.borrowed);
    let sum: u64 = borrowed.iter().sum();
    assert!((12..=22).contains(&sum), "{borrowed:?} of 20 seconds");

    let stats = bench.state.decisions().rules;
    let [default, _] = &stats[..] else { panic!("{stats:?}") };
    let reported = first[0].counts.plus(second[0].counts).plus(third);
    assert_eq!(
        (default.kept, default.kept + default.dropped),
        (reported.sampled, reported.requests)
    );
}

#[test]
fn a_document_has_the_names_of_the_protocol() {
    let counts = Counts {
        requests: 3,
        sampled: 2,
        borrowed: 1,
    };
    let rule = "r".to_owned();
    let document = Statistics { rule, counts }.document("0123456789abcdef01234567", 1_767_225_600);
    let expected = r#"{"BorrowCount":1,"ClientID":"0123456789abcdef01234567","RequestCount":3,"RuleName":"r","SampledCount":2,"Timestamp":1767225600}"#;
    assert_eq!(document.to_string(), expected);
    let id = super::client::Client::random_id();
    assert!(
        id.len() == 24 && id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{id}"
    );
}

#[test]
fn what_is_known_of_a_rule_survives_other_rules() {
    let limited = RuleSpec {
        reservoir_size: 50.0,
        fixed_rate: 0.1,
        ..rule("Default", 10_000)
    };
    let mut bench = Bench::new(vec![limited.clone()]);
    bench.grant(&Target {
        rule: "Default".to_owned(),
        fixed_rate: Some(0.2),
        quota: Some(20.0),
        quota_ends: Some(EPOCH + 1000.0),
        interval_seconds: None,
    });
    bench.run(100, 10);
    let before = bench.root().0;
    let other = RuleSpec {
        path: "/never".to_owned(),
        ..rule("other", 1)
    };
    bench.apply(vec![limited.clone(), other]);
    assert_eq!(bench.root().0, before, "rate, quota and what is known of the traffic");
    assert_eq!(bench.statistics(true)[0].counts.requests, 1002);
    let rate = RuleSpec {
        fixed_rate: 1.0,
        ..limited
    };
    bench.apply(vec![rate]);
    assert_eq!(bench.root().0, 1.0, "the rule's own rate is another one");
    assert_eq!(bench.state.books().generation, 3);
}

#[test]
fn a_decision_is_explained_and_the_question_leaves_no_trace() {
    let mut bench = Bench::new(Vec::new());
    let ask = |bench: &Bench| {
        let explanation = Explanation::default();
        let span = StartingSpan::new(None, TraceId::from(u128::MAX), "/x", &SpanKind::Server);
        bench.state.decide(&span.explained_by(&explanation));
        explanation.into_steps().join("\n")
    };
    let steps = ask(&bench);
    assert!(
        steps.contains("xray: no rules have come yet: it borrows 1 traces/s, and has a share of 0.05"),
        "{steps}"
    );
    let get = RuleSpec {
        method: "GET".to_owned(),
        ..rule("get", 1)
    };
    let default = RuleSpec {
        reservoir_size: 1.0,
        fixed_rate: 0.5,
        ..rule("Default", 10_000)
    };
    bench.apply(vec![get, default]);
    let before = bench.state.decisions();
    let steps = ask(&bench);
    assert!(steps.contains("xray: rule `get` does not fit: HTTPMethod"), "{steps}");
    assert!(
        steps.contains("xray: rule `Default` fits: it borrows 1 traces/s, and has a share of 0.5 of the rest"),
        "{steps}"
    );
    assert!(steps.contains("kept by rule `Default`"), "{steps}");
    let after = bench.state.decisions();
    assert_eq!((after.rules, after.decisions), (before.rules, before.decisions));
    assert_eq!(bench.statistics(true), []);
}

/// Weights: what is kept, each with its adjusted count, is what was offered.
#[test]
fn the_weights_are_right_in_and_out_of_the_reservoir() {
    let limited = RuleSpec {
        reservoir_size: 10.0,
        fixed_rate: 0.05,
        ..rule("Default", 10_000)
    };
    let mut bench = Bench::new(vec![limited]);
    bench.grant(&Target {
        rule: "Default".to_owned(),
        quota: Some(10.0),
        quota_ends: Some(EPOCH + 200.0),
        ..Target::default()
    });
    let (mut offered, mut estimated, mut variance) = (0.0, 0.0, 0.0);
    for second in 0..400 {
        for _ in 0..(20 + 180 * u32::from(second % 7 == 0)) {
            let (probability, is_kept) = bench.root();
            offered += 1.0;
            estimated += if is_kept { 1.0 / probability } else { 0.0 };
            variance += (1.0 - probability) / probability;
        }
        bench.run(0, 1);
    }
    let z = (estimated - offered) / f64::sqrt(variance);
    assert!(z.abs() < 3.0, "{estimated} of {offered}, z = {z}");
}

#[test]
fn rules_of_an_answer_are_decided_by() {
    let body = r#"{"SamplingRuleRecords":[{"SamplingRule":{"RuleName":"Default","Priority":10000,"FixedRate":1,"ReservoirSize":1,
        "ServiceName":"*","ServiceType":"*","Host":"*","HTTPMethod":"*","URLPath":"*","ResourceARN":"*","Version":1,"Attributes":{}}}]}"#;
    let page = answer::rules(body.as_bytes()).expect("rules");
    let mut bench = Bench::new(page.rules);
    assert_eq!(bench.root(), (1.0, true));
}
