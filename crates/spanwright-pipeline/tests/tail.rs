//! A trace is kept for what became of it: over a real receiver, whole, sampled, and with the right threshold.
#![cfg(all(feature = "grpc", feature = "http"))]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, Status, TraceContextExt, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use spanwright_pipeline::{Pipeline, PipelineBuilder};
use spanwright_sampling::{Randomness, TailPolicy, TailSampler, Threshold};
use spanwright_testing::{ConservationProbe, Receiver};

use support::{PATIENCE, to};

/// Records everything, and samples nothing.
#[derive(Clone, Debug)]
struct Record;

impl ShouldSample for Record {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let state = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult {
            decision: SamplingDecision::RecordOnly,
            attributes: Vec::new(),
            trace_state: state.unwrap_or_default(),
        }
    }
}

fn tail() -> TailSampler {
    TailSampler::builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::probability(0.1))
        .build()
        .unwrap()
}

fn with_tail(receiver: &Receiver) -> PipelineBuilder {
    to(receiver).with_sampler(Record).with_tail(tail())
}

/// Both laws.
fn probe(pipeline: &Pipeline) -> ConservationProbe {
    let pipeline = pipeline.clone();
    ConservationProbe::new(move || {
        let stats = pipeline.stats().delivery;
        stats.tail.expect("there is a tail").check(&stats.ledger()).unwrap();
        stats.ledger()
    })
}

/// A request of five spans; every seventh fails, in the middle.
fn request(pipeline: &Pipeline, number: usize) -> TraceId {
    let tracer = pipeline.tracer("test");
    tracer.in_span("request", |context| {
        for step in 0..2 {
            tracer.in_span("step", |context| {
                tracer.in_span("query", |_| {});
                if number.is_multiple_of(7) && step == 0 {
                    context.span().set_status(Status::error("failed"));
                }
            });
        }
        context.span().span_context().trace_id()
    })
}

#[test]
fn errors_arrive_and_a_tenth_of_the_others_whole_and_with_their_weights() {
    const REQUESTS: usize = 300;
    let receiver = Receiver::spawn().unwrap();
    let pipeline = with_tail(&receiver).build().unwrap();
    let probe = probe(&pipeline);
    let watch = probe.watch();
    let requests: Vec<_> = (0..REQUESTS).map(|number| request(&pipeline, number)).collect();
    let report = pipeline.flush(PATIENCE).unwrap();
    assert_eq!(report.held, 0, "every local root has ended");
    pipeline.shutdown(PATIENCE).unwrap();
    watch.finish();

    let mut arrived: HashMap<Vec<u8>, Vec<_>> = HashMap::new();
    for span in receiver.spans() {
        arrived.entry(span.trace_id.clone()).or_default().push(span);
    }
    let tenth = Threshold::from_probability(0.1).unwrap();
    for (number, id) in requests.iter().enumerate() {
        let is_error = number.is_multiple_of(7);
        let is_kept = is_error || tenth.keeps(Randomness::of_trace_id(*id));
        let spans = arrived.remove(id.to_bytes().as_slice());
        assert_eq!(spans.is_some(), is_kept, "request {number}");
        let Some(spans) = spans else { continue };
        assert_eq!(spans.len(), 5, "request {number} is not whole");
        let state = if is_error { "ot=th:0" } else { "ot=th:e6666666666666" };
        for span in spans {
            assert_eq!((span.flags & 1, &*span.trace_state), (1, state));
        }
    }
    assert!(arrived.is_empty());

    let stats = pipeline.stats().delivery;
    let tail = stats.tail.unwrap();
    assert_eq!((tail.ended, tail.held, tail.lost), (5 * REQUESTS as u64, 0, 0));
    assert_eq!(probe.settled().exported, tail.kept);
    assert_eq!(stats.unsampled, 0);
}

#[test]
fn a_shutdown_decides_about_traces_whose_root_has_not_ended() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = with_tail(&receiver).build().unwrap();
    let probe = probe(&pipeline);
    let tracer = pipeline.tracer("test");
    let mut roots = Vec::new();
    for number in 0..40 {
        let root = Context::new().with_span(tracer.start_with_context("request", &Context::new()));
        let step = root.with_span(tracer.start_with_context("step", &root));
        if number % 2 == 0 {
            step.span().set_status(Status::error("failed"));
        }
        step.span().end();
        roots.push(root);
    }
    let report = pipeline.flush(PATIENCE).unwrap();
    assert_eq!((report.held, report.destinations[0].exported), (40, 0));
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert!(report.is_complete(), "{report}");
    let errors = receiver
        .spans()
        .iter()
        .filter(|span| span.trace_state == "ot=th:0")
        .count();
    assert_eq!(errors, 20);
    // The roots end too late, and are lost by that name.
    roots.iter().for_each(|root| root.span().end());
    let tail = pipeline.stats().delivery.tail.unwrap();
    assert_eq!((tail.ended, tail.held, tail.lost), (80, 0, 40));
    probe.settled();
}

#[test]
fn behind_a_sampler_that_samples_everything_weights_are_written_if_it_is_told() {
    let slow = TailPolicy::slower_than(Duration::ZERO).with_ratio(0.5);
    for (records_all, state) in [(true, "ot=th:8"), (false, "")] {
        let receiver = Receiver::spawn().unwrap();
        let tail = TailSampler::builder()
            .with_policy(slow.clone())
            .with_recording_head(records_all)
            .build()
            .unwrap();
        let pipeline = to(&receiver).with_tail(tail.clone()).build().unwrap();
        (1..60).for_each(|number| _ = request(&pipeline, number));
        pipeline.shutdown(PATIENCE).unwrap();
        let spans = receiver.spans();
        assert_eq!(spans.len() as u64, pipeline.stats().delivery.tail.unwrap().kept);
        assert!(tail.stats().kept() > 5 && tail.stats().dropped() > 5);
        assert!(spans.iter().all(|span| span.trace_state == state), "{records_all}");
    }
}
