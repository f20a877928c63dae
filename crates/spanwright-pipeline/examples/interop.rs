//! Exports a fixed set of spans with everything in them that a span can have, and prints what was sent.
//!
//! `cargo xtask interop` runs it against receivers that share no code with us; `xtask/interop/README.md` is the contract. What
//! is printed comes from the SDK: the same spans are made a second time, under a provider that keeps its `SpanData`, with ids
//! and times that are the same both times.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{IdGenerator, SdkTracerProvider, Span, SpanData, SpanLimits, SpanProcessor};
use serde_json::{Value as Json, json};
use spanwright_pipeline::{Compression, Pipeline, Protocol};

/// Small, so that every count of dropped things has something to count.
const LIMITS: SpanLimits = SpanLimits {
    max_attributes_per_span: 10,
    max_attributes_per_event: 2,
    max_attributes_per_link: 1,
    max_events_per_span: 2,
    max_links_per_span: 2,
};

fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, protocol, compression) = arguments()?;
    let resource = Resource::builder_empty().with_schema_url(
        [
            KeyValue::new("service.name", "interop"),
            KeyValue::new("deployment.environment.name", "préproduction"),
            KeyValue::new("host.cpu.ids", Value::Array(Array::I64(vec![0, 1]))),
        ],
        "https://opentelemetry.io/schemas/1.44.0",
    );
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(endpoint)
        .with_protocol(protocol)
        .with_compression(compression)
        .with_resource(resource.build())
        .with_id_generator(Numbers::default())
        .with_span_limits(LIMITS)
        .build()?;
    make_spans(pipeline.provider());
    let report = pipeline.shutdown(Duration::from_secs(30))?;
    if !report.is_complete() {
        return Err(format!("not everything arrived: {report}").into());
    }

    let kept = Keep::default();
    let provider = SdkTracerProvider::builder()
        .with_id_generator(Numbers::default())
        .with_span_limits(LIMITS)
        .with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOn)
        .with_span_processor(kept.clone())
        .build();
    make_spans(&provider);
    let spans = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    let rows: Vec<Json> = spans.iter().map(|span| row(pipeline.resource(), span)).collect();
    println!("{}", Json::Array(rows));
    Ok(())
}

fn arguments() -> Result<(String, Protocol, Compression), Box<dyn Error>> {
    let (mut endpoint, mut protocol, mut compression) = (None, Protocol::Grpc, Compression::None);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{flag}` has no value"))?;
        match (flag.as_str(), value.as_str()) {
            ("--endpoint", _) => endpoint = Some(value),
            ("--protocol", "grpc") => protocol = Protocol::Grpc,
            ("--protocol", "http") => protocol = Protocol::HttpProtobuf,
            ("--compression", "none") => compression = Compression::None,
            ("--compression", "gzip") => compression = Compression::Gzip,
            ("--compression", "zstd") => compression = Compression::Zstd,
            _ => return Err(format!("unknown: {flag} {value}").into()),
        }
    }
    Ok((endpoint.ok_or("`--endpoint` is missing")?, protocol, compression))
}

fn make_spans(provider: &SdkTracerProvider) {
    let server = provider.tracer_with_scope(
        InstrumentationScope::builder("http-server")
            .with_version("1.4.2")
            .with_schema_url("https://opentelemetry.io/schemas/1.43.0")
            .with_attributes([KeyValue::new("pool", "première"), KeyValue::new("workers", 4)])
            .build(),
    );
    let database = provider.tracer("db-client");

    // As it comes out of a request's headers.
    let state = TraceState::from_key_value([("vendor", "1"), ("other", "a:b")]).unwrap_or_default();
    let remote = context(0xaaaa, 0xbbbb, true, state.clone());
    let mut request = server
        .span_builder("GET /café/{id}")
        .with_kind(SpanKind::Server)
        .with_start_time(at(0))
        .with_attributes(every_type())
        .start_with_context(&server, &Context::new().with_remote_span_context(remote.clone()));
    for (number, name) in (1..).zip(["accepted", "größer", "dropped"]) {
        let attributes = ["a", "b", "dropped"].map(|key| KeyValue::new(key, number));
        request.add_event_with_timestamp(name, at(number as u64), attributes.into());
    }
    request.add_link(remote, ["kept", "dropped"].map(|key| KeyValue::new(key, true)).into());
    request.add_link(context(0xcccc, 0xdddd, false, TraceState::NONE), vec![]);
    request.add_link(context(0xeeee, 0xffff, false, TraceState::NONE), vec![]);
    request.set_status(Status::error("größer als erlaubt"));
    // The request's own context, which is not remote, whatever the method is called.
    let inside = Context::new().with_remote_span_context(request.span_context().clone());

    let mut query = database
        .span_builder("SELECT orders")
        .with_kind(SpanKind::Client)
        .with_start_time(at(10))
        .with_links(vec![Link::with_context(context(0x1111, 0x2222, true, state))])
        .start_with_context(&database, &inside);
    query.set_status(Status::Ok);
    query.set_attribute(KeyValue::new("db.query.text", "SELECT * FROM \"commandes\" -- 注文"));
    query.end_with_timestamp(at(20));
    request.end_with_timestamp(at(30));

    for (kind, name) in [
        (SpanKind::Producer, "orders send"),
        (SpanKind::Consumer, "orders process"),
        (SpanKind::Internal, ""),
    ] {
        let builder = database.span_builder(name).with_kind(kind).with_start_time(at(40));
        let mut span = builder.start_with_context(&database, &Context::new());
        span.end_with_timestamp(at(41));
    }
}

/// One attribute of each type and one of each array, empty ones among them; the last two are over the limit.
fn every_type() -> [KeyValue; 12] {
    let strings = ["", "é", "a\nb"].map(StringValue::from);
    [
        KeyValue::new("text", "naïve"),
        KeyValue::new("text.empty", ""),
        KeyValue::new("flag", true),
        KeyValue::new("number", i64::MIN),
        KeyValue::new("ratio", -0.0),
        KeyValue::new("texts", Value::Array(Array::String(strings.into()))),
        KeyValue::new("flags", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("numbers", Value::Array(Array::I64(vec![-1, 0, i64::MAX]))),
        KeyValue::new("ratios", Value::Array(Array::F64(vec![f64::NAN, f64::INFINITY, 1.5]))),
        KeyValue::new("none", Value::Array(Array::I64(vec![]))),
        KeyValue::new("dropped.1", 1),
        KeyValue::new("dropped.2", 2),
    ]
}

fn context(trace: u128, span: u64, is_remote: bool, state: TraceState) -> SpanContext {
    let (trace, span) = (TraceId::from(trace), SpanId::from(span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, is_remote, state)
}

fn at(milliseconds: u64) -> SystemTime {
    // A whole number of nanoseconds that a float could not hold.
    UNIX_EPOCH + Duration::from_nanos(1_767_225_600_123_456_789) + Duration::from_millis(milliseconds)
}

fn row(resource: &Resource, span: &SpanData) -> Json {
    let scope = &span.instrumentation_scope;
    let (code, message) = match &span.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error { description } => (2, description.as_ref()),
    };
    let resource_attributes: Vec<Json> = resource
        .iter()
        .map(|(key, value)| attribute(key.as_str(), value))
        .collect();
    let events: Vec<Json> = span.events.iter().map(event).collect();
    let links: Vec<Json> = span.links.iter().map(link).collect();
    json!({
        "resource": { "attributes": resource_attributes },
        "resource_schema_url": resource.schema_url(),
        "scope": {
            "name": scope.name(),
            "version": scope.version(),
            "attributes": attributes(scope.attributes()),
        },
        "scope_schema_url": scope.schema_url(),
        "span": {
            "trace_id": hex(span.span_context.trace_id().to_bytes()),
            "span_id": hex(span.span_context.span_id().to_bytes()),
            "trace_state": span.span_context.trace_state().header(),
            "parent_span_id": id(span.parent_span_id),
            "flags": flags(span.span_context.trace_flags(), span.parent_span_is_remote),
            "name": span.name,
            "kind": match span.span_kind {
                SpanKind::Internal => 1,
                SpanKind::Server => 2,
                SpanKind::Client => 3,
                SpanKind::Producer => 4,
                SpanKind::Consumer => 5,
            },
            "start_time_unix_nano": nanoseconds(span.start_time),
            "end_time_unix_nano": nanoseconds(span.end_time),
            "attributes": attributes(span.attributes.iter()),
            "dropped_attributes_count": span.dropped_attributes_count,
            "events": events,
            "dropped_events_count": span.events.dropped_count,
            "links": links,
            "dropped_links_count": span.links.dropped_count,
            "status": { "code": code, "message": message },
        },
    })
}

fn event(event: &opentelemetry::trace::Event) -> Json {
    json!({
        "time_unix_nano": nanoseconds(event.timestamp),
        "name": event.name,
        "attributes": attributes(event.attributes.iter()),
        "dropped_attributes_count": event.dropped_attributes_count,
    })
}

fn link(link: &Link) -> Json {
    let context = &link.span_context;
    json!({
        "trace_id": hex(context.trace_id().to_bytes()),
        "span_id": hex(context.span_id().to_bytes()),
        "trace_state": context.trace_state().header(),
        "attributes": attributes(link.attributes.iter()),
        "dropped_attributes_count": link.dropped_attributes_count,
        "flags": flags(context.trace_flags(), context.is_remote()),
    })
}

/// The flags of W3C in the low byte, and above it whether the parent or the linked span is known to be remote, and is.
fn flags(flags: TraceFlags, is_remote: bool) -> u32 {
    u32::from(flags.to_u8()) | 0x100 | if is_remote { 0x200 } else { 0 }
}

fn attributes<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<Json> {
    attributes
        .map(|pair| attribute(pair.key.as_str(), &pair.value))
        .collect()
}

fn attribute(key: &str, value: &Value) -> Json {
    json!({ "key": key, "value": any_value(value) })
}

fn any_value(value: &Value) -> Json {
    fn array<T: Clone + Into<Value>>(values: &[T]) -> Json {
        let values: Vec<Json> = values.iter().map(|value| any_value(&value.clone().into())).collect();
        json!({ "array_value": { "values": values } })
    }
    match value {
        Value::Bool(flag) => json!({ "bool_value": flag }),
        Value::I64(number) => json!({ "int_value": number.to_string() }),
        Value::F64(number) => json!({ "double_value": hex(number.to_bits().to_be_bytes()) }),
        Value::String(text) => json!({ "string_value": text.as_str() }),
        Value::Array(Array::Bool(flags)) => array(flags),
        Value::Array(Array::I64(numbers)) => array(numbers),
        Value::Array(Array::F64(numbers)) => array(numbers),
        Value::Array(Array::String(texts)) => array(texts),
        _ => Json::Null,
    }
}

fn id(id: SpanId) -> String {
    if id == SpanId::INVALID {
        String::new()
    } else {
        hex(id.to_bytes())
    }
}

fn hex<const N: usize>(bytes: [u8; N]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).concat()
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
        .to_string()
}

/// Ids that are the same in every run.
#[derive(Debug, Default)]
struct Numbers(AtomicU64);

impl IdGenerator for Numbers {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from((0x5b8e_fff7_9803_8103_u128 << 64) | u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(0xeee1_9b7e_0000_0000 | (self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

/// Keeps what the SDK hands to processors.
#[derive(Clone, Debug, Default)]
struct Keep(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Keep {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
