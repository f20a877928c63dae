//! Several receivers, and what stands in front of each.
#![cfg(feature = "grpc")]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use opentelemetry::trace::Tracer;
use spanwright_pipeline::{BreakerState, ConcurrencyLimit, EndpointStrategy, Pipeline, PipelineBuilder};
use spanwright_testing::{Receiver, Reply};

use support::{PATIENCE, end_spans, patient_config, probe, quick_breaker, tens};

fn to_both(receivers: &[Receiver; 2]) -> PipelineBuilder {
    Pipeline::builder()
        .without_env()
        .with_endpoints(receivers.each_ref().map(Receiver::grpc_endpoint))
        .with_batch_config(tens())
        .with_breaker_config(quick_breaker())
}

fn receivers() -> [Receiver; 2] {
    [
        Receiver::spawn().expect("a socket"),
        Receiver::spawn().expect("a socket"),
    ]
}

#[test]
fn the_second_takes_over_while_the_first_is_away_and_hands_back_when_it_has_returned() {
    let receivers = receivers();
    let [first, second] = &receivers;
    let pipeline = to_both(&receivers).build().unwrap();
    let probe = probe(&pipeline, 0);
    end_spans(&pipeline, 20);
    assert!(first.wait_for_spans(20, PATIENCE));

    first.stop_listening().unwrap();
    first.abort_connections().unwrap();
    // As long as nobody knows, some requests find the first one away; and none of them is lost.
    while second.accepted_spans() < 100 {
        end_spans(&pipeline, 10);
        pipeline.flush(PATIENCE).unwrap();
    }
    assert_eq!(pipeline.stats().endpoints[1].breaker, BreakerState::Closed);
    assert!(pipeline.stats().endpoints[0].breaker_counts.opened > 0);

    first.resume_listening().unwrap();
    let before = first.accepted_spans();
    while first.accepted_spans() < before + 100 {
        end_spans(&pipeline, 10);
        pipeline.flush(PATIENCE).unwrap();
    }
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(report.destinations[0].lost.total(), 0);
    let ledger = probe.settled();
    assert_eq!((ledger.exported, ledger.lost.total()), (ledger.ended, 0));
    probe.received_at_least(first.accepted_spans() + second.accepted_spans());
}

#[test]
fn balance_uses_both() {
    let receivers = receivers();
    let config = patient_config()
        .with_max_export_batch_size(10)
        .with_max_concurrent_exports(8);
    let pipeline = to_both(&receivers)
        .with_batch_config(config)
        .with_endpoint_strategy(EndpointStrategy::Balance)
        .build()
        .unwrap();
    for _ in 0..40 {
        end_spans(&pipeline, 50);
        pipeline.flush(PATIENCE).unwrap();
    }
    pipeline.shutdown(PATIENCE).unwrap();
    let [first, second] = receivers.each_ref().map(Receiver::accepted_spans);
    assert_eq!(first + second, 2_000);
    assert!(first > 500 && second > 500, "{first} and {second}");
}

#[test]
fn each_trace_goes_to_one_of_both_and_to_the_other_while_that_is_away() {
    let receivers = receivers();
    let pipeline = to_both(&receivers)
        .with_endpoint_strategy(EndpointStrategy::TraceHash)
        .build()
        .unwrap();
    let tracer = pipeline.tracer("test");
    let make_traces = |count: usize| {
        for _ in 0..count {
            tracer.in_span("root", |_| tracer.in_span("child", |_| ()));
        }
        pipeline.flush(PATIENCE).unwrap();
    };
    make_traces(200);
    let traces = receivers.each_ref().map(|receiver| {
        let spans = receiver.spans().into_iter();
        spans.map(|span| span.trace_id).collect::<HashSet<_>>()
    });
    assert_eq!(traces[0].len() + traces[1].len(), 200, "no trace is at both");
    assert!(traces.iter().all(|traces| traces.len() > 50), "{traces:?}");

    let [first, second] = &receivers;
    first.stop_listening().unwrap();
    first.abort_connections().unwrap();
    let before = second.accepted_spans();
    make_traces(200);
    assert!(second.accepted_spans() > before + 250, "{:?}", pipeline.stats());
    first.resume_listening().unwrap();
    pipeline.shutdown(PATIENCE).unwrap();
    let ledger = probe(&pipeline, 0).settled();
    assert_eq!((ledger.ended, ledger.exported, ledger.lost.total()), (800, 800, 0));
}

#[test]
fn a_receiver_that_does_not_answer_opens_its_breaker_and_a_flush_asks_it_again() {
    let receivers = receivers();
    let mut breaker = quick_breaker();
    (breaker.open, breaker.longest_open) = (Duration::from_secs(600), Duration::from_secs(600));
    let [receiver, _] = &receivers;
    receiver.set_default(Reply::unavailable());
    let pipeline = support::to(receiver).with_breaker_config(breaker).build().unwrap();
    end_spans(&pipeline, 10);
    let is_open = |pipeline: &Pipeline| pipeline.stats().endpoints[0].breaker == BreakerState::Open;
    while !is_open(&pipeline) {
        pipeline.flush(Duration::from_millis(20)).unwrap();
    }
    // Nobody would ask it for ten minutes, and somebody waits.
    receiver.set_default(Reply::ok());
    let report = pipeline.flush(PATIENCE).unwrap();
    assert_eq!(report.destinations[0].exported, 10, "{report}");
    assert_eq!(pipeline.stats().endpoints[0].breaker, BreakerState::Closed);
}

#[test]
fn each_address_of_a_name_is_a_receiver() {
    let [receiver, _] = receivers();
    let url = format!("http://localhost:{}", receiver.grpc_address().port());
    let pipeline = Pipeline::builder()
        .without_env()
        .with_resolved_endpoint(url.clone())
        .with_batch_config(tens())
        .build()
        .unwrap();
    assert_eq!(pipeline.stats().endpoints.len(), 0, "nobody was asked yet");
    end_spans(&pipeline, 30);
    pipeline.flush(PATIENCE).unwrap();
    assert_eq!(receiver.accepted_spans(), 30);
    let endpoints = pipeline.stats().endpoints;
    let ours = endpoints.iter().find(|it| it.address == Some(receiver.grpc_address()));
    assert_eq!(&*ours.expect("the address of the receiver").endpoint, format!("{url}/"));
}

#[test]
fn the_limit_is_the_one_that_was_asked_for_and_no_more_are_under_way() {
    let [receiver, _] = receivers();
    receiver.set_latency(Duration::from_millis(5));
    let config = tens().with_max_concurrent_exports(3);
    let pipeline = support::to(&receiver)
        .with_batch_config(config)
        .with_concurrency_limit(ConcurrencyLimit::Fixed)
        .build()
        .unwrap();
    assert_eq!(pipeline.stats().endpoints[0].concurrency_limit, 3);
    end_spans(&pipeline, 200);
    pipeline.flush(PATIENCE).unwrap();
    assert_eq!(receiver.accepted_spans(), 200);
    assert!(receiver.max_in_flight() <= 3);
}

#[test]
fn no_endpoint_and_one_that_is_named_twice_are_errors() {
    let build = |urls: &[&str]| {
        let builder = Pipeline::builder().without_env();
        builder.with_endpoints(urls.iter().copied()).build().unwrap_err()
    };
    let error = build(&[]);
    assert_eq!((error.field(), error.value()), ("endpoints", "none"));
    let error = build(&["http://a:4317", "http://b:4317", "http://a:4317"]);
    assert_eq!((error.field(), error.value()), ("endpoints", "http://a:4317"));
    assert_eq!(build(&["http://a:4317", "ftp://b"]).field(), "endpoint");
}
