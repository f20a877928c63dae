//! What every sampler of this crate holds to, whatever it samples by.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags};
use spanwright_sampling::{OtelTraceState, Outcome, Sampler, StartingSpan};

use super::{RANDOM, laws, trace, trace_state};

/// Asks `sampler` about all kinds of spans. `counts` says what it has counted.
///
/// # Panics
///
/// If it loses a member of somebody else, writes a threshold that the trace does not reach or on a span that is not sampled,
/// keeps the root of a trace without one, or counts what was only a question.
pub(crate) fn hold<S: Sampler, C: fmt::Debug>(sampler: S, counts: impl Fn(&S) -> C) {
    hold_with(sampler, counts, true);
}

/// The same for one that may keep spans whose weight nobody knows.
pub(crate) fn hold_without_weights<S: Sampler, C: fmt::Debug>(sampler: S, counts: impl Fn(&S) -> C) {
    hold_with(sampler, counts, false);
}

fn hold_with<S: Sampler, C: fmt::Debug>(sampler: S, counts: impl Fn(&S) -> C, has_weights: bool) {
    assert!(!sampler.description().is_empty());
    let attributes = [KeyValue::new("http.route", "/"), KeyValue::new("size", 7)];
    for randomness in [0, 1, 0x7f_ffff_ffff_ffff, 0x80_0000_0000_0000, 0xff_ffff_ffff_ffff] {
        for parent in parents(randomness) {
            let trace_id = trace(randomness);
            let span = StartingSpan::new(parent.as_ref(), trace_id, "GET /", &SpanKind::Server);
            let span = span.with_details(&attributes, &[]);
            let before = format!("{:?}", counts(&sampler));
            let steps = sampler.explain(&span);
            assert!(!steps.is_empty(), "{sampler:?} explains nothing");
            assert_eq!(format!("{:?}", counts(&sampler)), before, "a question was counted");

            let decision = sampler.sample(&span);
            laws::assert_lawful(parent.as_ref(), trace_id, &decision);
            // A weight that there is no room for cannot be written.
            let has_room = decision.trace_state.get("ot").is_none_or(|ot| ot.len() < 200);
            let is_root = span.parent().is_none();
            if has_weights && is_root && has_room && decision.outcome == Outcome::RecordAndSample {
                let ot = decision.trace_state.get("ot").map(OtelTraceState::parse);
                let threshold = ot.and_then(|ot| ot.expect("readable").threshold);
                assert!(
                    threshold.is_some(),
                    "a root without a weight: {sampler:?}, {decision:?}"
                );
            }
        }
    }
}

fn parents(randomness: u64) -> impl Iterator<Item = Option<SpanContext>> {
    let full: Vec<String> = (0..32).map(|n| format!("vendor{n}=1")).collect();
    let long = format!("ot=x:{}", "y".repeat(254));
    let headers = [
        String::new(),
        "a=1,b=2".to_owned(),
        "ot=th:0".to_owned(),
        "a=1,ot=th:8,b=2".to_owned(),
        "a=1,ot=rv:90000000000000;th:8;x:1,b=2".to_owned(),
        "ot=rv:00000000000000".to_owned(),
        "ot=th:8000;y:2;x:1".to_owned(),
        "ot=th:8;rv:FF,a=1".to_owned(),
        "ot=th:c;th:8,a=1".to_owned(),
        "ot=;,a=1".to_owned(),
        "ot=th:c,a=1,ot=th:8".to_owned(),
        "a=1,ot=x:1".to_owned(),
        full.join(","),
        format!("{},ot=th:8", full[..31].join(",")),
        format!("{long},a=1"),
    ];
    let contexts = headers.into_iter().flat_map(move |header| {
        let state = trace_state(&header);
        let context = move |span: u64, is_remote, flags| {
            Some(SpanContext::new(
                trace(randomness),
                SpanId::from(span),
                TraceFlags::new(flags),
                is_remote,
                state.clone(),
            ))
        };
        [
            context(1, true, 1),
            context(1, true, RANDOM),
            context(1, false, 1 | RANDOM),
            context(1, false, 0),
            // Not valid, so that the trace begins here, with a trace state that the application gave it.
            context(0, false, 0),
        ]
    });
    [None].into_iter().chain(contexts)
}
