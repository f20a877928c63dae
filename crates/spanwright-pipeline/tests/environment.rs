//! The variables of the specification, by what they do.
#![cfg(all(feature = "grpc", feature = "http"))]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod support;

use std::future::{Ready, ready};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::trace::{Link, Span as _, SpanContext, TraceContextExt, Tracer};
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SpanLimits};
use spanwright_core::semconv::{self, Metric};
use spanwright_core::{EncodedBatch, ExportError, Observer, Receipt};
use spanwright_pipeline::{BatchConfig, Env, Pipeline, PipelineBuilder, Protocol};
use spanwright_testing::{Protocol as Wire, ReceivedRequest, Receiver};
use tower::service_fn;

use support::{PATIENCE, Recorder, end_spans, probe};

fn taker(_: EncodedBatch) -> Ready<Result<Receipt, ExportError>> {
    ready(Ok(Receipt::accepted()))
}

/// A pipeline of these variables alone, to nowhere.
fn of<const N: usize>(pairs: [(&str, &str); N]) -> PipelineBuilder {
    Pipeline::builder().with_env(Env::from_pairs(pairs))
}

/// Whether a root span of the pipeline is sampled. Nobody waits for it.
fn samples(pipeline: &Pipeline) -> bool {
    let is_sampled = pipeline.tracer("test").start("work").span_context().is_sampled();
    let _ = pipeline.shutdown(Duration::ZERO);
    is_sampled
}

fn built<const N: usize>(pairs: [(&str, &str); N]) -> Pipeline {
    of(pairs).build().unwrap()
}

/// The one request of a pipeline of these variables, which say where it goes.
fn sent<const N: usize>(receiver: &Receiver, pairs: [(&str, &str); N]) -> ReceivedRequest {
    let pipeline = built(pairs);
    end_spans(&pipeline, 1);
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(pipeline.ignored_variables(), []);
    receiver.requests().pop().unwrap()
}

#[test]
fn the_exporters_variables_say_where_to_and_how() {
    let receiver = Receiver::builder().with_http_path("/v1/traces").spawn().unwrap();
    let (grpc, http) = (receiver.grpc_endpoint(), receiver.http_endpoint());
    let traces = format!("{http}/v1/traces");

    let request = sent(&receiver, [("OTEL_EXPORTER_OTLP_ENDPOINT", &*grpc)]);
    assert_eq!((request.protocol, &*request.encoding), (Wire::Grpc, "identity"));

    let request = sent(
        &receiver,
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*http),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ],
    );
    assert_eq!((request.protocol, &*request.encoding), (Wire::Http, "gzip"));
    assert_eq!(request.header("x-tenant"), Some("a b"));

    // Each variable for traces wins over the general one.
    let request = sent(
        &receiver,
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*traces),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ],
    );
    assert_eq!((request.protocol, &*request.encoding), (Wire::Http, "identity"));
}

#[test]
fn code_wins_over_the_exporters_variables() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = of([
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=variable,x-other=variable"),
    ])
    .with_endpoint(receiver.http_endpoint())
    .with_protocol(Protocol::HttpProtobuf)
    .with_compression(spanwright_pipeline::Compression::None)
    .with_timeout(PATIENCE)
    .with_header("x-tenant", "code")
    .build()
    .unwrap();
    end_spans(&pipeline, 1);
    assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
    let request = &receiver.requests()[0];
    assert_eq!((request.protocol, &*request.encoding), (Wire::Http, "identity"));
    assert_eq!(
        (request.header("x-tenant"), request.header("x-other")),
        (Some("code"), Some("variable"))
    );
}

#[test]
fn a_disabled_sdk_makes_no_spans_and_reaches_for_nobody() {
    // Also where the exporter's settings are nonsense: nobody looks at them.
    let pipeline = built([
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense"),
    ]);
    let span = pipeline.tracer("test").start("work");
    assert!(!span.is_recording() && !span.span_context().is_sampled());
    drop(span);
    end_spans(&pipeline, 3);
    assert_eq!(pipeline.flush(PATIENCE).unwrap().destinations.len(), 0);
    assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
    let stats = pipeline.stats().delivery;
    assert_eq!((stats.unsampled, stats.queue_size, stats.queue_bytes), (0, 0, 0));
    assert_eq!(probe(&pipeline, 0).settled(), Default::default());
    assert_eq!(pipeline.queue().size(), 0);
}

#[test]
fn without_an_exporter_spans_are_recorded_for_nobody() {
    let pipeline = built([("OTEL_TRACES_EXPORTER", "none")]);
    assert!(pipeline.tracer("test").start("work").is_recording());
    assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
    assert_eq!(probe(&pipeline, 0).settled(), Default::default());

    let pipeline = of([("OTEL_TRACES_EXPORTER", "none")])
        .with_exporter("mine", service_fn(taker))
        .build()
        .unwrap();
    end_spans(&pipeline, 1);
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!((report.destinations.len(), report.destinations[0].exported), (1, 1));
}

fn attribute(pipeline: &Pipeline, key: &'static str) -> Option<String> {
    pipeline
        .resource()
        .get(&Key::from_static_str(key))
        .map(|value| value.to_string())
}

#[test]
fn the_resource_is_of_the_variables_and_of_code_over_them() {
    let name = |pipeline: &Pipeline| attribute(pipeline, "service.name").unwrap();
    assert!(name(&built([])).starts_with("unknown_service:environment"));
    let listed = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=listed,deployment.environment.name=a%2Cb",
    );
    let pipeline = built([listed]);
    assert_eq!(name(&pipeline), "listed");
    assert_eq!(
        attribute(&pipeline, "deployment.environment.name").as_deref(),
        Some("a,b")
    );
    assert_eq!(
        attribute(&pipeline, "telemetry.sdk.name").as_deref(),
        Some("opentelemetry")
    );
    assert_eq!(name(&built([listed, ("OTEL_SERVICE_NAME", "named")])), "named");

    let resource = Resource::builder_empty().with_service_name("in a resource").build();
    let builder = || of([listed, ("OTEL_SERVICE_NAME", "named")]).with_resource(resource.clone());
    assert_eq!(name(&builder().build().unwrap()), "in a resource");
    let pipeline = builder().with_service_name("in code").build().unwrap();
    assert_eq!(name(&pipeline), "in code");
    assert_eq!(
        attribute(&pipeline, "deployment.environment.name").as_deref(),
        Some("a,b")
    );
}

#[test]
fn the_sampler_is_that_of_the_variable_unless_code_has_one() {
    assert!(samples(&built([])));
    assert!(!samples(&built([("OTEL_TRACES_SAMPLER", "always_off")])));
    let none = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    assert!(!samples(&built(none)));
    assert!(samples(&of(none).with_sampler(Sampler::AlwaysOn).build().unwrap()));

    let child = |pipeline: &Pipeline, is_sampled: bool| {
        let flags = opentelemetry::trace::TraceFlags::default().with_sampled(is_sampled);
        let parent = SpanContext::new(1_u128.into(), 1_u64.into(), flags, true, Default::default());
        let parent = Context::new().with_remote_span_context(parent);
        pipeline
            .tracer("test")
            .start_with_context("work", &parent)
            .span_context()
            .is_sampled()
    };
    let pipeline = built([("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    assert_eq!(
        (child(&pipeline, true), child(&pipeline, false), samples(&pipeline)),
        (true, false, false)
    );
    let pipeline = built([("OTEL_TRACES_SAMPLER", "always_on")]);
    assert!(child(&pipeline, false) && samples(&pipeline));
}

/// Who samples a share says so; who samples everything does not pay for a trace state in each span.
#[test]
fn a_ratio_is_written_into_the_trace_state_and_the_default_is_not() {
    let ot = |variables: &[(&str, &str)]| {
        let env = Env::from_pairs(variables.iter().copied().chain([("OTEL_TRACES_EXPORTER", "none")]));
        let pipeline = Pipeline::builder()
            .with_env(env)
            .with_exporter("mine", service_fn(taker))
            .build()
            .unwrap();
        let span = pipeline.tracer("test").start("work");
        span.span_context().trace_state().get("ot").map(str::to_owned)
    };
    let ratio = ("OTEL_TRACES_SAMPLER_ARG", "1");
    assert_eq!(
        ot(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ratio]).as_deref(),
        Some("th:0")
    );
    assert_eq!(
        ot(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ratio]).as_deref(),
        Some("th:0")
    );
    assert_eq!(ot(&[]), None);
    assert_eq!(ot(&[("OTEL_TRACES_SAMPLER", "always_on")]), None);
}

#[test]
fn limits_are_those_of_the_variables_unless_code_has_them() {
    let variables = |endpoint: &str| {
        Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "2"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "3"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "1"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ])
    };
    let run = |change: fn(PipelineBuilder) -> PipelineBuilder| {
        let receiver = Receiver::spawn().unwrap();
        let env = variables(&receiver.grpc_endpoint());
        let pipeline = change(Pipeline::builder().with_env(env)).build().unwrap();
        let attributes = || {
            (0..5)
                .map(|number| KeyValue::new(format!("key {number}"), "value"))
                .collect::<Vec<_>>()
        };
        let tracer = pipeline.tracer("test");
        let other = SpanContext::new(
            1_u128.into(),
            1_u64.into(),
            Default::default(),
            true,
            Default::default(),
        );
        let link = Link::new(other, attributes(), 0);
        let mut span = tracer
            .span_builder("work")
            .with_links(vec![link.clone(), link])
            .start(&tracer);
        span.set_attributes(attributes());
        (0..5).for_each(|_| span.add_event("event", attributes()));
        span.end();
        assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
        let span = receiver.spans().remove(0);
        let value = span.attributes[0].value.clone().unwrap().value;
        let Some(Value::StringValue(value)) = value else {
            panic!("{value:?}")
        };
        let counts = [
            span.attributes.len(),
            span.events.len(),
            span.events[0].attributes.len(),
            span.links.len(),
            span.links[0].attributes.len(),
        ];
        (counts, value)
    };
    assert_eq!(run(|builder| builder), ([2, 3, 1, 1, 2], "valu".to_owned()));
    let in_code = |builder: PipelineBuilder| {
        builder
            .with_span_limits(SpanLimits::default())
            .with_attribute_value_length_limit(1)
    };
    assert_eq!(run(in_code), ([5, 5, 5, 2, 5], "v".to_owned()));
}

#[test]
fn the_queue_is_that_of_the_variables_unless_code_has_one() {
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "77")];
    assert_eq!(built(variables).queue().capacity(), 77);
    let config = BatchConfig::default().with_max_queue_size(1000);
    assert_eq!(
        of(variables)
            .with_batch_config(config)
            .build()
            .unwrap()
            .queue()
            .capacity(),
        1000
    );
}

#[test]
fn each_wrong_variable_is_told_once_and_the_default_is_used() {
    let rows = [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "no equals sign"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1.5"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "-1"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "x"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://host"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nonsense"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "maybe"),
    ];
    let recorder = Arc::new(Recorder::default());
    let pipeline = of(rows).with_observer(recorder.clone()).build().unwrap();
    let mut names: Vec<_> = pipeline
        .ignored_variables()
        .iter()
        .map(|ignored| &*ignored.name)
        .collect();
    names.sort_unstable();
    let mut expected = rows.map(|(name, _)| name);
    expected.sort_unstable();
    assert_eq!(names, expected);
    let told = recorder.events();
    assert_eq!(told.len(), rows.len(), "{told:?}");
    for (name, value) in rows {
        assert!(
            told.iter()
                .any(|text| text.starts_with(&format!("{name}=`{value}` is ignored"))),
            "{name}: {told:?}"
        );
    }
    assert_eq!(pipeline.queue().capacity(), built([]).queue().capacity());
    assert!(pipeline.tracer("test").start("work").span_context().is_sampled());
    pipeline.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn a_variable_that_only_shows_as_wrong_beside_the_code_does_not_stop_the_program() {
    // It does for gRPC, which code does not want.
    let pipeline = of([("OTEL_EXPORTER_OTLP_ENDPOINT", "host:4317")])
        .with_protocol(Protocol::HttpProtobuf)
        .build()
        .unwrap();
    let [ignored] = pipeline.ignored_variables() else {
        panic!("{:?}", pipeline.ignored_variables())
    };
    assert_eq!(
        (&*ignored.name, &*ignored.value),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "host:4317")
    );
}

#[cfg(feature = "tls")]
#[test]
fn a_key_of_another_certificate_does_not_stop_the_program() {
    use spanwright_testing::TestCertificates;

    let directory = std::env::temp_dir().join(format!("spanwright-pipeline-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ours, other) = (
        TestCertificates::generate().unwrap(),
        TestCertificates::generate().unwrap(),
    );
    let authority = file("authority.pem", ours.authority_pem());
    let certificate = file("client.pem", ours.client_certificate_pem());
    let (key, other_key) = (
        file("client.key", ours.client_key_pem()),
        file("other.key", other.client_key_pem()),
    );

    let receiver = Receiver::builder().with_mutual_tls(&ours).spawn().unwrap();
    let endpoint = receiver.grpc_endpoint();
    let variables = |key: &str| {
        Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", key),
        ])
    };
    let pipeline = Pipeline::builder().with_env(variables(&key)).build().unwrap();
    end_spans(&pipeline, 1);
    assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
    assert_eq!(pipeline.ignored_variables(), []);

    let pipeline = Pipeline::builder().with_env(variables(&other_key)).build().unwrap();
    let names: Vec<_> = pipeline
        .ignored_variables()
        .iter()
        .map(|ignored| &*ignored.name)
        .collect();
    assert_eq!(names, ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"]);
    std::fs::remove_dir_all(directory).unwrap();
}

const OF_THE_PROCESS: [(&str, &str); 3] = [
    ("OTEL_SERVICE_NAME", "of the process"),
    ("OTEL_TRACES_SAMPLER", "always_off"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
];

/// Runs itself once more, in a process with these variables: a test cannot set those of its own.
#[test]
fn the_process_is_asked_unless_told_otherwise_and_hears_what_is_wrong() {
    let (name, value) = OF_THE_PROCESS[0];
    if Env::process().string(name).as_deref() == Some(value) {
        return with_variables_of_the_process();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "the_process_is_asked_unless_told_otherwise_and_hears_what_is_wrong",
            "--exact",
            "--nocapture",
        ])
        .envs(OF_THE_PROCESS)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        told.matches("spanwright: OTEL_BSP_MAX_QUEUE_SIZE=`many` is ignored")
            .count(),
        1,
        "{told}"
    );
}

fn with_variables_of_the_process() {
    let pipeline = Pipeline::builder().build().unwrap();
    assert_eq!(attribute(&pipeline, "service.name").as_deref(), Some("of the process"));
    assert!(!samples(&pipeline));
    for builder in [Pipeline::builder().without_env(), of([])] {
        let pipeline = builder.build().unwrap();
        assert!(
            attribute(&pipeline, "service.name")
                .unwrap()
                .starts_with("unknown_service")
        );
        assert!(samples(&pipeline));
        assert_eq!(pipeline.ignored_variables(), []);
    }
}

#[test]
fn what_the_sampler_of_the_environment_has_counted_is_told_at_the_latest_by_the_shutdown() {
    #[derive(Default)]
    struct Decisions(AtomicI64);
    impl Observer for Decisions {
        fn count(&self, metric: &'static Metric, delta: i64, _: &[(&'static str, &str)]) {
            if metric.name == semconv::SAMPLER_DECISIONS.name {
                self.0.fetch_add(delta, Ordering::Relaxed);
            }
        }
    }
    let decisions = Arc::new(Decisions::default());
    let pipeline = of([
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ])
    .without_otlp()
    .with_exporter("taker", service_fn(taker))
    .with_observer(decisions.clone())
    .build()
    .unwrap();
    end_spans(&pipeline, 100);
    pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(decisions.0.load(Ordering::Relaxed), 100);
}
