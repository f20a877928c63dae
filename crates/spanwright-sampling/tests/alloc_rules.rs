//! To find the rule for a span allocates nothing.

#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, KeyValue, TraceId, Value};
use spanwright_sampling::{
    AlwaysOff, ComposableSampler, CompositeSampler, ParentOrigin, Predicate, Probability, Rule, RuleBased, Sampler,
    StartingSpan,
};
use spanwright_testing::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn rules() -> RuleBased {
    let globs = [
        "GET */users/*",
        "*orders*",
        "POST /cart?*",
        "*check*out*",
        "*.js",
        "/?/?/*",
    ];
    let rules = globs.into_iter().fold(RuleBased::builder(), |rules, pattern| {
        rules.rule(Rule::new(pattern).when(Predicate::name_glob(pattern)).then(AlwaysOff))
    });
    rules
        .rule(
            Rule::new("integer")
                .when(Predicate::attribute_glob("status", "5??"))
                .then(AlwaysOff),
        )
        .rule(
            Rule::new("others")
                .when(Predicate::attribute_values("share", ["0.25", "0.5"]))
                .when(Predicate::attribute_patterns("tags", ["a*"], ["ab*"]))
                .when(Predicate::attribute_exists("flag"))
                .then(AlwaysOff),
        )
        .rule(
            Rule::new("elsewhere")
                .when(Predicate::any([
                    Predicate::kinds([SpanKind::Client]),
                    Predicate::not(Predicate::parents([ParentOrigin::None])),
                ]))
                .then(AlwaysOff),
        )
        .rule(
            Rule::new("teapot")
                .when(Predicate::attribute_glob("status", "4*"))
                .when(Predicate::name_glob("GET *teapot*"))
                .then(Probability::new(0.0).unwrap()),
        )
        .build()
        .unwrap()
}

#[test]
fn ten_rules_with_patterns_allocate_nothing() {
    let attributes = [
        KeyValue::new("status", 418),
        KeyValue::new("share", 0.125),
        KeyValue::new("flag", true),
        KeyValue::new("tags", Value::Array(Array::I64(vec![1, -2]))),
        KeyValue::new("text", "text"),
    ];
    let sampler = CompositeSampler::new(rules());
    let trace = TraceId::from_bytes([7; 16]);
    for name in ["GET /teapots/{id}", "PUT /a/b/c/d"] {
        let span = StartingSpan::new(None, trace, name, &SpanKind::Server).with_details(&attributes, &[]);
        // The first count of a thread finds it a row.
        sampler.sample(&span);
        let wished = allocations(|| drop(sampler.composable().sampling_intent(&span)));
        let decided = allocations(|| drop(sampler.sample(&span)));
        assert_eq!((wished.count, decided.count), (0, 0), "{name}");
    }
    let teapot = sampler.composable().tallies().last().unwrap();
    assert_eq!(
        (teapot.name(), teapot.dropped()),
        ("teapot", 2),
        "the last rule was reached"
    );
}
