//! What cannot be used is refused: by its name, its value, and what is accepted.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::future::{Ready, ready};
use std::time::Duration;

use spanwright_core::{EncodedBatch, ExportError, Receipt};
use spanwright_pipeline::{BatchConfig, Env, Pem, Pipeline, PipelineBuilder, Protocol};
use tower::service_fn;

fn taker(_: EncodedBatch) -> Ready<Result<Receipt, ExportError>> {
    ready(Ok(Receipt::accepted()))
}

fn builder() -> PipelineBuilder {
    Pipeline::builder().without_env()
}

#[test]
fn every_bad_setting_is_refused_by_name() {
    let rows = [
        ("endpoint", "ftp://host", builder().with_endpoint("ftp://host")),
        (
            "endpoint",
            "host:4318",
            builder()
                .with_endpoint("host:4318")
                .with_protocol(Protocol::HttpProtobuf),
        ),
        ("endpoint", "collector", builder().with_traces_endpoint("collector")),
        ("timeout", "0ns", builder().with_timeout(Duration::ZERO)),
        ("timeout", "7200s", builder().with_timeout(Duration::from_secs(7200))),
        ("headers", "bad name", builder().with_header("bad name", "x")),
        ("headers", "content-type", builder().with_header("content-type", "x")),
        ("service_name", "", builder().with_service_name("")),
        (
            "max_queue_size",
            "0",
            builder().with_batch_config(BatchConfig::default().with_max_queue_size(0)),
        ),
        (
            "export_timeout",
            "0ns",
            builder().with_batch_config(BatchConfig::default().with_export_timeout(Duration::ZERO)),
        ),
        ("exporter", "none", builder().without_otlp()),
        ("exporter", "", builder().with_exporter("", service_fn(taker))),
        ("exporter", "otlp", builder().with_exporter("otlp", service_fn(taker))),
        (
            "exporter",
            "a",
            builder()
                .with_exporter("a", service_fn(taker))
                .with_exporter("a", service_fn(taker)),
        ),
        #[cfg(feature = "tls")]
        (
            "certificate",
            "/no/such/file",
            builder()
                .with_endpoint("https://host:1")
                .with_certificate(Pem::file("/no/such/file")),
        ),
        #[cfg(not(feature = "tls"))]
        (
            "certificate",
            "/no/such/file",
            builder().with_certificate(Pem::file("/no/such/file")),
        ),
        #[cfg(not(feature = "tls"))]
        ("endpoint", "https", builder().with_endpoint("https://host:1")),
    ];
    for (field, value, builder) in rows {
        let error = builder.build().unwrap_err();
        assert_eq!((error.field(), error.value()), (field, value), "{error}");
        assert!(!error.accepted().is_empty(), "{error}");
    }
}

#[test]
fn a_wrong_setting_in_code_is_an_error_also_where_a_variable_is_right() {
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:4317")]);
    let error = Pipeline::builder()
        .with_env(env)
        .with_endpoint("ftp://host")
        .build()
        .unwrap_err();
    assert_eq!(error.value(), "ftp://host");
}

#[test]
fn a_name_is_free_for_others_where_the_settings_describe_no_exporter() {
    let pipeline = builder()
        .without_otlp()
        .with_exporter("otlp", service_fn(taker))
        .build()
        .unwrap();
    assert_eq!(&*pipeline.stats().delivery.destinations[0].name, "otlp");
}

#[test]
fn a_builder_can_be_made_on_one_thread_and_built_on_another() {
    let builder = builder().with_env(Env::process());
    let pipeline = std::thread::spawn(move || builder.build()).join().unwrap().unwrap();
    fn is_shared<T: Clone + Send + Sync>(_: &T) {}
    is_shared(&pipeline);
}

#[test]
fn secrets_show_in_no_debug() {
    let builder = builder().with_header("api-key", "hunter2");
    let shown = format!("{builder:?}");
    assert!(shown.contains("api-key") && !shown.contains("hunter2"), "{shown}");
}
