//! Spans that are made with `tracing`.
#![cfg(feature = "grpc")]

mod support;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanwright_testing::Receiver;
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

use support::{PATIENCE, probe, to};

#[test]
fn spans_arrive_with_fields_events_and_parents() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(pipeline.tracer("bridge"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info_span!("request", otel.kind = "server", http.route = "/orders").in_scope(|| {
            info_span!("query", rows = 3).in_scope(|| info!("half way"));
            error!("it failed");
        });
    });
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(probe(&pipeline, 0).settled().exported, 2);

    let spans = receiver.spans();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let attribute = |span: &Span, key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key == key);
        found.and_then(|attribute| attribute.value.clone()?.value)
    };
    let (request, query) = (named("request"), named("query"));
    assert_eq!(request.kind, 2);
    assert_eq!(
        attribute(request, "http.route"),
        Some(Value::StringValue("/orders".into()))
    );
    assert_eq!(attribute(query, "rows"), Some(Value::IntValue(3)));
    assert_eq!(
        (&query.trace_id, &query.parent_span_id),
        (&request.trace_id, &request.span_id)
    );
    assert_eq!(
        (&*query.events[0].name, &*request.events[0].name),
        ("half way", "it failed")
    );
}

#[test]
fn a_span_of_tracing_may_outlive_the_pipeline() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(pipeline.tracer("bridge"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = info_span!("request");
        pipeline.shutdown(PATIENCE).unwrap();
        drop(span);
    });
    let ledger = probe(&pipeline, 0).settled();
    assert_eq!((ledger.ended, ledger.lost.total()), (1, 1));
}
