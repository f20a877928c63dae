//! Decisions, and the trace states that come of them.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};
use opentelemetry::{KeyValue, TraceId};
use spanwright_core::semconv::attribute::SAMPLING_ADJUSTED_COUNT;
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, Annotating, AnyOf, ComposableSampler, CompositeSampler, Decision, Intent, Outcome,
    ParentThreshold, Probability, Randomness, Reason, StartingSpan, Threshold,
};

use crate::support::{RANDOM, decide, parent, trace, trace_state};

type Boxed = Box<dyn ComposableSampler>;

/// A sampler, whether the parent was sampled, its trace state; what is decided, and the trace state that goes on.
type Row<'a> = (Boxed, bool, &'a str, &'a str);

/// The trace id of the other implementations' tests: its randomness is 0.
const ZERO: u128 = 0x0011_2233_4455_6677_8800_0000_0000_0000;

fn on() -> Boxed {
    Box::new(AlwaysOn)
}

fn off() -> Boxed {
    Box::new(AlwaysOff)
}

fn ratio(ratio: f64) -> Boxed {
    Box::new(Probability::new(ratio).expect("as the vectors have it"))
}

fn parent_or(root: Boxed) -> Boxed {
    Box::new(ParentThreshold::new(root))
}

/// `keep` or `drop`, and the trace state.
fn shown(decision: &Decision) -> String {
    let verb = match decision.outcome {
        Outcome::RecordAndSample => "keep",
        Outcome::RecordOnly => "record",
        Outcome::Drop => "drop",
    };
    format!("{verb} {}", decision.trace_state.header())
        .trim_end()
        .to_owned()
}

fn check(trace_id: u128, trusts: bool, rows: Vec<Row<'_>>) {
    let trace_id = TraceId::from(trace_id);
    for (sampler, is_sampled, header, expected) in rows {
        let sampler = CompositeSampler::new(sampler).with_trust_parent_threshold(trusts);
        let decision = decide(&sampler, Some(&parent(trace_id, is_sampled, header)), trace_id);
        assert_eq!(
            shown(&decision),
            expected,
            "{sampler:?} sampled: {is_sampled} {header:?}"
        );
    }
}

/// opentelemetry-java `CompositeSamplerTest` and `ComposableParentThresholdSamplerTest`, js `sampler.test.ts`, python
/// `test_sampler.py`, java-contrib `ConsistentSamplerTest`.
#[test]
fn the_composite_samplers_of_other_languages() {
    let middle = "ot=rv:7f99aa40c02744";
    for trusts in [false, true] {
        let rows = vec![
            (on(), true, "", "keep ot=th:0"),
            (on(), true, middle, "keep ot=th:0;rv:7f99aa40c02744"),
            (off(), true, "", "drop"),
            (ratio(0.0), true, "", "drop"),
            (parent_or(on()), true, "", "keep"),
            (parent_or(on()), false, "", "drop"),
            (ratio(0.5), true, "ot=rv:7fffffffffffff", "drop ot=rv:7fffffffffffff"),
            (
                ratio(0.5),
                true,
                "ot=rv:80000000000000",
                "keep ot=th:8;rv:80000000000000",
            ),
            (
                ratio(0.5),
                false,
                "ot=rv:80000000000000",
                "keep ot=th:8;rv:80000000000000",
            ),
            (
                ratio(1.0),
                false,
                "ot=th:8;rv:80000000000000",
                "keep ot=th:0;rv:80000000000000",
            ),
        ];
        check(ZERO, trusts, rows);
    }
}

/// The one case in which those implementations and the specification disagree: a parent that was not sampled, with a threshold
/// that says it was. The specification erases what is inconsistent.
#[test]
fn a_threshold_that_disagrees_with_the_flag_is_erased_or_trusted() {
    let both = "ot=th:7f99aa40c02744;rv:7f99aa40c02744";
    let above = "ot=th:8;rv:7f99aa40c02744";
    check(
        ZERO,
        true,
        vec![
            (
                parent_or(on()),
                false,
                both,
                "keep ot=th:7f99aa40c02744;rv:7f99aa40c02744",
            ),
            (parent_or(on()), true, above, "drop ot=rv:7f99aa40c02744"),
        ],
    );
    check(
        ZERO,
        false,
        vec![
            (parent_or(on()), false, both, "drop ot=rv:7f99aa40c02744"),
            (parent_or(on()), true, above, "keep ot=rv:7f99aa40c02744"),
        ],
    );
    let count = |trusts, is_sampled, header: &str| {
        let sampler = CompositeSampler::new(parent_or(on())).with_trust_parent_threshold(trusts);
        _ = decide(
            &sampler,
            Some(&parent(TraceId::from(ZERO), is_sampled, header)),
            TraceId::from(ZERO),
        );
        sampler.stats().inconsistent_thresholds
    };
    assert_eq!([count(false, false, both), count(false, true, above)], [1, 1]);
    assert_eq!([count(true, false, both), count(true, true, above)], [0, 0]);
    // Not sampled, and that is what it says.
    assert_eq!([count(false, false, above), count(false, true, both)], [0, 0]);
}

/// The implementations of Java, JavaScript and Python leave a threshold in the trace state where its removal leaves nothing else.
#[test]
fn a_span_that_is_not_sampled_carries_no_threshold() {
    check(
        0xff_ffff_ffff_ffff,
        false,
        vec![
            (off(), true, "ot=th:c", "drop"),
            (off(), true, "a=1,ot=th:c,b=2", "drop a=1,b=2"),
            (off(), true, "ot=th:c;x:1", "drop ot=x:1"),
            (off(), true, "ot=rv:00000000000000;th:0", "drop ot=rv:00000000000000"),
            (
                ratio(0.5),
                true,
                "ot=rv:00000000000000;th:0",
                "drop ot=rv:00000000000000",
            ),
            // Nothing has changed, so nothing moves.
            (off(), true, "a=1,ot=x:1", "drop a=1,ot=x:1"),
        ],
    );
    // Kept, with a weight that nobody knows: as little.
    check(ZERO, false, vec![(parent_or(on()), true, "a=1,ot=th:c", "keep a=1")]);
}

/// dotnet-contrib `ConsistentProbabilitySamplerTests`, `OtelTraceStateTests`.
#[test]
fn the_probability_sampler_of_dotnet() {
    let long = format!("ot=foo:{}", "a".repeat(256 - 4));
    let nearly = format!("ot=th:0;foo:{}", "a".repeat(256 - 9));
    let erased = format!("keep ot=foo:{}", "a".repeat(256 - 9));
    let as_it_was = format!("keep {long}");
    let in_its_place = format!("a=1,{long},b=2");
    let as_it_was_there = format!("keep {in_its_place}");
    let last = 0xff_ffff_ffff_ffff;
    check(
        last,
        false,
        vec![
            (
                ratio(0.5),
                false,
                "ot=rv:ffffffffffffff",
                "keep ot=th:8;rv:ffffffffffffff",
            ),
            (
                ratio(0.5),
                false,
                "ot=rv:ffffffffffffff,vendor=abc",
                "keep ot=th:8;rv:ffffffffffffff,vendor=abc",
            ),
            (
                ratio(0.25),
                true,
                "ot=th:8;rv:ffffffffffffff",
                "keep ot=th:c;rv:ffffffffffffff",
            ),
            (
                ratio(0.5),
                true,
                "ot=th:0;rv:00000000000000",
                "drop ot=rv:00000000000000",
            ),
            (ratio(0.5), true, "", "keep ot=th:8"),
            (ratio(1.0 - 1.0 / 256.0), true, "", "keep ot=th:01"),
            (ratio(0.5), true, "ot=th:4;rv:6E6D1A75832A2F", "keep ot=th:8"),
            (
                ratio(0.5),
                true,
                "vendor=value,ot=e100:100;th:4;e101:101",
                "keep ot=th:8;e100:100;e101:101,vendor=value",
            ),
            (parent_or(on()), true, "ot=th:1000", "keep ot=th:1"),
            (ratio(0.456_789), true, &in_its_place, &as_it_was_there),
            (ratio(0.456_789), true, &long, &as_it_was),
            (ratio(0.456_789), true, &nearly, &erased),
        ],
    );
    // A member that is none takes the whole value with it, and so its `rv`.
    check(
        ZERO,
        false,
        vec![
            (ratio(0.5), false, "ot=rv:ffffffffffffff;malformed", "drop"),
            (ratio(0.5), false, "ot=rv:FFFFFFFFFFFFFF", "drop"),
            (
                ratio(0.5),
                false,
                "ot=rv:ffffffffffffff;th:FF,a=1",
                "keep ot=th:8;rv:ffffffffffffff,a=1",
            ),
        ],
    );
    for probability in [0.1, 0.5, 0.75, 1.0] {
        let is_kept = probability >= 0.5;
        let sampler = CompositeSampler::new(ratio(probability));
        let trace_id = trace(0);
        let decision = decide(
            &sampler,
            Some(&parent(trace_id, false, "ot=rv:90000000000000")),
            trace_id,
        );
        assert_eq!(decision.outcome == Outcome::RecordAndSample, is_kept, "{probability}");
    }
}

#[test]
fn what_is_odd_about_a_trace_state_is_counted() {
    let long = format!("ot=foo:{}", "a".repeat(256 - 4));
    let rows = [
        ("ot=th:8;th:c", [1, 0]),
        ("ot=th:8,ot=th:c", [1, 0]),
        ("ot=th:xyz;rv:ffffffffffffff", [1, 0]),
        (long.as_str(), [0, 1]),
        ("a=1", [0, 0]),
        ("ot=x:1", [0, 0]),
    ];
    for (header, expected) in rows {
        let sampler = CompositeSampler::new(AlwaysOn);
        let trace_id = trace(0xff_ffff_ffff_ffff);
        _ = decide(&sampler, Some(&parent(trace_id, true, header)), trace_id);
        let stats = sampler.stats();
        assert_eq!(
            [stats.malformed_trace_states, stats.aborted_writes],
            expected,
            "{header:?}"
        );
    }
}

/// .NET warns once. We count, so that somebody can.
#[test]
fn that_a_trace_id_is_taken_for_random_is_counted_where_a_decision_hangs_on_it() {
    let rows = [
        (ratio(0.5), true, 0, "", 1),
        (ratio(0.5), true, RANDOM, "", 0),
        (ratio(0.5), true, 0, "ot=rv:00000000000000", 0),
        (ratio(0.5), false, 0, "", 0),
        (on(), true, 0, "", 0),
        (off(), true, 0, "", 0),
        (parent_or(on()), true, 0, "", 0),
        (parent_or(on()), true, 0, "ot=th:8", 1),
    ];
    for (sampler, is_remote, flags, header, expected) in rows {
        let sampler = CompositeSampler::new(sampler);
        let trace_id = trace(0xff_ffff_ffff_ffff);
        let flags = TraceFlags::new(flags).with_sampled(true);
        let parent = SpanContext::new(trace_id, SpanId::from(1), flags, is_remote, trace_state(header));
        _ = decide(&sampler, Some(&parent), trace_id);
        assert_eq!(
            sampler.stats().presumed_random,
            expected,
            "{sampler:?} {flags:?} {header:?}"
        );
    }
    let sampler = CompositeSampler::new(ratio(0.5));
    _ = decide(&sampler, None, trace(1));
    assert_eq!(sampler.stats().presumed_random, 0, "a root has nobody to doubt");
}

/// An application gives the trace that it begins a randomness by a trace state without a valid context.
#[test]
fn the_randomness_of_a_root_is_the_applications_before_it_is_ours() {
    let of_application = SpanContext::new(
        TraceId::INVALID,
        SpanId::INVALID,
        TraceFlags::default(),
        false,
        trace_state("a=1,ot=rv:ffffffffffffff"),
    );
    let sampler = CompositeSampler::new(ratio(0.5))
        .with_explicit_randomness(true)
        .with_entropy(|| 0x11ab_cdef_0123_4567);
    let decision = decide(&sampler, Some(&of_application), trace(0));
    assert_eq!(shown(&decision), "keep ot=th:8;rv:ffffffffffffff,a=1");
    assert_eq!(
        shown(&decide(&sampler, None, trace(0))),
        "keep ot=th:8;rv:abcdef01234567"
    );
    let child = parent(trace(0), true, "");
    assert_eq!(
        shown(&decide(&sampler, Some(&child), trace(0))),
        "drop",
        "the randomness of a trace is its root's to set"
    );
}

#[derive(Debug)]
struct Wants(&'static str, bool);

impl ComposableSampler for Wants {
    fn sampling_intent<'a>(&'a self, _: &StartingSpan<'a>) -> Intent<'a> {
        let intent = Intent::keep_at(Threshold::parse(self.0).expect("as the vectors have it"), Reason::Other);
        if self.1 { intent } else { intent.unreliable() }
    }

    fn description(&self) -> String {
        "Wants".to_owned()
    }
}

fn wants(th: &'static str, is_reliable: bool) -> Boxed {
    Box::new(Wants(th, is_reliable))
}

/// java-contrib `ConsistentAnyOfTest`.
#[test]
fn of_several_the_lowest_threshold_counts() {
    let rows = [
        (
            vec![
                wants("8", false),
                wants("3", true),
                wants("a", false),
                wants("3", false),
            ],
            Some("3"),
            true,
        ),
        (
            vec![
                wants("8", false),
                wants("3", false),
                wants("a", false),
                wants("3", true),
            ],
            Some("3"),
            true,
        ),
        (
            vec![wants("8", true), wants("3", false), wants("a", true)],
            Some("3"),
            false,
        ),
        (vec![off()], None, false),
        (vec![off(), wants("8", true)], Some("8"), true),
        (vec![], None, false),
    ];
    for (samplers, threshold, is_reliable) in rows {
        let sampler = AnyOf::new(samplers);
        let span = StartingSpan::new(None, trace(0), "span_name", &opentelemetry::trace::SpanKind::Internal);
        let intent = sampler.sampling_intent(&span);
        assert_eq!(intent.threshold(), threshold.and_then(Threshold::parse), "{sampler:?}");
        assert_eq!(intent.is_reliable(), is_reliable, "{sampler:?}");
    }
}

fn annotated(sampler: Boxed, attributes: &[(&'static str, &'static str)]) -> Boxed {
    let attributes = attributes.iter().map(|(key, value)| KeyValue::new(*key, *value));
    Box::new(Annotating::new(sampler, attributes))
}

fn attributes(sampler: Boxed, randomness: u64) -> Vec<String> {
    let decision = decide(&CompositeSampler::new(sampler), None, trace(randomness));
    let attributes = decision.attributes.iter();
    attributes
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect()
}

/// opentelemetry-java `ComposableAnnotatingSamplerTest`, js `annotating.test.ts`, java-contrib `ConsistentAnyOfTest`.
#[test]
fn a_sampled_span_gets_each_attribute_once_and_the_outer_one_counts() {
    let inner = annotated(on(), &[("http.route", "/cat"), ("type", "mammal")]);
    let both = annotated(inner, &[("http.route", "/bear"), ("size", "100")]);
    assert_eq!(attributes(both, 0), ["http.route=/bear", "type=mammal", "size=100"]);

    let any = || {
        let low = annotated(wants("3", true), &[("shared", "a"), ("tag1", "a")]);
        let high = annotated(wants("5", true), &[("shared", "b"), ("tag2", "b")]);
        Box::new(AnyOf::new([low, high, annotated(off(), &[("tag3", "c")])]))
    };
    assert_eq!(attributes(any(), 0xff_ffff_ffff_ffff), ["shared=b", "tag1=a", "tag2=b"]);
    // Each one's go to the spans that it would have kept by itself (OTEP 250), and one that wants none has none.
    assert_eq!(attributes(any(), 0x40_0000_0000_0000), ["shared=a", "tag1=a"]);
    assert_eq!(attributes(any(), 0), [""; 0]);
}

/// What others decided by has nothing to do with a threshold that stands for nothing.
#[test]
fn an_unreliable_threshold_is_held_against_fresh_randomness() {
    let kept = |entropy: fn() -> u64, randomness| {
        let sampler = CompositeSampler::new(wants("8", false)).with_entropy(entropy);
        let header = format!("ot=rv:{}", Randomness::new(randomness));
        shown(&decide(
            &sampler,
            Some(&parent(trace(randomness), true, &header)),
            trace(randomness),
        ))
    };
    assert_eq!(kept(|| 0xff_ffff_ffff_ffff, 0), "keep ot=rv:00000000000000");
    assert_eq!(kept(|| 0, 0xff_ffff_ffff_ffff), "drop ot=rv:ffffffffffffff");
    assert_eq!(
        kept(|| 0xaa80_0000_0000_0000, 0),
        "keep ot=rv:00000000000000",
        "of 64 bits the last 56 count"
    );
}

#[test]
fn the_adjusted_count_is_there_if_it_is_wanted_and_known() {
    let count = |sampler: Boxed, header: &str| {
        let sampler = CompositeSampler::new(sampler).with_adjusted_count(true);
        let trace_id = trace(0xff_ffff_ffff_ffff);
        let decision = decide(&sampler, Some(&parent(trace_id, true, header)), trace_id);
        let mut attributes = decision.attributes.into_iter();
        let count = attributes.find(|attribute| attribute.key.as_str() == SAMPLING_ADJUSTED_COUNT);
        count.map(|attribute| attribute.value.to_string())
    };
    assert_eq!(count(ratio(0.25), "").as_deref(), Some("4"));
    assert_eq!(count(annotated(ratio(0.5), &[("a", "b")]), "").as_deref(), Some("2"));
    assert_eq!(count(parent_or(off()), "ot=th:e").as_deref(), Some("8"));
    assert_eq!(count(parent_or(off()), ""), None);
    assert_eq!(count(off(), ""), None);
    assert!(attributes(ratio(1.0), 0).is_empty());
}
