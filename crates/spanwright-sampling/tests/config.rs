//! Documents that describe samplers, and what is said of those that do not.
#![cfg(feature = "config")]

use std::error::Error as _;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{KeyValue, TraceId};
use spanwright_core::{BuildError, Env};
use spanwright_sampling::{Outcome, ReloadableSampler, Sampler, SamplerConfig, StartingSpan};

const KITCHEN_SINK: &str = include_str!("configurations/kitchen_sink.yaml");
const OURS: &str = include_str!("configurations/ours.yaml");

fn env() -> Env {
    Env::from_pairs([
        ("RATIO", "0.5"),
        ("ZERO", "0"),
        ("NAME", "GET /cart"),
        ("WORD", "often"),
    ])
}

fn parse(yaml: &str) -> Result<SamplerConfig, BuildError> {
    SamplerConfig::parse(yaml, &env())
}

fn sampler(yaml: &str) -> ReloadableSampler {
    let config = parse(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    ReloadableSampler::builder()
        .with_config(config)
        .build()
        .expect("a checked configuration")
}

/// What is made of a document, without the shell that all of them have.
fn described(yaml: &str) -> String {
    let description = sampler(yaml).description();
    let inner = description
        .strip_prefix("ReloadableSampler{")
        .and_then(|inner| inner.strip_suffix('}'));
    inner
        .expect("the shell")
        .replace("CompositeSampler", "")
        .replace("Composable", "")
}

const ALWAYS: u128 = u64::MAX as u128;

/// What is decided for a span with this parent, and the threshold that it gets.
fn decided(sampler: &ReloadableSampler, parent: Option<(bool, bool, &str)>, randomness: u128) -> (Outcome, String) {
    let trace_id = TraceId::from(1 << 64 | randomness);
    let parent = parent.map(|(is_remote, is_sampled, ot)| {
        let flags = TraceFlags::default().with_sampled(is_sampled);
        let state = if ot.is_empty() {
            TraceState::NONE
        } else {
            TraceState::from_key_value([("ot", ot)]).expect("a trace state")
        };
        SpanContext::new(trace_id, SpanId::from(1), flags, is_remote, state)
    });
    let span = StartingSpan::new(parent.as_ref(), trace_id, "GET /cart", &SpanKind::Server);
    let decision = sampler.sample(&span);
    (
        decision.outcome,
        decision.trace_state.get("ot").unwrap_or_default().to_owned(),
    )
}

#[test]
fn each_sampler_of_the_specification_is_made() {
    for (yaml, expected) in [
        ("always_on:", "{AlwaysOnSampler}"),
        ("always_off:", "{AlwaysOff}"),
        ("always_off: {}", "{AlwaysOff}"),
        ("trace_id_ratio_based: {ratio: 0.5}", "{Probability{0.5}}"),
        ("trace_id_ratio_based:", "{Probability{1}}"),
        ("probability/development: {ratio: 1e-3}", "{Probability{0.001}}"),
        ("probability/development: {ratio: null}", "{Probability{1}}"),
        ("parent_based:", "{ParentThreshold{root=AlwaysOnSampler}}"),
        (
            "parent_based: {root: {always_off: }}",
            "{ParentThreshold{root=AlwaysOff}}",
        ),
        (
            "parent_based: {root: {probability/development: {ratio: 0.5}}, remote_parent_sampled: {always_on: }, \
             remote_parent_not_sampled: {always_off: }, local_parent_sampled: {always_on: }, local_parent_not_sampled: {always_off: }}",
            "{ParentThreshold{root=Probability{0.5}}}",
        ),
        (
            "parent_based: {remote_parent_not_sampled: {probability/development: {ratio: 0.1}}, local_parent_sampled: {always_off: }}",
            "{ParentBased{root=AlwaysOnSampler,remoteParentNotSampled=Probability{0.1},localParentSampled=AlwaysOff}}",
        ),
        (
            "always_record: {root: {always_off: }}",
            "AlwaysRecordSampler{{AlwaysOff}}",
        ),
        ("composite/development: {always_on: }", "{AlwaysOn}"),
        ("composite/development: {always_off: }", "{AlwaysOff}"),
        (
            "composite/development: {probability: {ratio: 0.25}}",
            "{Probability{0.25}}",
        ),
        (
            "composite/development: {parent_threshold: {root: {always_on: }}}",
            "{ParentThreshold{root=AlwaysOn}}",
        ),
        ("composite/development: {rule_based: }", "{RuleBased{[]}}"),
        (
            "composite/development: {rule_based: {rules: [{sampler: {always_on: }}, {sampler: {probability: {ratio: 0.5}}}]}}",
            "{RuleBased{[(rules[0]:AlwaysOn),(rules[1]:Probability{0.5})]}}",
        ),
        (
            "rule_based: {rules: [{name: a, sampler: {rule_based: {rules: [{sampler: {rule_based: {rules: [{name: c, sampler: \
             {always_on: }}]}}}]}}}]}",
            "{RuleBased{[(a:RuleBased{[(a.rules[0]:RuleBased{[(a.rules[0].c:AlwaysOn)]})]})]}}",
        ),
        // A document that is the sampler may also begin with what stands inside of `composite/development`.
        ("probability: {ratio: 0.25}", "{Probability{0.25}}"),
        (
            "rule_based: {rules: [{name: all, sampler: {always_on: }}]}",
            "{RuleBased{[(all:AlwaysOn)]}}",
        ),
        // Whole files.
        ("file_format: '1.0'", "{ParentThreshold{root=AlwaysOnSampler}}"),
        (
            "tracer_provider: {processors: []}",
            "{ParentThreshold{root=AlwaysOnSampler}}",
        ),
        (
            "file_format: 1.1\ntracer_provider: {sampler: {always_off: }}",
            "{AlwaysOff}",
        ),
        (
            KITCHEN_SINK,
            "AlwaysRecordSampler{{ParentBased{root=Probability{0.5},remoteParentNotSampled=Probability{0.01},\
             localParentSampled=RuleBased{[(rules[0]:AlwaysOff),(rules[1]:AlwaysOn),(rules[2]:Probability{0.05}),\
             (rules[3]:ParentThreshold{root=Probability{0.001}})]}}}}",
        ),
        (
            OURS,
            "{ParentThreshold{root=RuleBased{[(health:AlwaysOff),\
             (checkout:Annotating{AlwaysOn,[sampled.by,level,share,sure]}),\
             (tenants:AnyOf{Probability{0.1},RateLimiting{10 traces/s},PerKey{tenant.id+span_name}}),\
             (rest:Adaptive{100/s,Probability{0.5}})]}}}",
        ),
    ] {
        assert_eq!(described(yaml), expected, "{yaml}");
    }
}

#[test]
fn json_anchors_tags_and_comments_are_yaml() {
    let probability = described("probability: {ratio: 0.5}");
    for yaml in [
        r#"{"probability": {"ratio": 0.5}}"#,
        "---\nprobability:\n  ratio: 0.5 # half\n...\n",
        "probability: {ratio: !!float 0.5}",
        "%YAML 1.2\n---\nprobability: {ratio: +.5}",
    ] {
        assert_eq!(described(yaml), probability, "{yaml}");
    }
    let repeated =
        "rule_based: {rules: [{span_names: [a], sampler: &half {probability: {ratio: 0.5}}}, {sampler: *half}]}";
    let expected = "{RuleBased{[(rules[0]:Probability{0.5}),(rules[1]:Probability{0.5})]}}";
    assert_eq!(described(repeated), expected);
}

#[test]
fn variables_are_substituted_before_types_are_told_apart() {
    let ratio = |text: &str| described(&format!("probability:\n  ratio: {text}"));
    assert_eq!(ratio("${RATIO}"), "{Probability{0.5}}");
    assert_eq!(ratio("${env:RATIO}"), "{Probability{0.5}}");
    assert_eq!(ratio("${UNSET:-0.125}"), "{Probability{0.125}}");
    assert_eq!(ratio("0.${ZERO}5"), "{Probability{0.05}}");
    // Nothing is there, so the default counts.
    assert_eq!(ratio("${UNSET}"), "{Probability{1}}");
    // What is in quotes is text, whatever is in it.
    assert_eq!(parse("probability: {ratio: '${RATIO}'}").unwrap_err().value(), "0.5");
    let named = |name: &str| {
        described(&format!(
            "rule_based:\n  rules:\n  - name: {name}\n    sampler: {{always_on: }}"
        ))
    };
    assert_eq!(named("${NAME}"), "{RuleBased{[(GET /cart:AlwaysOn)]}}");
    assert_eq!(named("$${NAME}"), "{RuleBased{[(${NAME}:AlwaysOn)]}}");
    // Keys are not substituted.
    assert_eq!(parse("${NAME}: {}").unwrap_err().field(), "${NAME}");
}

/// The way to the field, its value, and a part of what is accepted.
#[test]
fn an_error_says_where_what_and_what_instead() {
    let depth = 70;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep_block = "- ".repeat(depth) + "x";
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n\
                c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n\
                e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n";
    let large = format!("# {}\nalways_on:", "x".repeat(1 << 20));
    let rules = |rule: &str| {
        format!("rule_based:\n  rules:\n    - sampler: {{always_on: }}\n      span_names: [a]\n    - {rule}\n")
    };
    let mut wrong = Vec::new();
    for (yaml, field, value, accepted) in [
        // Documents.
        ("", "document", "", "not an empty one"),
        ("# nothing\n", "document", "", "not an empty one"),
        ("~", "document", "nothing", "exactly one of"),
        ("always_on", "document", "always_on", "a map"),
        ("[always_on]", "document", "a list of 1", "a map"),
        (
            "always_on:\n---\nalways_off:",
            "document",
            "several documents",
            "one document",
        ),
        ("always_on: {\n", "document", "", "YAML: "),
        ("always_on:\n\t- x: [", "document", "- x: [", "YAML: "),
        ("&a [*a]", "[0]", "itself", "complete"),
        ("always_on: *b", "document", "always_on: *b", "YAML: "),
        (
            "probability: {ratio: 1, ratio: 0}",
            "probability.ratio",
            "twice",
            "each key once",
        ),
        ("{[a]: b}", "document", "a list or a map", "a key that is text"),
        ("always_on: !ours {}", "always_on", "!ours", "no tags but"),
        (&deep, &"[0]".repeat(65), "more levels", "at most 64 levels"),
        (&deep_block, &"[0]".repeat(65), "more levels", "at most 64 levels"),
        (
            bomb,
            "e[6]",
            "more nodes, aliases counted as what they stand for",
            "at most 100000 nodes",
        ),
        (&large, "document", "1048589 bytes", "at most 1048576 bytes"),
        (
            "probability:\n  ratio: ${1X}",
            "probability.ratio",
            "${1X}",
            "`${NAME}`",
        ),
        (
            "probability:\n  ratio: ${X:?no}",
            "probability.ratio",
            "${X:?no}",
            "`${NAME}`",
        ),
        // Which sampler.
        ("{}", "document", "{}", "exactly one of always_off, always_on"),
        (
            "always_on:\nalways_off:",
            "document",
            "{always_on, always_off}",
            "exactly one of",
        ),
        (
            "alwayson:",
            "alwayson",
            "nothing",
            "no such key; did you mean `always_on`?",
        ),
        (
            "adaptive: {target_per_second: 5}",
            "adaptive",
            "{target_per_second}",
            "did you mean `spanwright/adaptive`?",
        ),
        (": 1", "\"\"", "1", "no such key"),
        ("? |\n  a\n  b\n: 1", "\"a\\nb\\n\"", "1", "no such key"),
        ("something: 1", "something", "1", "no such key; known: always_off, "),
        ("always_on: {ratio: 1}", "always_on.ratio", "1", "no keys at all"),
        ("always_on: yes", "always_on", "yes", "a map"),
        // Whole files.
        ("file_format: '0.4'\ntracer_provider:", "file_format", "0.4", "1.0, 1.1"),
        (
            "file_format: '1.1'\ntracer_provder: {}",
            "tracer_provder",
            "{}",
            "did you mean `tracer_provider`?",
        ),
        (
            "tracer_provider: {smapler: {}}",
            "tracer_provider.smapler",
            "{}",
            "did you mean `sampler`?",
        ),
        (
            "tracer_provider: {sampler: {probability: }}",
            "tracer_provider.sampler.probability",
            "nothing",
            "did you mean `probability/development`?",
        ),
        (
            "tracer_provider: {sampler: {}}",
            "tracer_provider.sampler",
            "{}",
            "exactly one of",
        ),
        // Numbers.
        (
            "probability: {ratio: 1.5}",
            "probability.ratio",
            "1.5",
            "a number from 0 to 1",
        ),
        (
            "probability: {ratio: -0.1}",
            "probability.ratio",
            "-0.1",
            "a number from 0 to 1",
        ),
        (
            "probability: {ratio: .nan}",
            "probability.ratio",
            ".nan",
            "a number from 0 to 1",
        ),
        (
            "probability: {ratio: NaN}",
            "probability.ratio",
            "NaN",
            "a number from 0 to 1",
        ),
        (
            "probability: {ratio: '0.5'}",
            "probability.ratio",
            "0.5",
            "a number from 0 to 1",
        ),
        (
            "probability: {ratio: 50%}",
            "probability.ratio",
            "50%",
            "a number from 0 to 1",
        ),
        (
            "probability: {ratio: [0.5]}",
            "probability.ratio",
            "a list of 1",
            "a number from 0 to 1",
        ),
        (
            "probability:\n  ratio: ${WORD}",
            "probability.ratio",
            "often",
            "a number from 0 to 1",
        ),
        (
            "probability: {rate: 0.5}",
            "probability.rate",
            "0.5",
            "did you mean `ratio`?",
        ),
        // Around others.
        (
            "parent_threshold:",
            "parent_threshold.root",
            "nothing",
            "it is required",
        ),
        (
            "parent_threshold: {root: {parent_based: }}",
            "parent_threshold.root.parent_based",
            "nothing",
            "known: always_off",
        ),
        (
            "parent_based: {root: {always: }}",
            "parent_based.root.always",
            "nothing",
            "no such key",
        ),
        (
            "parent_based: {root: {always_record: {root: {always_on: }}}}",
            "parent_based.root.always_record",
            "{root}",
            "only be the outermost",
        ),
        ("always_record:", "always_record.root", "nothing", "it is required"),
        (
            "composite/development: {rule_based: {rules: [{sampler: {always_on: {x: 1}}}]}}",
            "composite/development.rule_based.rules[0].sampler.always_on.x",
            "1",
            "no keys at all",
        ),
        // Rules.
        (
            "rule_based: {rules: []}",
            "rule_based.rules",
            "a list of 0",
            "one item at least",
        ),
        ("rule_based: {rules: {}}", "rule_based.rules", "{}", "a list"),
        (
            &rules("span_names: [b]"),
            "rule_based.rules[1].sampler",
            "nothing",
            "it is required",
        ),
        (
            &rules("smapler: {}"),
            "rule_based.rules[1].smapler",
            "{}",
            "did you mean `sampler`?",
        ),
        (
            &rules("span_name: a"),
            "rule_based.rules[1].span_name",
            "a",
            "did you mean `span_names`?",
        ),
        (&rules("span_names: a"), "rule_based.rules[1].span_names", "a", "a list"),
        (
            &rules("span_names: [{}]"),
            "rule_based.rules[1].span_names[0]",
            "{}",
            "text",
        ),
        (
            &rules("span_kinds: [sever]"),
            "rule_based.rules[1].span_kinds[0]",
            "sever",
            "one of internal, server",
        ),
        (
            &rules("parent: [none, all]"),
            "rule_based.rules[1].parent[1]",
            "all",
            "one of none, local, remote",
        ),
        (&rules("name: ''"), "rule_based.rules[1].name", "", "not empty"),
        (
            &rules("attribute_values: {key: a}"),
            "rule_based.rules[1].attribute_values.values",
            "nothing",
            "it is required",
        ),
        (
            &rules("attribute_values: {values: [a]}"),
            "rule_based.rules[1].attribute_values.key",
            "nothing",
            "it is required",
        ),
        (
            &rules("attribute_patterns: {key: a, include: [x]}"),
            "rule_based.rules[1].attribute_patterns.include",
            "a list of 1",
            "did you mean `included`?",
        ),
        (
            &rules("sampler: {probability: {ratio: 2}}"),
            "rule_based.rules[1].sampler.probability.ratio",
            "2",
            "a number from 0 to 1",
        ),
        (
            "rule_based: {rules: [{name: a, span_names: [x], sampler: {always_on: }}, {name: a, sampler: {always_on: }}]}",
            "rule_based.rules[1].name",
            "a",
            "a name that no other rule has",
        ),
        (
            &rules(&format!(
                "span_name_patterns: {{included: [{}]}}\n      sampler: {{always_on: }}",
                "x".repeat(1025)
            )),
            "rule_based.rules[1].span_name_patterns",
            &"x".repeat(1025),
            "at most 1024 bytes",
        ),
        // Ours.
        (
            "spanwright/any_of: {samplers: []}",
            "spanwright/any_of.samplers",
            "a list of 0",
            "one item at least",
        ),
        (
            "spanwright/any_of:",
            "spanwright/any_of.samplers",
            "nothing",
            "it is required",
        ),
        (
            "spanwright/annotating: {attributes: {a: [1]}, sampler: {always_on: }}",
            "spanwright/annotating.attributes.a",
            "a list of 1",
            "text, a number, true or false",
        ),
        (
            "spanwright/adaptive:",
            "spanwright/adaptive.target_per_second",
            "none",
            "a number, if there is no target ratio",
        ),
        (
            "spanwright/adaptive: {target_per_second: -1}",
            "spanwright/adaptive.target_per_second",
            "-1",
            "a finite number above 0",
        ),
        (
            "spanwright/adaptive: {target_ratio: 2}",
            "spanwright/adaptive.target_ratio",
            "2",
            "above 0, up to 1",
        ),
        (
            "spanwright/adaptive: {target: 2}",
            "spanwright/adaptive.target",
            "2",
            "no such key",
        ),
        (
            "spanwright/per_key:",
            "spanwright/per_key.target_per_second",
            "nothing",
            "traces per second",
        ),
        (
            "spanwright/per_key: {keys: [a]}",
            "spanwright/per_key.keys[0]",
            "a",
            "a map",
        ),
        (
            "spanwright/per_key: {keys: [{attribute: a, span_name: }]}",
            "spanwright/per_key.keys[0]",
            "{attribute, span_name}",
            "exactly one of attribute, span_name",
        ),
        (
            "spanwright/per_key: {target_per_second: 1, max_keys: 1.5}",
            "spanwright/per_key.max_keys",
            "1.5",
            "a whole number from 1 to 1000000",
        ),
        (
            "spanwright/per_key: {target_per_second: 1, overflow_share: 1}",
            "spanwright/per_key.overflow_share",
            "1.0",
            "0.01 to 0.9",
        ),
        (
            "spanwright/per_key: {target_per_second: 1, weights: [{values: [a]}]}",
            "spanwright/per_key.weights[0].weight",
            "nothing",
            "it is required",
        ),
        (
            "spanwright/per_key: {target_per_second: 1, weights: [{values: [a], weight: 0}]}",
            "spanwright/per_key.weights[0].weight",
            "0.0",
            "0.001 to 1000.0",
        ),
        (
            "spanwright/any_of: {samplers: [&a {spanwright/per_key: {target_per_second: 1, max_keys: 600000}}, *a]}",
            "spanwright/per_key.max_keys",
            "1200000",
            "at most 1000000 keys in all",
        ),
        (
            "spanwright/rate_limiting: {per_second: 1}",
            "spanwright/rate_limiting.per_second",
            "1",
            "known: max_burst, sampler, spans_per_second, traces_per_second",
        ),
        (
            "spanwright/rate_limiting: {traces_per_second: 1, spans_per_second: 1}",
            "spanwright/rate_limiting",
            "{traces_per_second, spans_per_second}",
            "either traces_per_second or spans_per_second",
        ),
    ] {
        let error = parse(yaml).map(|config| format!("{config:?}")).expect_err(yaml);
        if (error.field(), error.value()) != (field, value) || !error.accepted().contains(accepted) {
            wrong.push(format!(
                "{error}, and not {field}, {value}, {accepted}, for\n{yaml:.200}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_knows_its_line() {
    let error = parse("parent_based:\n  root:\n    always_on:\n    always_off:\n").unwrap_err();
    assert_eq!(error.field(), "parent_based.root");
    assert_eq!(error.source().expect("a place").to_string(), "in line 3");
    let error =
        parse("rule_based:\n  rules:\n    - sampler: {always_on: }\n    - sampler: {probability: {ratio: x}}\n")
            .unwrap_err();
    assert_eq!(error.source().expect("a place").to_string(), "in line 4");
}

#[test]
fn the_plain_always_on_writes_nothing_down_and_the_composable_one_does() {
    assert_eq!(
        decided(&sampler("always_on:"), None, 0),
        (Outcome::RecordAndSample, String::new())
    );
    let composite = sampler("composite/development: {always_on: }");
    assert_eq!(
        decided(&composite, None, 0),
        (Outcome::RecordAndSample, "th:0".to_owned())
    );
    // What is kept although the parent was not is not what the parent's threshold says.
    let child = Some((true, true, "th:8"));
    assert_eq!(
        decided(&sampler("always_on:"), child, ALWAYS),
        (Outcome::RecordAndSample, String::new())
    );
    let by_parent = sampler("parent_based:");
    assert_eq!(
        decided(&by_parent, child, ALWAYS),
        (Outcome::RecordAndSample, "th:8".to_owned())
    );
    assert_eq!(
        decided(&by_parent, Some((true, false, "")), ALWAYS),
        (Outcome::Drop, String::new())
    );
}

#[test]
fn a_ratio_decides_whatever_was_decided_for_the_parent_and_the_same_everywhere() {
    let half = sampler("trace_id_ratio_based: {ratio: 0.5}");
    for parent in [
        None,
        Some((true, true, "")),
        Some((true, false, "")),
        Some((false, true, "")),
    ] {
        assert_eq!(
            decided(&half, parent, ALWAYS),
            (Outcome::RecordAndSample, "th:8".to_owned())
        );
        assert_eq!(decided(&half, parent, 0), (Outcome::Drop, String::new()));
    }
}

#[test]
fn what_is_not_sampled_is_recorded_if_the_document_says_so() {
    let recording = sampler("always_record: {root: {probability/development: {ratio: 0.5}}}");
    assert_eq!(decided(&recording, None, 0), (Outcome::RecordOnly, String::new()));
    assert_eq!(decided(&recording, None, ALWAYS).0, Outcome::RecordAndSample);
    let span = StartingSpan::new(None, TraceId::from(1), "span", &SpanKind::Server);
    let steps = recording.explain(&span);
    assert!(
        steps.last().expect("steps").contains("recorded all the same"),
        "{steps:?}"
    );
}

#[test]
fn rules_fit_as_they_are_written_and_are_counted_by_name() {
    let sampler = sampler(OURS);
    let decide = |name: &'static str, kind: SpanKind, attributes: &[KeyValue]| {
        let span = StartingSpan::new(None, TraceId::from(u128::MAX), name, &kind).with_details(attributes, &[]);
        sampler.sample(&span)
    };
    decide("GET /healthz", SpanKind::Server, &[]);
    let checkout = decide("POST /checkout", SpanKind::Server, &[]);
    let expected = [
        KeyValue::new("sampled.by", "checkout"),
        KeyValue::new("level", 3),
        KeyValue::new("share", 0.5),
        KeyValue::new("sure", true),
    ];
    assert_eq!(checkout.attributes, expected);
    decide("POST /checkout/internal", SpanKind::Server, &[]);
    decide("POST /checkout", SpanKind::Client, &[]);
    decide("GET /", SpanKind::Server, &[KeyValue::new("tenant.id", 7)]);
    let stats = sampler.stats();
    let counts: Vec<_> = stats
        .rules
        .iter()
        .map(|rule| (&*rule.rule, rule.kept + rule.dropped))
        .collect();
    assert_eq!(counts, [("health", 1), ("checkout", 1), ("tenants", 1), ("rest", 2)]);
    assert_eq!(stats.kept() + stats.dropped(), 5);
}

#[test]
fn rules_that_no_span_can_reach_are_named() {
    let sampler = sampler("rule_based: {rules: [{sampler: {always_on: }}, {name: never, sampler: {always_off: }}]}");
    let status = sampler.handle().status();
    assert_eq!(status.lints.len(), 1, "{status:?}");
    assert!(status.lints[0].contains("never"), "{status:?}");
}

#[cfg(feature = "remote")]
#[test]
fn a_server_decides_about_roots_or_about_everything() {
    let server =
        "jaeger_remote/development: {endpoint: 'http://127.0.0.1:1', interval: 5000, initial_sampler: {always_off: }}";
    let alone = described(server);
    assert!(alone.starts_with("JaegerRemote"), "{alone}");
    let by_parent = described(&format!("parent_based: {{root: {{{server}}}}}"));
    assert!(
        by_parent.starts_with("JaegerRemote") || by_parent.starts_with("ParentBased"),
        "{by_parent}"
    );

    let with_branch = sampler(&format!(
        "parent_based: {{root: {{{server}}}, remote_parent_not_sampled: {{composite/development: {{always_on: }}}}}}"
    ));
    assert_eq!(
        decided(&with_branch, None, ALWAYS).0,
        Outcome::Drop,
        "the initial sampler"
    );
    assert_eq!(
        decided(&with_branch, Some((true, false, "")), ALWAYS).0,
        Outcome::RecordAndSample
    );
    assert_eq!(
        decided(&with_branch, Some((true, true, "th:8")), ALWAYS),
        (Outcome::RecordAndSample, "th:8".to_owned())
    );
    assert_eq!(decided(&with_branch, Some((false, false, "")), ALWAYS).0, Outcome::Drop);

    for (yaml, field) in [
        ("jaeger_remote/development:", "jaeger_remote/development.endpoint"),
        (
            "jaeger_remote/development: {endpoint: a, interval: 0}",
            "jaeger_remote/development.interval",
        ),
        (
            &*format!("parent_based: {{remote_parent_sampled: {{{server}}}}}"),
            "parent_based.remote_parent_sampled",
        ),
        (
            &*format!("parent_based: {{root: {{parent_based: {{root: {{{server}}}}}}}}}"),
            "parent_based.root",
        ),
    ] {
        assert_eq!(parse(yaml).unwrap_err().field(), field, "{yaml}");
    }
}

#[cfg(not(feature = "remote"))]
#[test]
fn a_server_needs_its_feature() {
    let error = parse("jaeger_remote/development: {endpoint: a, initial_sampler: {always_on: }}").unwrap_err();
    assert_eq!(error.field(), "jaeger_remote/development");
    assert!(error.accepted().contains("feature `remote`"), "{error}");
}
