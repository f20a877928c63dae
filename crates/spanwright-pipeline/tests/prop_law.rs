//! Nothing is lost in silence, whatever a receiver does.
#![cfg(all(feature = "grpc", feature = "http"))]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod support;

use std::thread;
use std::time::Duration;

use opentelemetry::trace::{Span as _, Status, Tracer};
use proptest::prelude::*;
use spanwright_core::{EncodedBatch, ExportError, Receipt};
use spanwright_pipeline::{OverflowPolicy, Pipeline, Protocol};
use spanwright_testing::{Receiver, Reply};
use tower::service_fn;

use support::{PATIENCE, PROTOCOLS, patient_config, probe, to_over};

/// Small enough that a batch of ten does not fit.
const TIGHT: usize = 400;
const ROOMY: usize = 64 << 20;

#[derive(Clone, Debug)]
enum Step {
    /// Two threads end so many spans each, every fourth with an error.
    End(usize),
    /// The receiver answers a request in this way.
    Answer(Fault),
    /// Somebody waits for a short while.
    Flush,
    StopListening,
    Listen,
    AbortConnections,
    LimitRequests(usize),
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Abort,
    GoneForGood,
    Hang,
    Partial,
    Proxy,
    Reset,
    RetryLater,
    Unauthenticated,
    Unavailable,
}

impl Fault {
    fn reply(self) -> Reply {
        match self {
            Self::Abort => Reply::abort(),
            Self::GoneForGood => Reply::http_status(400),
            Self::Hang => Reply::hang(),
            Self::Partial => Reply::partial_success(2, "too old"),
            Self::Proxy => Reply::proxy_status(502),
            Self::Reset => Reply::reset(),
            Self::RetryLater => Reply::unavailable().with_retry_after(Duration::from_millis(1)),
            Self::Unauthenticated => Reply::http_status(401),
            Self::Unavailable => Reply::unavailable(),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop::sample::select(vec![
        Fault::Abort,
        Fault::GoneForGood,
        Fault::Hang,
        Fault::Partial,
        Fault::Proxy,
        Fault::Reset,
        Fault::RetryLater,
        Fault::Unauthenticated,
        Fault::Unavailable,
    ]);
    let step = prop_oneof![
        5 => (1_usize..40).prop_map(Step::End),
        5 => fault.prop_map(Step::Answer),
        2 => Just(Step::Flush),
        1 => Just(Step::StopListening),
        1 => Just(Step::Listen),
        1 => Just(Step::AbortConnections),
        1 => prop::sample::select(vec![TIGHT, ROOMY]).prop_map(Step::LimitRequests),
    ];
    prop::collection::vec(step, 1..24)
}

fn end_spans(pipeline: &Pipeline, count: usize) {
    let one_thread = || {
        let tracer = pipeline.tracer("test");
        for number in 0..count {
            let mut span = tracer.start("work");
            if number % 4 == 3 {
                span.set_status(Status::error("on purpose"));
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(one_thread);
        one_thread();
    });
}

fn run(steps: Vec<Step>, protocol: Protocol, policy: OverflowPolicy) {
    let receiver = Receiver::spawn().unwrap();
    // A queue that two bursts fill, and requests that the longest burst makes many of.
    let config = patient_config()
        .with_max_queue_size(60)
        .with_max_export_batch_size(10)
        .with_max_concurrent_exports(3);
    let sound = service_fn(|_: EncodedBatch| async { Ok::<_, ExportError>(Receipt::accepted()) });
    let pipeline = to_over(&receiver, protocol)
        .with_batch_config(config)
        .with_overflow_policy(policy)
        .with_timeout(Duration::from_millis(50))
        .with_exporter("sound", sound)
        .build()
        .unwrap();
    let probes = [0, 1].map(|destination| probe(&pipeline, destination));
    let watches = [0, 1].map(|destination| probes[destination].watch());
    let mut ended = 0;
    for step in steps {
        match step {
            Step::End(count) => {
                end_spans(&pipeline, count);
                ended += 2 * count as u64;
            }
            Step::Answer(fault) => receiver.script([fault.reply()]),
            Step::Flush => drop(pipeline.flush(Duration::from_millis(5)).unwrap()),
            Step::StopListening => receiver.stop_listening().unwrap(),
            Step::Listen => receiver.resume_listening().unwrap(),
            Step::AbortConnections => receiver.abort_connections().unwrap(),
            Step::LimitRequests(max_bytes) => receiver.set_max_request_bytes(max_bytes),
        }
        probes.iter().for_each(|probe| probe.expect_ended(ended));
    }
    // The receiver gets well, and there is time: what is not given up by then arrives.
    receiver.resume_listening().unwrap();
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert!(!report.is_timed_out(), "{report}");
    watches.into_iter().for_each(|watch| _ = watch.finish());
    let [faulty, sound] = probes.each_ref().map(|probe| probe.settled());
    assert_eq!((faulty.ended, sound.ended), (ended, ended));
    // What came into the queue arrives where nothing goes wrong.
    assert_eq!(sound.exported + sound.lost.total(), ended);
    // An answer that did not come back in time may have been a good one, so that more may have arrived than we know of.
    probes[0].received_at_least(receiver.accepted_spans());
    assert!(faulty.rejected <= receiver.counts().rejected_spans);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_span_is_in_exactly_one_column(
        steps in steps(),
        protocol in prop::sample::select(PROTOCOLS.to_vec()),
        policy in prop::sample::select(vec![
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::DropTraces,
        ]),
    ) {
        run(steps, protocol, policy);
    }
}
