//! Flush and shutdown say what really happened, within the time that they were given.
#![cfg(feature = "grpc")]

mod support;

use std::time::Duration;

use opentelemetry::trace::Tracer;
use spanwright_core::{Clock, LossReason, SystemClock};
use spanwright_pipeline::FlushError;
use spanwright_testing::{Gate, Receiver, Reply};

use support::{Gated, PATIENCE, block_on, end_spans, exporter_to, probe, started, tens, three_batches, to};

const INVALID_ARGUMENT: i32 = 3;

#[test]
fn a_failure_of_the_first_batch_is_not_covered_by_the_last() {
    for is_shutdown in [false, true] {
        let receiver = Receiver::spawn().unwrap();
        receiver.script([Reply::grpc_status(INVALID_ARGUMENT, "no"), Reply::ok(), Reply::ok()]);
        let gate = Gate::new();
        let pipeline = to(&receiver)
            .without_otlp()
            .with_exporter("gated", Gated::new(exporter_to(&receiver), &gate))
            .with_batch_config(tens())
            .build()
            .unwrap();
        end_spans(&pipeline, 30);
        let report = if is_shutdown {
            let shutdown = started(pipeline.shutdown_async(PATIENCE));
            gate.open();
            block_on(shutdown)
        } else {
            let flush = started(pipeline.flush_async(PATIENCE));
            gate.open();
            block_on(flush)
        };
        let report = report.unwrap();
        let delivery = &report.destinations[0];
        assert_eq!(
            (
                delivery.exported,
                delivery.lost[LossReason::Permanent],
                delivery.pending
            ),
            (20, 10, 0)
        );
        assert!(!report.is_complete() && !report.is_timed_out());
        assert_eq!(probe(&pipeline, 0).settled().lost[LossReason::Permanent], 10);
    }
}

#[test]
fn what_could_not_be_sent_at_once_is_sent_again() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::unavailable(), Reply::reset(), Reply::abort()]);
    let pipeline = three_batches(&receiver);
    let report = pipeline.flush(PATIENCE).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(probe(&pipeline, 0).settled().exported, 30);
    probe(&pipeline, 0).received(receiver.accepted_spans());
}

#[test]
fn one_deadline_holds_for_everything_and_cancels_what_is_under_way() {
    let receiver = Receiver::spawn().unwrap();
    receiver.set_default(Reply::hang());
    let pipeline = three_batches(&receiver);
    assert!(receiver.wait_for_requests(1, PATIENCE), "an export is under way");

    let timeout = Duration::from_millis(200);
    let started = SystemClock.now();
    let report = pipeline.shutdown(timeout).unwrap();
    let took = SystemClock.now() - started;
    // Three batches, and each export alone may take ten seconds by its own timeout.
    assert!(took >= timeout && took < Duration::from_secs(5), "{took:?}");
    assert!(report.is_timed_out());
    assert_eq!(report.destinations[0].lost[LossReason::ShutdownTimeout], 30);
    assert!(
        receiver.wait_until(PATIENCE, |counts| counts.in_flight == 0),
        "the export is cancelled"
    );
    assert_eq!(probe(&pipeline, 0).settled().lost.total(), 30);
}

#[test]
fn a_flush_that_runs_out_of_time_reports_what_is_pending() {
    let receiver = Receiver::spawn().unwrap();
    receiver.set_default(Reply::hang());
    let pipeline = three_batches(&receiver);
    let report = pipeline.flush(Duration::from_millis(50)).unwrap();
    assert_eq!(report.destinations[0].pending, 30);
    assert!(report.is_timed_out() && !report.is_complete());
    assert_eq!(probe(&pipeline, 0).check("after the flush").pending, 30);
    // Or the end of the test would wait for them.
    pipeline.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn spans_that_end_after_the_shutdown_are_counted_as_lost() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    let tracer = pipeline.tracer("test");
    let under_way = tracer.start("started before");
    end_spans(&pipeline, 2);
    assert_eq!(pipeline.shutdown(PATIENCE).unwrap().destinations[0].exported, 2);
    drop(under_way);
    end_spans(&pipeline, 3);
    let ledger = probe(&pipeline, 0).settled();
    assert_eq!((ledger.ended, ledger.exported), (6, 2));
    assert_eq!(ledger.lost[LossReason::AlreadyShutdown], 4);
}

#[test]
fn a_pipeline_is_shut_down_once() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
    assert_eq!(pipeline.shutdown(PATIENCE).unwrap_err(), FlushError::AlreadyShutdown);
    assert_eq!(pipeline.flush(PATIENCE).unwrap_err(), FlushError::AlreadyShutdown);
    // The SDK does it once more, when the provider is dropped: there is nothing to complain about.
    assert!(pipeline.provider().shutdown().is_ok());
}

#[test]
fn the_providers_own_shutdown_tells_what_went_wrong() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::grpc_status(INVALID_ARGUMENT, "no")]);
    let pipeline = to(&receiver).build().unwrap();
    end_spans(&pipeline, 1);
    assert!(pipeline.provider().shutdown().is_err());
    assert_eq!(probe(&pipeline, 0).settled().lost[LossReason::Permanent], 1);
}

#[test]
fn dropping_the_last_handle_delivers_what_is_there() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    end_spans(&pipeline, 5);
    let tracer = pipeline.tracer("outlives the pipeline");
    drop(pipeline);
    tracer.in_span("late", |_| {});
    drop(tracer);
    assert_eq!(receiver.accepted_spans(), 6);
}

#[test]
fn a_guard_shuts_down_within_its_deadline() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    let guard = pipeline.guard();
    end_spans(&pipeline, 5);
    drop(guard);
    assert_eq!(probe(&pipeline, 0).settled().exported, 5);

    receiver.set_default(Reply::hang());
    let pipeline = to(&receiver).build().unwrap();
    let guard = pipeline.guard().with_timeout(Duration::from_millis(50));
    end_spans(&pipeline, 5);
    drop(guard);
    assert_eq!(probe(&pipeline, 0).settled().lost[LossReason::ShutdownTimeout], 5);
}

#[test]
fn a_guard_leaves_a_pipeline_alone_that_was_shut_down() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    let guard = pipeline.guard();
    pipeline.shutdown(PATIENCE).unwrap();
    end_spans(&pipeline, 1);
    drop(guard);
    assert_eq!(probe(&pipeline, 0).settled().lost[LossReason::AlreadyShutdown], 1);
}

#[test]
fn a_wait_without_end_ends_when_all_is_delivered() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    end_spans(&pipeline, 1);
    assert!(pipeline.flush(Duration::MAX).unwrap().is_complete());
    assert!(pipeline.shutdown(Duration::MAX).unwrap().is_complete());
}
