//! Spans arrive, as they were made, and only those that shall.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::sync::{Arc, Barrier};
use std::thread;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use spanwright_pipeline::{Compression, Pem, Protocol};
use spanwright_testing::{Receiver, Reply, TestCertificates};

use support::{PATIENCE, PROTOCOLS, end_spans, patient_config, probe, to, to_over};

#[test]
fn spans_arrive_over_both_protocols_with_their_resource() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let resource = Resource::builder_empty().with_schema_url([KeyValue::new("host.arch", "arm64")], "https://s/1");
        let pipeline = to_over(&receiver, protocol)
            .with_service_name("checkout")
            .with_resource(resource.build())
            .build()
            .unwrap();
        pipeline.tracer("orders").in_span("place order", |context| {
            context.span().set_attribute(KeyValue::new("items", 3));
        });
        let report = pipeline.shutdown(PATIENCE).unwrap();
        assert!(report.is_complete(), "{protocol}: {report}");

        let requests = receiver.requests();
        let of_resource = &requests[0].message.as_ref().unwrap().resource_spans[0];
        let attributes = &of_resource.resource.as_ref().unwrap().attributes;
        let text = |key: &str| {
            let found = attributes.iter().find(|attribute| attribute.key == key);
            match found.and_then(|attribute| attribute.value.clone()?.value) {
                Some(Value::StringValue(text)) => Some(text),
                _ => None,
            }
        };
        assert_eq!(text("service.name").as_deref(), Some("checkout"));
        assert_eq!(text("host.arch").as_deref(), Some("arm64"));
        assert_eq!(text("telemetry.sdk.language").as_deref(), Some("rust"));
        assert_eq!(of_resource.schema_url, "https://s/1");
        assert_eq!(of_resource.scope_spans[0].scope.as_ref().unwrap().name, "orders");
        let span = &of_resource.scope_spans[0].spans[0];
        assert_eq!((&*span.name, span.attributes.len()), ("place order", 1));
        assert_eq!(pipeline.resource().len(), attributes.len());
    }
}

#[derive(Clone, Debug)]
struct OnlyRecord;

impl ShouldSample for OnlyRecord {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let decision = match name {
            "record" => SamplingDecision::RecordOnly,
            "drop" => SamplingDecision::Drop,
            _ => SamplingDecision::RecordAndSample,
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: Default::default(),
        }
    }
}

#[test]
fn spans_that_are_recorded_but_not_sampled_are_counted_and_not_exported() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).with_sampler(OnlyRecord).build().unwrap();
    let tracer = pipeline.tracer("test");
    for name in ["record", "sample", "drop", "record"] {
        tracer.in_span(name, |_| {});
    }
    pipeline.shutdown(PATIENCE).unwrap();
    let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["sample"]);
    assert_eq!(pipeline.stats().delivery.unsampled, 2);
    probe(&pipeline, 0).expect_ended(1);
}

#[test]
fn a_flush_covers_what_ended_before_it_on_every_thread() {
    const THREADS: usize = 8;
    const SPANS: usize = 37;
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    // The threads live on, so that it is not their end that brings the spans out.
    let (ended, leave) = (Arc::new(Barrier::new(THREADS + 1)), Arc::new(Barrier::new(THREADS + 1)));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (pipeline, ended, leave) = (pipeline.clone(), Arc::clone(&ended), Arc::clone(&leave));
            thread::spawn(move || {
                end_spans(&pipeline, SPANS);
                ended.wait();
                leave.wait();
            })
        })
        .collect();
    ended.wait();
    let report = pipeline.flush(PATIENCE).unwrap();
    assert_eq!(report.destinations[0].exported, (THREADS * SPANS) as u64, "{report}");
    assert_eq!(receiver.accepted_spans(), (THREADS * SPANS) as u64);
    leave.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    probe(&pipeline, 0).settled();
}

#[test]
fn what_a_receiver_takes_in_part_is_rejected_in_part() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.script([Reply::partial_success(3, "too old")]);
        let pipeline = to_over(&receiver, protocol).build().unwrap();
        end_spans(&pipeline, 10);
        let report = pipeline.flush(PATIENCE).unwrap();
        let delivery = &report.destinations[0];
        assert_eq!((delivery.exported, delivery.rejected, delivery.pending), (7, 3, 0));
        assert!(!report.is_complete());
        assert_eq!(probe(&pipeline, 0).settled().rejected, 3);
    }
}

#[test]
fn headers_and_compression_reach_the_wire() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let pipeline = to_over(&receiver, protocol)
            .with_header("x-tenant", "a")
            .with_compression(Compression::Gzip)
            .build()
            .unwrap();
        end_spans(&pipeline, 100);
        assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
        let request = &receiver.requests()[0];
        assert_eq!((request.header("x-tenant"), &*request.encoding), (Some("a"), "gzip"));
    }
}

#[test]
fn long_values_are_cut() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).with_attribute_value_length_limit(3).build().unwrap();
    pipeline.tracer("test").in_span("work", |context| {
        context.span().set_attribute(KeyValue::new("text", "größer"));
    });
    pipeline.shutdown(PATIENCE).unwrap();
    let value = receiver.spans()[0].attributes[0].value.clone().unwrap().value;
    assert_eq!(value, Some(Value::StringValue("grö".into())));
}

#[test]
fn the_bound_of_the_queue_is_the_configured_one() {
    let receiver = Receiver::spawn().unwrap();
    let config = patient_config()
        .with_max_queue_size(100)
        .with_max_export_batch_size(100);
    let pipeline = to(&receiver).with_batch_config(config).build().unwrap();
    assert_eq!((pipeline.queue().capacity(), pipeline.queue().size()), (100, 0));
    end_spans(&pipeline, 7);
    assert_eq!((pipeline.queue().size(), pipeline.stats().delivery.queue_size), (7, 7));
}

#[cfg(feature = "tls")]
#[test]
fn a_receiver_that_asks_for_a_certificate_gets_it() {
    let certificates = TestCertificates::generate().unwrap();
    for protocol in PROTOCOLS {
        let receiver = Receiver::builder().with_mutual_tls(&certificates).spawn().unwrap();
        let pipeline = to_over(&receiver, protocol)
            .with_certificate(Pem::text(certificates.authority_pem()))
            .with_client_identity(
                Pem::text(certificates.client_certificate_pem()),
                Pem::text(certificates.client_key_pem()),
            )
            .build()
            .unwrap();
        end_spans(&pipeline, 1);
        let report = pipeline.shutdown(PATIENCE).unwrap();
        assert!(report.is_complete(), "{protocol}: {report}");
    }
}

#[test]
fn what_is_refused_for_good_or_taken_in_part_is_sent_once() {
    // gRPC's codes that OTLP does not retry, and the statuses that are no hint to come back.
    let codes = [2, 3, 5, 6, 7, 9, 12, 13, 16].map(|code| (Protocol::Grpc, Reply::grpc_status(code, "no")));
    let statuses = [400, 401, 403, 404, 405, 422, 500, 501, 505];
    let statuses = statuses.map(|status| (Protocol::HttpProtobuf, Reply::http_status(status)));
    let partial = PROTOCOLS.map(|protocol| (protocol, Reply::partial_success(4, "four")));
    for (protocol, reply) in codes.into_iter().chain(statuses).chain(partial) {
        let what = format!("{protocol:?} {reply:?}");
        let receiver = Receiver::spawn().unwrap();
        receiver.set_default(reply);
        let pipeline = to_over(&receiver, protocol).build().unwrap();
        end_spans(&pipeline, 10);
        pipeline.flush(PATIENCE).unwrap();
        // Whatever was to be sent again would be by now, and at the latest here.
        pipeline.shutdown(PATIENCE).unwrap();
        assert_eq!(receiver.requests().len(), 1, "{what}");
        let ledger = probe(&pipeline, 0).settled();
        assert_eq!(ledger.lost.total() + ledger.rejected + ledger.exported, 10, "{what}");
    }
}
