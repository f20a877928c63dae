//! The delivery of spans makes no spans, which would have to be delivered in turn. One test, because its subscriber and its
//! provider are those of the whole process.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use spanwright_otlp::HttpExporter;
use spanwright_pipeline::Pipeline;
use spanwright_testing::Receiver;
use tracing::span::{Attributes, Id};
use tracing::{Subscriber, info_span};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use support::{PATIENCE, patient_config, probe};

/// Counts the spans of `tracing` that begin on the thread of a pipeline.
struct OwnSpans(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for OwnSpans {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if thread::current().name() == Some("spanwright") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The receiver of this test runs in the same process, and its HTTP library makes spans as well. In life it is elsewhere.
fn is_receiver() -> bool {
    thread::current().name() == Some("otlp-receiver")
}

#[test]
fn requests_of_ours_make_no_spans() {
    let receiver = Receiver::spawn().unwrap();
    // By name, so that the resolver takes part.
    let [over_grpc, over_http] =
        [receiver.grpc_endpoint(), receiver.http_endpoint()].map(|url| url.replace("127.0.0.1", "localhost"));
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(over_grpc)
        .with_exporter(
            "http",
            HttpExporter::builder().with_endpoint(over_http).build().unwrap(),
        )
        .with_batch_config(patient_config())
        .build()
        .unwrap();
    // Whatever uses the global provider, or `tracing` at any level, ends up in the pipeline.
    pipeline.install_global();
    let own = Arc::new(AtomicU64::new(0));
    let bridge = tracing_opentelemetry::layer().with_tracer(pipeline.tracer("bridge"));
    tracing_subscriber::registry()
        .with(OwnSpans(Arc::clone(&own)))
        .with(bridge.with_filter(dynamic_filter_fn(|_, _| !is_receiver())))
        .init();

    info_span!("request").in_scope(|| tracing::info!("work"));
    let report = pipeline.flush(PATIENCE).unwrap();
    assert!(report.is_complete(), "{report}");
    for round in 0..3 {
        let report = pipeline.flush(PATIENCE).unwrap();
        for (i, s) in receiver.spans().iter().enumerate() {
            eprintln!(
                "{i} {} {:?}",
                s.name,
                s.attributes
                    .iter()
                    .filter(|a| a.key.starts_with("thread") || a.key.starts_with("code"))
                    .map(|a| format!("{} {:?}", a.key, a.value.as_ref().unwrap().value))
                    .collect::<Vec<_>>()
            );
        }
        assert_eq!(report.destinations[0].exported, 0, "round {round}");
    }
    pipeline.shutdown(PATIENCE).unwrap();
    for destination in 0..2 {
        let ledger = probe(&pipeline, destination).settled();
        assert_eq!((ledger.ended, ledger.exported), (1, 1));
    }
    let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["request", "request"]);
    // There was something to suppress: the libraries below do make spans.
    assert!(own.load(Ordering::Relaxed) > 0);
}
