//! Rules: what each predicate asks, which rule is taken, and what is said about it.

#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{Array, KeyValue, TraceId, Value};
use spanwright_core::BuildError;
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, Annotating, ComposableSampler, CompositeSampler, Outcome, ParentOrigin, Predicate, Reason,
    Rule, RuleBased, Sampler, StartingSpan, Threshold,
};

const TRACE: TraceId = TraceId::from_bytes([7; 16]);

fn parent(is_remote: bool) -> SpanContext {
    let span = SpanId::from_bytes([1; 8]);
    SpanContext::new(TRACE, span, TraceFlags::SAMPLED, is_remote, TraceState::default())
}

/// Whether a rule with this predicate alone fits the span.
fn fits(predicate: &Predicate, span: &StartingSpan<'_>) -> bool {
    let rule = Rule::new("only").when(predicate.clone()).then(AlwaysOn);
    let rules = RuleBased::builder().rule(rule).build().unwrap();
    rules.sampling_intent(span).threshold() == Some(Threshold::ALWAYS)
}

fn named(name: &str) -> StartingSpan<'_> {
    StartingSpan::new(None, TRACE, name, &SpanKind::Server)
}

/// Whether a predicate fits a span with these attributes.
fn fits_attributes(predicate: &Predicate, attributes: &[KeyValue]) -> bool {
    fits(predicate, &named("any").with_details(attributes, &[]))
}

#[test]
fn the_first_rule_that_fits_is_taken_and_no_rule_drops() {
    let rules = RuleBased::builder()
        .rule(Rule::new("health").when(Predicate::name("GET /health")).then(AlwaysOff))
        .rule(
            Rule::new("checkout")
                .when(Predicate::name_glob("* /checkout*"))
                .then(AlwaysOn),
        )
        .rule(Rule::new("get").when(Predicate::name_glob("GET *")).then(AlwaysOff))
        .build()
        .unwrap();
    for (name, rule, threshold, reason) in [
        ("GET /health", Some("health"), None, Reason::AlwaysOff),
        (
            "GET /checkout/7",
            Some("checkout"),
            Some(Threshold::ALWAYS),
            Reason::AlwaysOn,
        ),
        ("GET /else", Some("get"), None, Reason::AlwaysOff),
        ("POST /else", None, None, Reason::NoRule),
    ] {
        let span = named(name);
        let intent = rules.sampling_intent(&span);
        assert_eq!(intent.rule().map(|rule| rule.name()), rule, "{name}");
        assert_eq!((intent.threshold(), intent.reason()), (threshold, reason), "{name}");
        assert_eq!(intent.is_reliable(), threshold.is_some(), "{name}");
    }
}

#[test]
fn without_rules_nothing_is_wanted() {
    let rules = RuleBased::builder().build().unwrap();
    let span = named("any");
    let intent = rules.sampling_intent(&span);
    assert_eq!((intent.threshold(), intent.is_reliable()), (None, false));
    assert_eq!(CompositeSampler::new(rules).sample(&span).outcome, Outcome::Drop);
}

#[test]
fn a_rule_takes_a_span_only_if_all_its_predicates_do() {
    let rule = Rule::new("all")
        .when(Predicate::name_glob("GET *"))
        .when(Predicate::kinds([SpanKind::Server]))
        .when(Predicate::parents([ParentOrigin::None]))
        .when(Predicate::attribute_exists("tenant"))
        .then(AlwaysOn);
    let rules = RuleBased::builder().rule(rule).build().unwrap();
    let attributes = [KeyValue::new("tenant", "a")];
    let remote = parent(true);
    let span =
        |parent, name, kind, attributes| StartingSpan::new(parent, TRACE, name, kind).with_details(attributes, &[]);
    for (span, is_taken) in [
        (span(None, "GET /", &SpanKind::Server, &attributes[..]), true),
        (span(None, "PUT /", &SpanKind::Server, &attributes[..]), false),
        (span(None, "GET /", &SpanKind::Client, &attributes[..]), false),
        (span(Some(&remote), "GET /", &SpanKind::Server, &attributes[..]), false),
        (span(None, "GET /", &SpanKind::Server, &[]), false),
    ] {
        assert_eq!(rules.sampling_intent(&span).rule().is_some(), is_taken, "{span:?}");
    }
}

#[test]
fn kinds_and_parents_are_taken_by_membership() {
    let kinds = [
        SpanKind::Client,
        SpanKind::Server,
        SpanKind::Producer,
        SpanKind::Consumer,
        SpanKind::Internal,
    ];
    let (local, remote) = (parent(false), parent(true));
    let parents = [
        (None, ParentOrigin::None),
        (Some(&local), ParentOrigin::Local),
        (Some(&remote), ParentOrigin::Remote),
    ];
    for kind in &kinds {
        for (parent, origin) in parents {
            let span = StartingSpan::new(parent, TRACE, "any", kind);
            for wanted in &kinds {
                let is_it = wanted == kind;
                assert_eq!(fits(&Predicate::kinds([wanted.clone()]), &span), is_it);
                assert_eq!(fits(&Predicate::not(Predicate::kinds([wanted.clone()])), &span), !is_it);
            }
            for (_, wanted) in parents {
                assert_eq!(fits(&Predicate::parents([wanted]), &span), wanted == origin);
            }
            assert!(fits(&Predicate::kinds(kinds.clone()), &span));
            assert!(fits(&Predicate::parents(parents.map(|(_, origin)| origin)), &span));
            assert!(!fits(&Predicate::kinds([]), &span) && !fits(&Predicate::parents([]), &span));
        }
    }
}

/// The clauses of `ExperimentalComposableRuleBasedSamplerRule`, and what they leave open: of an attribute that is given twice the
/// last value counts.
#[test]
fn attributes_are_compared_by_text_form_and_arrays_by_any_element() {
    let key = |value: Value| [KeyValue::new("key", value)];
    let values = |values: &[&str]| Predicate::attribute_values("key", values);
    let patterns =
        |included: &[&str], excluded: &[&str]| Predicate::attribute_patterns("key", included, excluded).unwrap();
    let strings = |values: &[&'static str]| {
        let values = values.iter().map(|value| (*value).into()).collect();
        Value::Array(Array::String(values))
    };
    let table = [
        // attribute_values: any of these, exactly.
        (values(&["a", "b"]), key("b".into()), true),
        (values(&["a", "b"]), key("c".into()), false),
        (values(&["a*"]), key("abc".into()), false),
        (values(&["A"]), key("a".into()), false),
        (values(&["404"]), key(404.into()), true),
        (values(&["404"]), key(4040.into()), false),
        (values(&["-1"]), key((-1).into()), true),
        (values(&["true"]), key(true.into()), true),
        (values(&["0.5"]), key(0.5.into()), true),
        (values(&["b"]), key(strings(&["a", "b"])), true),
        (values(&["c"]), key(strings(&["a", "b"])), false),
        (values(&["2"]), key(Value::Array(vec![1_i64, 2].into())), true),
        (values(&["a"]), key(strings(&[])), false),
        // attribute_patterns: an included one, and no excluded one.
        (patterns(&["4*"], &[]), key(404.into()), true),
        (patterns(&["4*"], &[]), key(500.into()), false),
        (patterns(&["4*"], &["404"]), key(404.into()), false),
        (patterns(&["4*"], &["404"]), key(429.into()), true),
        (patterns(&["*"], &["*"]), key("x".into()), false),
        (patterns(&["f?lse"], &[]), key(false.into()), true),
        (patterns(&["A*"], &[]), key("abc".into()), false),
        (patterns(&["*a*"], &["*b*"]), key("cab".into()), false),
        // No included pattern: all are.
        (patterns(&[], &["b"]), key("a".into()), true),
        (patterns(&[], &["b"]), key("b".into()), false),
        (patterns(&[], &[]), key(1.into()), true),
        // An array fits if any of its elements does, by itself.
        (patterns(&["a*"], &["ab"]), key(strings(&["ab", "ac"])), true),
        (patterns(&["a*"], &["ab"]), key(strings(&["ab", "b"])), false),
        (Predicate::attribute_exists("key"), key(strings(&[])), true),
        (Predicate::attribute_glob("key", "5*").unwrap(), key(503.into()), true),
    ];
    for (predicate, attributes, expected) in table {
        assert_eq!(
            fits_attributes(&predicate, &attributes),
            expected,
            "{predicate}: {attributes:?}"
        );
        assert!(
            !fits_attributes(&predicate, &[KeyValue::new("other", "a")]),
            "{predicate} without it"
        );
        let overwritten = [KeyValue::new("key", "of no rule"), attributes[0].clone()];
        assert_eq!(
            fits_attributes(&predicate, &overwritten),
            expected,
            "{predicate}: the last counts"
        );
    }
}

#[test]
fn predicates_combine() {
    let name = |name: &str| Predicate::name(name);
    assert!(fits(&Predicate::any([name("a"), name("b")]), &named("b")));
    assert!(!fits(&Predicate::any([name("a"), name("b")]), &named("c")));
    assert!(!fits(&Predicate::any([]), &named("c")));
    assert!(fits(&Predicate::not(name("a")), &named("b")));
    assert!(!fits(&Predicate::not(Predicate::not(name("a"))), &named("b")));
    assert!(fits(&Predicate::name_contains("a*b").unwrap(), &named("xa*bx")));
    assert!(!fits(&Predicate::name_contains("a*b").unwrap(), &named("xaxbx")));
    let long = Predicate::matching("the name is long", |span| span.name().len() > 5);
    assert!(fits(&long, &named("123456")) && !fits(&long, &named("12345")));
}

#[cfg(feature = "regex")]
#[test]
fn a_regular_expression_is_found_anywhere_unless_anchored() {
    assert!(fits(
        &Predicate::name_regex(r"/users/\d+").unwrap(),
        &named("GET /users/17/cart")
    ));
    assert!(!fits(
        &Predicate::name_regex(r"^/users/\d+").unwrap(),
        &named("GET /users/17/cart")
    ));
    assert!(fits(
        &Predicate::name_regex("(?i)CHECKOUT").unwrap(),
        &named("GET /checkout")
    ));
    let status = Predicate::attribute_regex("status", "^5[0-9]{2}$").unwrap();
    assert!(fits_attributes(&status, &[KeyValue::new("status", 503)]));
    assert!(!fits_attributes(&status, &[KeyValue::new("status", 5030)]));
    assert!(!fits_attributes(&status, &[]));
}

#[test]
fn more_keys_than_are_remembered_are_looked_up_all_the_same() {
    let rules = (0..40).fold(RuleBased::builder(), |rules, number| {
        let predicate = Predicate::attribute_values(format!("key{number}"), ["yes"]);
        rules.rule(Rule::new(format!("rule{number}")).when(predicate).then(AlwaysOn))
    });
    let rules = rules.build().unwrap();
    for number in 0..40 {
        let attributes = [
            KeyValue::new("some", "other"),
            KeyValue::new(format!("key{number}"), "yes"),
        ];
        let span = named("any").with_details(&attributes, &[]);
        let intent = rules.sampling_intent(&span);
        assert_eq!(intent.rule().unwrap().name(), format!("rule{number}"));
    }
}

#[test]
fn a_rule_counts_what_it_decided_and_of_nested_rules_the_inner_one_does() {
    let inner = RuleBased::builder()
        .rule(Rule::new("inner").when(Predicate::name("in")).then(AlwaysOn))
        .build()
        .unwrap();
    let rules = RuleBased::builder()
        .rule(Rule::new("off").when(Predicate::name("off")).then(AlwaysOff))
        .rule(Rule::new("outer").when(Predicate::name_glob("*n")).then(inner))
        .rule(Rule::new("on").then(Annotating::new(AlwaysOn, [KeyValue::new("by", "on")])))
        .build()
        .unwrap();
    let sampler = CompositeSampler::new(rules);
    for name in ["off", "off", "in", "n", "else"] {
        sampler.sample(&named(name));
    }
    assert_eq!(sampler.sample(&named("else")).attributes, [KeyValue::new("by", "on")]);
    let rules = sampler.composable();
    let counts: Vec<_> = rules
        .tallies()
        .map(|tally| (tally.name(), tally.kept(), tally.dropped()))
        .collect();
    assert_eq!(
        counts,
        [("off", 0, 2), ("outer", 0, 1), ("on", 2, 0)],
        "and one was of the rule inside"
    );
    let all: Vec<_> = sampler.stats().rules.into_iter().map(|count| count.rule).collect();
    assert_eq!(
        all,
        ["off", "outer", "inner", "on"],
        "the sampler shows them too, with those inside"
    );
    let _ = sampler.explain(&named("off"));
    assert_eq!(
        rules.tallies().map(|tally| tally.dropped()).sum::<u64>(),
        3,
        "a question is not counted"
    );
}

#[test]
fn an_explanation_names_the_rule_and_why_not_the_earlier_ones() {
    let rules = RuleBased::builder()
        .rule(
            Rule::new("internal")
                .when(Predicate::kinds([SpanKind::Internal, SpanKind::Client]))
                .then(AlwaysOff),
        )
        .rule(
            Rule::new("errors")
                .when(Predicate::attribute_glob("status", "5*"))
                .then(AlwaysOn),
        )
        .rule(
            Rule::new("both")
                .when(Predicate::name_glob("GET *"))
                .when(Predicate::not(Predicate::attribute_exists("debug")))
                .then(AlwaysOff),
        )
        .rule(Rule::new("rest").then(AlwaysOn))
        .build()
        .unwrap();
    let sampler = CompositeSampler::new(rules);
    let attributes = [KeyValue::new("status", 200), KeyValue::new("debug", true)];
    let steps = sampler.explain(&named("GET /").with_details(&attributes, &[]));
    assert_eq!(
        steps[..4],
        [
            "rule `internal` does not fit: it asks whether kind is internal or client",
            "rule `errors` does not fit: it asks whether status is `5*`",
            "rule `both` does not fit: it asks whether not (debug is there)",
            "rule `rest` fits",
        ]
    );
    assert!(steps.last().unwrap().starts_with("kept by rule `rest`"), "{steps:?}");

    let none = CompositeSampler::new(RuleBased::builder().build().unwrap());
    assert_eq!(
        none.explain(&named("any")),
        ["no rule fits", "dropped: nobody wants it (no_rule)"]
    );
}

#[test]
fn the_description_is_the_rules_and_their_samplers() {
    let rules = RuleBased::builder()
        .rule(Rule::new("health").when(Predicate::name("GET /health")).then(AlwaysOff))
        .rule(Rule::new("rest").then(AlwaysOn))
        .build()
        .unwrap();
    assert_eq!(
        rules.description(),
        "ComposableRuleBased{[(health:ComposableAlwaysOff),(rest:ComposableAlwaysOn)]}"
    );
}

#[test]
fn what_cannot_be_built_names_rule_field_and_value() {
    let build = |rule: Rule<AlwaysOn>| RuleBased::builder().rule(rule).build().unwrap_err();
    let says = |error: &BuildError, field: &str, value: &str| {
        assert_eq!((error.field(), error.value()), (field, value), "{error}");
        assert!(std::error::Error::source(error).is_some());
    };
    let long = "x".repeat(1025);
    let rule = |predicate| Rule::new("mine").when(predicate).then(AlwaysOn);
    says(
        &build(rule(Predicate::name_glob(&long))),
        "rules[mine].name_glob",
        &long,
    );
    says(
        &build(rule(Predicate::name_contains(&long))),
        "rules[mine].name_contains",
        &long,
    );
    says(
        &build(rule(Predicate::attribute_patterns("key", ["a"], [&long]))),
        "rules[mine].attribute_patterns.excluded",
        &long,
    );
    #[cfg(feature = "regex")]
    {
        says(
            &build(rule(Predicate::name_regex("a(b"))),
            "rules[mine].name_regex",
            "a(b",
        );
        let huge = r"\w{5000}";
        says(
            &build(rule(Predicate::attribute_regex("key", huge))),
            "rules[mine].attribute_regex",
            huge,
        );
    }
    assert!(Predicate::name_glob(&long[1..]).is_ok());

    let twice = RuleBased::builder()
        .rule(Rule::new("same").then(AlwaysOff))
        .rule(Rule::new("same").then(AlwaysOn));
    let error = twice.build().unwrap_err();
    assert_eq!((error.field(), error.value()), ("rules.name", "same"));
}
