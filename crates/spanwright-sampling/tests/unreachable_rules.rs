//! The lint names rules that no span reaches: those that it should, and none that one does.

#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use std::slice;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{Array, KeyValue, TraceId, Value};
use proptest::prelude::*;
use spanwright_sampling::{AlwaysOn, ComposableSampler, ParentOrigin, Predicate, Rule, RuleBased, StartingSpan};

/// Rules named `0`, `1` and so on, each of predicates that must all be true.
fn build(rules: impl IntoIterator<Item = Vec<Predicate>>) -> RuleBased {
    let rules = rules.into_iter().enumerate();
    let rules = rules.fold(RuleBased::builder(), |rules, (number, predicates)| {
        let rule = Rule::new(number.to_string());
        let rule = predicates
            .into_iter()
            .fold(rule, |rule, predicate| rule.when(predicate));
        rules.rule(rule.then(AlwaysOn))
    });
    rules.build().unwrap()
}

/// Whether the last of these rules is named, and by which ones it is shadowed.
fn shadows(rules: &[&[Predicate]]) -> Option<Vec<String>> {
    let built = build(rules.iter().map(|predicates| predicates.to_vec()));
    let last = (rules.len() - 1).to_string();
    assert!(
        built.lints().iter().all(|lint| lint.rule() == last),
        "{:?}",
        built.lints()
    );
    let lint = built.lints().first()?;
    Some(lint.shadowed_by().map(str::to_owned).collect())
}

fn glob(pattern: &str) -> Predicate {
    Predicate::name_glob(pattern).unwrap()
}

fn patterns(included: &[&str], excluded: &[&str]) -> Predicate {
    Predicate::attribute_patterns("key", included, excluded).unwrap()
}

fn values(values: &[&str]) -> Predicate {
    Predicate::attribute_values("key", values)
}

#[test]
fn a_rule_behind_a_wider_one_is_named() {
    let server = || Predicate::kinds([SpanKind::Server]);
    let exists = || Predicate::attribute_exists("key");
    let function = Predicate::matching("a function", |_| true);
    let wider: &[(&[Predicate], &[Predicate])] = &[
        (&[], &[glob("GET *"), server()]),
        (&[glob("*")], &[]),
        (&[glob("GET *")], &[Predicate::name("GET /")]),
        (&[glob("GET *")], &[glob("GET /a*b")]),
        (&[glob("GET *")], &[glob("GET *"), server()]),
        (&[Predicate::name("a")], &[Predicate::name("a")]),
        (
            &[Predicate::name_contains("check").unwrap()],
            &[Predicate::name_contains("checkout").unwrap()],
        ),
        (&[Predicate::kinds([SpanKind::Server, SpanKind::Client])], &[server()]),
        (&[Predicate::not(Predicate::kinds([SpanKind::Client]))], &[server()]),
        (
            &[Predicate::parents([ParentOrigin::None, ParentOrigin::Local])],
            &[Predicate::parents([ParentOrigin::None])],
        ),
        (&[values(&["a", "b"])], &[values(&["b"])]),
        (&[patterns(&["a*"], &[])], &[values(&["a", "ab"])]),
        (&[patterns(&["a*"], &["ab"])], &[patterns(&["ac*"], &[])]),
        (&[patterns(&["a*"], &["ab"])], &[patterns(&["a*"], &["ab", "c"])]),
        (&[patterns(&[], &["b"])], &[values(&["a"])]),
        (&[exists()], &[patterns(&["a*"], &[])]),
        (&[Predicate::not(values(&["a"]))], &[Predicate::not(exists())]),
        (&[Predicate::not(glob("GET *"))], &[glob("POST *")]),
        (&[Predicate::any([glob("GET *"), glob("PUT *")])], &[glob("PUT /x")]),
        (&[glob("*T *")], &[Predicate::any([glob("GET *"), glob("PUT *")])]),
        (slice::from_ref(&function), &[function.clone(), server()]),
    ];
    for (earlier, later) in wider {
        assert_eq!(
            shadows(&[earlier, later]),
            Some(vec!["0".to_owned()]),
            "{earlier:?} before {later:?}"
        );
    }
}

#[test]
fn a_rule_that_a_span_reaches_is_not_named() {
    let exists = || Predicate::attribute_exists("key");
    let narrower: &[(&[Predicate], &[Predicate])] = &[
        (&[glob("GET *"), Predicate::kinds([SpanKind::Server])], &[glob("GET *")]),
        (&[glob("GET /a*")], &[glob("GET *")]),
        (&[values(&["b"])], &[values(&["a", "b"])]),
        (&[patterns(&["a*"], &["ab"])], &[patterns(&["a*"], &[])]),
        // An array without elements is there, and fits no pattern.
        (&[patterns(&["*"], &[])], &[exists()]),
        // An array has one element for each.
        (&[Predicate::name("a")], &[values(&["a"]), values(&["b"])]),
        (&[Predicate::not(exists())], &[exists()]),
        (
            &[Predicate::matching("a", |_| true)],
            &[Predicate::matching("a", |_| true)],
        ),
        (&[Predicate::attribute_values("other", ["a"])], &[values(&["a"])]),
    ];
    for (earlier, later) in narrower {
        assert_eq!(shadows(&[earlier, later]), None, "{earlier:?} before {later:?}");
    }
}

#[test]
fn rules_for_some_kinds_each_take_all_together() {
    let kind = |kinds: &[SpanKind]| Predicate::kinds(kinds.iter().cloned());
    let rules: &[&[Predicate]] = &[
        &[kind(&[SpanKind::Server, SpanKind::Client]), glob("*")],
        &[
            Predicate::not(kind(&[SpanKind::Server])),
            Predicate::parents([ParentOrigin::None]),
        ],
        &[
            kind(&[SpanKind::Internal, SpanKind::Client]),
            Predicate::parents([ParentOrigin::Remote]),
        ],
        &[
            kind(&[SpanKind::Internal, SpanKind::Server]),
            Predicate::not(Predicate::parents([ParentOrigin::Local])),
        ],
    ];
    assert_eq!(
        shadows(rules),
        Some(vec!["0".to_owned(), "1".to_owned(), "2".to_owned()])
    );
}

#[test]
fn a_rule_that_contradicts_itself_is_named() {
    let contradictions: &[&[Predicate]] = &[
        &[Predicate::kinds([])],
        &[Predicate::parents([])],
        &[Predicate::any([])],
        &[values(&[])],
        &[patterns(&["ab", "a*c"], &["a*"])],
        &[patterns(&[], &["*"])],
        &[Predicate::name("a"), Predicate::name("b")],
        &[Predicate::name("POST /"), glob("GET *")],
        &[glob("POST *"), glob("GET *")],
        &[
            Predicate::kinds([SpanKind::Server]),
            Predicate::not(Predicate::kinds([SpanKind::Server])),
        ],
        &[Predicate::not(glob("*"))],
        &[values(&["a"]), Predicate::not(Predicate::attribute_exists("key"))],
    ];
    for rule in contradictions {
        assert_eq!(shadows(&[rule]), Some(Vec::new()), "{rule:?}");
    }
}

#[cfg(feature = "regex")]
#[test]
fn regular_expressions_are_compared_by_what_is_written_and_with_single_names() {
    let regex = |pattern: &str| Predicate::name_regex(pattern).unwrap();
    assert!(shadows(&[&[regex("^GET")], &[regex("^GET")]]).is_some());
    assert!(shadows(&[&[regex("^GET")], &[Predicate::name("GET /")]]).is_some());
    assert!(shadows(&[&[glob("*")], &[regex("^GET")]]).is_some());
    assert!(
        shadows(&[&[regex("^GET")], &[regex("^GET /")]]).is_none(),
        "it is not known"
    );
    assert!(shadows(&[&[regex("^GET"), Predicate::name("POST")]]).is_some());
}

#[test]
fn it_says_so_in_words_and_can_be_an_error() {
    let rules = || {
        RuleBased::builder()
            .rule(Rule::new("all").then(AlwaysOn))
            .rule(Rule::new("checkout").when(glob("*checkout*")).then(AlwaysOn))
            .rule(Rule::new("none").when(Predicate::kinds([])).then(AlwaysOn))
    };
    let built = rules().build().unwrap();
    let lints: Vec<_> = built.lints().iter().map(ToString::to_string).collect();
    assert_eq!(
        lints,
        [
            "no span reaches rule `checkout`: `all` before it takes whatever it is for",
            "rule `none` fits no span: its predicates contradict each other",
        ]
    );
    let error = rules().with_deny_unreachable(true).build().unwrap_err();
    assert_eq!((error.field(), error.value()), ("rules", "checkout"));
    assert!(error.accepted().contains("no span reaches rule `checkout`"), "{error}");
}

/// Predicates over few names and values, so that they often cover and exclude each other.
fn predicate() -> impl Strategy<Value = Predicate> {
    let patterns = || prop::collection::vec("[ab*?]{0,3}", 0..3);
    let texts = || prop::collection::vec("[ab]{0,2}", 0..3);
    let leaf = prop_oneof![
        prop::collection::vec(0..KINDS.len(), 0..3)
            .prop_map(|kinds| Predicate::kinds(kinds.into_iter().map(|kind| KINDS[kind].clone()))),
        prop::collection::vec(0..3_usize, 0..3)
            .prop_map(|origins| Predicate::parents(origins.into_iter().map(|origin| ORIGINS[origin]))),
        "[ab]{0,2}".prop_map(Predicate::name),
        "[ab*?]{0,3}".prop_map(|pattern| glob(&pattern)),
        "[ab]{0,2}".prop_map(|part| Predicate::name_contains(part).unwrap()),
        Just(Predicate::attribute_exists("key")),
        texts().prop_map(|texts| Predicate::attribute_values("key", texts)),
        (patterns(), patterns())
            .prop_map(|(included, excluded)| Predicate::attribute_patterns("key", included, excluded).unwrap()),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(Predicate::not),
            prop::collection::vec(inner, 0..3).prop_map(Predicate::any),
        ]
    })
}

const KINDS: [SpanKind; 3] = [SpanKind::Server, SpanKind::Client, SpanKind::Internal];
const ORIGINS: [ParentOrigin; 3] = [ParentOrigin::None, ParentOrigin::Local, ParentOrigin::Remote];

/// Texts up to three characters, one character of which no rule knows.
fn texts() -> Vec<String> {
    let mut all = vec![String::new()];
    let mut latest = all.clone();
    for _ in 0..3 {
        latest = latest
            .iter()
            .flat_map(|text| ["a", "b", "z"].map(|next| format!("{text}{next}")))
            .collect();
        all.extend(latest.iter().cloned());
    }
    all
}

/// Marks every rule that some span of a small world reaches.
fn reached(rules: &RuleBased) -> Vec<bool> {
    let trace = TraceId::from_bytes([7; 16]);
    let parent = |is_remote| {
        SpanContext::new(
            trace,
            SpanId::from_bytes([1; 8]),
            TraceFlags::SAMPLED,
            is_remote,
            TraceState::default(),
        )
    };
    let parents = [None, Some(parent(false)), Some(parent(true))];
    let texts = texts();
    let array =
        |texts: &[&String]| Value::Array(Array::String(texts.iter().map(|text| (*text).clone().into()).collect()));
    let mut attributes = vec![Vec::new(), vec![KeyValue::new("key", array(&[]))]];
    attributes.extend(
        texts
            .iter()
            .take(13)
            .map(|text| vec![KeyValue::new("key", text.clone())]),
    );
    let pairs = texts
        .iter()
        .take(13)
        .flat_map(|one| texts.iter().take(7).map(move |other| [one, other]));
    attributes.extend(pairs.map(|pair| vec![KeyValue::new("key", array(&pair))]));

    let mut reached = vec![false; rules.tallies().count()];
    for name in &texts {
        for attributes in &attributes {
            for kind in &KINDS {
                for parent in &parents {
                    let span = StartingSpan::new(parent.as_ref(), trace, name, kind).with_details(attributes, &[]);
                    if let Some(rule) = rules.sampling_intent(&span).rule() {
                        reached[rule.name().parse::<usize>().unwrap()] = true;
                    }
                }
            }
        }
    }
    reached
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_rule_is_named_that_a_span_reaches(rules in prop::collection::vec(prop::collection::vec(predicate(), 0..3), 1..5)) {
        let rules = build(rules);
        if rules.lints().is_empty() {
            return Ok(());
        }
        let reached = reached(&rules);
        for lint in rules.lints() {
            prop_assert!(!reached[lint.rule().parse::<usize>().unwrap()], "{lint} in {rules:?}");
        }
    }
}
