//! Samplers that decide by the parent: the specification's tables, and the trace state in each branch.

#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{KeyValue, TraceId};
use spanwright_sampling::{
    AlwaysOff, AlwaysOffSampler, AlwaysOn, AlwaysOnSampler, AlwaysRecord, Annotating, ComposableSampler,
    CompositeSampler, ConsistentProbability, Decision, Outcome, ParentBased, ParentThreshold, Probability, Sampler,
    StartingSpan,
};

/// Its randomness, the last seven bytes, is 0: it reaches no threshold but 0.
const TRACE: [u8; 16] = [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 0, 0, 0, 0];

/// A trace whose randomness reaches every threshold.
const LUCKY: [u8; 16] = [0xff; 16];

fn parent(trace: [u8; 16], is_remote: bool, is_sampled: bool, state: &str) -> SpanContext {
    let flags = if is_sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    let state: TraceState = state.parse().unwrap();
    SpanContext::new(
        TraceId::from_bytes(trace),
        SpanId::from_bytes([1; 8]),
        flags,
        is_remote,
        state,
    )
}

fn decide(sampler: &dyn Sampler, parent: Option<&SpanContext>) -> Decision {
    let trace = parent.map_or(TraceId::from_bytes(LUCKY), SpanContext::trace_id);
    sampler.sample(&StartingSpan::new(parent, trace, "name", &SpanKind::Internal))
}

/// A sampler that can be told from others by what it decides, and says in each part of a decision who it is.
#[derive(Debug)]
struct Named(&'static str, Outcome);

impl Sampler for Named {
    fn sample(&self, _: &StartingSpan<'_>) -> Decision {
        Decision {
            outcome: self.1,
            attributes: vec![KeyValue::new("by", self.0)],
            trace_state: TraceState::from_key_value([("by", self.0)]).unwrap(),
        }
    }

    fn description(&self) -> String {
        self.0.to_owned()
    }
}

fn five() -> ParentBased {
    ParentBased::builder(Named("root", Outcome::RecordAndSample))
        .with_remote_parent_sampled(Named("remote", Outcome::RecordOnly))
        .with_remote_parent_not_sampled(Named("remote-not", Outcome::RecordAndSample))
        .with_local_parent_sampled(Named("local", Outcome::Drop))
        .with_local_parent_not_sampled(Named("local-not", Outcome::RecordOnly))
        .build()
}

/// The table of [ParentBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased).
#[test]
fn parent_based_asks_by_the_table_and_passes_on_all_of_the_decision() {
    let invalid = SpanContext::new(
        TraceId::INVALID,
        SpanId::INVALID,
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    for (parent, asked, outcome) in [
        (None, "root", Outcome::RecordAndSample),
        (Some(invalid), "root", Outcome::RecordAndSample),
        (Some(parent(LUCKY, true, true, "")), "remote", Outcome::RecordOnly),
        (
            Some(parent(LUCKY, true, false, "")),
            "remote-not",
            Outcome::RecordAndSample,
        ),
        (Some(parent(LUCKY, false, true, "")), "local", Outcome::Drop),
        (Some(parent(LUCKY, false, false, "")), "local-not", Outcome::RecordOnly),
    ] {
        let decision = decide(&five(), parent.as_ref());
        assert_eq!(decision.outcome, outcome, "{asked}");
        assert_eq!(decision.attributes, [KeyValue::new("by", asked)]);
        assert_eq!(decision.trace_state.header(), format!("by={asked}"));
    }
}

#[test]
fn parent_based_does_as_the_parent_by_default() {
    let sampler = ParentBased::builder(AlwaysOffSampler).build();
    assert_eq!(decide(&sampler, None).outcome, Outcome::Drop);
    for is_remote in [false, true] {
        let with = |is_sampled| decide(&sampler, Some(&parent(LUCKY, is_remote, is_sampled, ""))).outcome;
        assert_eq!(with(true), Outcome::RecordAndSample);
        assert_eq!(with(false), Outcome::Drop);
    }
    assert_eq!(
        sampler.description(),
        "ParentBased{root:AlwaysOffSampler,remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,\
         localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
    );
    let unsampled = parent(LUCKY, true, false, "");
    let span = StartingSpan::new(Some(&unsampled), unsampled.trace_id(), "name", &SpanKind::Internal);
    assert_eq!(
        sampler.explain(&span),
        [
            "parent based, remote parent not sampled: AlwaysOffSampler is asked",
            "dropped: always off"
        ]
    );
}

#[test]
fn the_threshold_goes_on_to_sampled_children_of_sampled_parents_only() {
    let sampler = || ParentBased::builder(AlwaysOnSampler);
    let default = sampler().build();
    let inverted = sampler()
        .with_remote_parent_sampled(AlwaysOffSampler)
        .with_remote_parent_not_sampled(AlwaysOnSampler)
        .build();
    for (sampler, trace, is_sampled, came, outcome, goes) in [
        // As it came, to the letter.
        (
            &default,
            LUCKY,
            true,
            "a=1,ot=th:c000;x:y,b=2",
            Outcome::RecordAndSample,
            "a=1,ot=th:c000;x:y,b=2",
        ),
        (
            &default,
            LUCKY,
            true,
            "ot=rv:00000000000000",
            Outcome::RecordAndSample,
            "ot=rv:00000000000000",
        ),
        (&default, LUCKY, true, "a=1", Outcome::RecordAndSample, "a=1"),
        (&default, LUCKY, true, "", Outcome::RecordAndSample, ""),
        // The parent's randomness does not reach its threshold, so the threshold is not what it was sampled by.
        (&default, TRACE, true, "a=1,ot=th:c", Outcome::RecordAndSample, "a=1"),
        // Dropped: no threshold; and no member without a content.
        (&default, LUCKY, false, "a=1,ot=th:c", Outcome::Drop, "a=1"),
        (
            &default,
            LUCKY,
            false,
            "ot=th:c;rv:ffffffffffffff",
            Outcome::Drop,
            "ot=rv:ffffffffffffff",
        ),
        (&default, LUCKY, false, "a=1,ot=x:y", Outcome::Drop, "a=1,ot=x:y"),
        (&inverted, LUCKY, true, "a=1,ot=th:c", Outcome::Drop, "a=1"),
        // Sampled although the parent was not: its threshold says nothing.
        (&inverted, LUCKY, false, "a=1,ot=th:c", Outcome::RecordAndSample, "a=1"),
        // What cannot be read goes on to nobody; what others wrote does.
        (&default, LUCKY, true, "a=1,ot=th", Outcome::RecordAndSample, "a=1"),
        (&default, LUCKY, false, "a=1,ot=th", Outcome::Drop, "a=1"),
    ] {
        let decision = decide(sampler, Some(&parent(trace, true, is_sampled, came)));
        assert_eq!(
            (decision.outcome, &*decision.trace_state.header()),
            (outcome, goes),
            "{came}"
        );
    }
    assert_eq!(decide(&default, None).trace_state, TraceState::default());
}

#[test]
fn a_root_that_writes_a_threshold_keeps_it_inside_of_parent_based() {
    let root = Annotating::new(Probability::new(0.25).unwrap(), [KeyValue::new("by", "root")]);
    let sampler = ParentBased::builder(CompositeSampler::new(root)).build();
    let decision = decide(&sampler, None);
    assert_eq!(decision.trace_state.header(), "ot=th:c");
    assert_eq!(decision.attributes, [KeyValue::new("by", "root")]);
}

/// The table of [AlwaysRecord](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwaysrecord).
#[test]
fn always_record_records_what_is_dropped_and_changes_nothing_else() {
    for (root, outcome) in [
        (Outcome::Drop, Outcome::RecordOnly),
        (Outcome::RecordOnly, Outcome::RecordOnly),
        (Outcome::RecordAndSample, Outcome::RecordAndSample),
    ] {
        let decision = decide(&AlwaysRecord::new(Named("root", root)), None);
        assert_eq!(decision.outcome, outcome);
        assert_eq!(decision.attributes, [KeyValue::new("by", "root")]);
        assert_eq!(decision.trace_state.header(), "by=root");
    }
    let sampler = AlwaysRecord::new(AlwaysOffSampler);
    assert_eq!(sampler.description(), "AlwaysRecordSampler{AlwaysOffSampler}");
    let sampled = parent(LUCKY, true, true, "ot=th:c");
    assert_eq!(
        decide(&sampler, Some(&sampled)).trace_state.header(),
        "",
        "not sampled, so no threshold"
    );
    let span = StartingSpan::new(None, TraceId::from_bytes(LUCKY), "name", &SpanKind::Internal);
    let steps = sampler.explain(&span);
    assert_eq!(
        steps,
        [
            "dropped: always off",
            "always record: recorded all the same, and not sampled"
        ]
    );
}

#[test]
fn consistent_probability_decides_for_roots_and_follows_parents() {
    let sampler = ConsistentProbability::of(0.25).unwrap();
    assert_eq!(decide(&sampler, None).trace_state.header(), "ot=th:c");
    let sampled = parent(LUCKY, true, true, "ot=th:8");
    assert_eq!(decide(&sampler, Some(&sampled)).trace_state.header(), "ot=th:8");
    let dropped = parent(LUCKY, true, false, "");
    assert_eq!(decide(&sampler, Some(&dropped)).outcome, Outcome::Drop);
    for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(ConsistentProbability::of(ratio).unwrap_err().field(), "ratio");
    }
}

/// The rows that the test suites of Java, JavaScript and Python share: `CompositeSamplerTest`, `sampler.test.ts`, `test_sampler.py`.
/// One of them takes the threshold of a parent that was not sampled, which the specification erases: an option.
#[test]
fn composite_decisions_are_those_of_the_other_sdks() {
    fn row(sampler: impl ComposableSampler, trusts: bool, is_sampled: bool, came: &str, outcome: Outcome, goes: &str) {
        let sampler = CompositeSampler::new(sampler).with_trust_parent_threshold(trusts);
        let decision = decide(&sampler, Some(&parent(TRACE, false, is_sampled, came)));
        let what = format!("{} for {came}", sampler.description());
        assert_eq!(
            (decision.outcome, &*decision.trace_state.header()),
            (outcome, goes),
            "{what}"
        );
    }
    use Outcome::{Drop, RecordAndSample as Keep};
    let half = || Probability::new(0.5).unwrap();
    let threshold = || ParentThreshold::new(AlwaysOn);
    for trusts in [false, true] {
        row(AlwaysOn, trusts, true, "", Keep, "ot=th:0");
        row(
            AlwaysOn,
            trusts,
            true,
            "ot=rv:7f99aa40c02744",
            Keep,
            "ot=th:0;rv:7f99aa40c02744",
        );
        row(AlwaysOff, trusts, true, "", Drop, "");
        row(Probability::new(0.0).unwrap(), trusts, true, "", Drop, "");
        row(threshold(), trusts, true, "", Keep, "");
        row(
            half(),
            trusts,
            true,
            "ot=rv:7fffffffffffff",
            Drop,
            "ot=rv:7fffffffffffff",
        );
        row(
            half(),
            trusts,
            false,
            "ot=rv:80000000000000",
            Keep,
            "ot=th:8;rv:80000000000000",
        );
        let all = Probability::new(1.0).unwrap();
        row(
            all,
            trusts,
            false,
            "ot=th:8;rv:80000000000000",
            Keep,
            "ot=th:0;rv:80000000000000",
        );
        // None of theirs has this row: nothing is left of the member, so it goes.
        row(AlwaysOff, trusts, true, "ot=th:c", Drop, "");
    }
    let inconsistent = "ot=th:7f99aa40c02744;rv:7f99aa40c02744";
    row(threshold(), true, false, inconsistent, Keep, inconsistent);
    row(threshold(), false, false, inconsistent, Drop, "ot=rv:7f99aa40c02744");
}
