//! `PrioritySampler`: the share of traces by the name of their first span.

#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use opentelemetry::TraceId;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use spanwright_sampling::{Outcome, PrioritySampler, Sampler, StartingSpan};

fn sampler() -> PrioritySampler {
    PrioritySampler::builder()
        .with_priority("checkout", 1.0)
        .with_priority("health", 0.25)
        .with_priority("a*b", 0.0)
        .with_default_ratio(0.5)
        .build()
        .unwrap()
}

/// What is decided for a trace of this randomness, out of 2^56.
fn decide(sampler: &PrioritySampler, parent: Option<&SpanContext>, name: &str, randomness: u64) -> (Outcome, String) {
    let trace = TraceId::from((1 << 64) | u128::from(randomness));
    let decision = sampler.sample(&StartingSpan::new(parent, trace, name, &SpanKind::Server));
    (decision.outcome, decision.trace_state.header())
}

#[test]
fn a_trace_is_kept_by_the_first_part_that_its_name_contains() {
    const HALF: u64 = 1 << 55;
    for (name, randomness, threshold) in [
        ("POST /checkout", 0, Some("ot=th:0")),
        ("GET /checkout/health", 0, Some("ot=th:0")),
        ("GET /health", HALF + HALF / 2, Some("ot=th:c")),
        ("GET /health", HALF + HALF / 2 - 1, None),
        ("GET /Health", HALF, Some("ot=th:8")),
        ("GET /else", HALF, Some("ot=th:8")),
        ("GET /else", HALF - 1, None),
        ("xa*bx", 2 * HALF - 1, None),
        ("xa?bx", HALF, Some("ot=th:8")),
    ] {
        let (outcome, state) = decide(&sampler(), None, name, randomness);
        assert_eq!(outcome == Outcome::RecordAndSample, threshold.is_some(), "{name}");
        assert_eq!(state, threshold.unwrap_or_default(), "{name}");
    }
}

#[test]
fn the_parents_decision_counts_whatever_the_name() {
    let parent = |flags| {
        SpanContext::new(
            1_u128.into(),
            SpanId::from_bytes([1; 8]),
            flags,
            true,
            TraceState::default(),
        )
    };
    let decide = |flags, name| decide(&sampler(), Some(&parent(flags)), name, 0).0;
    assert_eq!(decide(TraceFlags::NOT_SAMPLED, "checkout"), Outcome::Drop);
    assert_eq!(decide(TraceFlags::SAMPLED, "a*b"), Outcome::RecordAndSample);
}

#[test]
fn everything_is_kept_that_no_priority_is_for_unless_told_otherwise() {
    let sampler = PrioritySampler::builder().build().unwrap();
    assert_eq!(
        decide(&sampler, None, "any", 0),
        (Outcome::RecordAndSample, "ot=th:0".to_owned())
    );
}

#[test]
fn counts_and_lints_are_those_of_its_rules() {
    let sampler = PrioritySampler::builder()
        .with_priority("check", 1.0)
        .with_priority("checkout", 0.1)
        .build()
        .unwrap();
    decide(&sampler, None, "checkout", 0);
    let rules = sampler.composable().root();
    let counts: Vec<_> = rules.tallies().map(|tally| (tally.name(), tally.kept())).collect();
    assert_eq!(
        counts,
        [
            ("name contains `check`", 1),
            ("name contains `checkout`", 0),
            ("default", 0)
        ]
    );
    let lints: Vec<_> = rules.lints().iter().map(|lint| lint.rule()).collect();
    assert_eq!(lints, ["name contains `checkout`"]);
}

#[test]
fn a_ratio_or_a_part_that_is_none_is_named() {
    let says = |builder: spanwright_sampling::PrioritySamplerBuilder| {
        let error = builder.build().unwrap_err();
        (error.field().to_owned(), error.value().to_owned())
    };
    let builder = PrioritySampler::builder;
    let pair = |field: &str, value: &str| (field.to_owned(), value.to_owned());
    assert_eq!(says(builder().with_priority("a", 1.5)), pair("priority[a]", "1.5"));
    assert_eq!(says(builder().with_priority("a", f64::NAN)), pair("priority[a]", "NaN"));
    assert_eq!(says(builder().with_default_ratio(-1.0)), pair("default_ratio", "-1.0"));
    assert_eq!(says(builder().with_priority("", 0.5)), pair("priority", ""));
    let twice = builder().with_priority("a", 0.5).with_priority("a", 0.6);
    assert_eq!(says(twice), pair("rules.name", "name contains `a`"));
}
