//! The edges of the encoder, one by one: each row is held against the SDK's own transform.

#[expect(dead_code, reason = "shared with the property tests")]
mod encode_oracle;

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use spanwright_core::{Encode, RewriteTraceState, ScopeId};
use spanwright_otlp::{SpanEncoder, SpanScratch, count_spans};
use spanwright_testing::{SpanFactory, http_server_span};

use self::encode_oracle::{assert_equals_official, frame, ours};

type Edit = fn(&mut SpanData);

#[test]
fn every_edge_equals_the_official_transform() {
    let rows: &[(&str, Edit)] = &[
        ("a root span", |span| span.parent_span_id = SpanId::INVALID),
        ("a parent", |span| span.parent_span_id = SpanId::from(1)),
        ("a remote parent", |span| span.parent_span_is_remote = true),
        ("no ids", |span| span.span_context = SpanContext::NONE),
        ("every flag", |span| {
            span.span_context = context(0xff, true, TraceState::NONE)
        }),
        ("a trace state", |span| {
            span.span_context = context(1, false, members(1))
        }),
        ("a full trace state", |span| {
            span.span_context = context(1, false, members(32))
        }),
        ("no name", |span| span.name = "".into()),
        ("a name of many bytes", |span| span.name = "日本".repeat(10_000).into()),
        ("client", |span| span.span_kind = SpanKind::Client),
        ("consumer", |span| span.span_kind = SpanKind::Consumer),
        ("internal", |span| span.span_kind = SpanKind::Internal),
        ("producer", |span| span.span_kind = SpanKind::Producer),
        ("the epoch", |span| span.start_time = UNIX_EPOCH),
        ("before the epoch", |span| {
            span.start_time = UNIX_EPOCH - Duration::from_nanos(1);
            span.end_time = UNIX_EPOCH - Duration::from_secs(1_000_000_000);
        }),
        ("the last time that fits", |span| span.end_time = since_epoch(u64::MAX)),
        ("the first that does not", |span| {
            span.end_time = since_epoch(u64::MAX) + Duration::from_nanos(1);
        }),
        ("far beyond", |span| {
            span.end_time = since_epoch(u64::MAX) + Duration::from_secs(1 << 40)
        }),
        ("nothing in it", |span| {
            span.attributes.clear();
            span.name = "".into();
            span.start_time = UNIX_EPOCH;
            span.end_time = UNIX_EPOCH;
        }),
        ("everything dropped", |span| {
            span.dropped_attributes_count = u32::MAX;
            span.events.dropped_count = u32::MAX;
            span.links.dropped_count = u32::MAX;
        }),
        ("status ok", |span| span.status = Status::Ok),
        ("status error", |span| span.status = Status::error("it broke")),
        ("status error without words", |span| span.status = Status::error("")),
        ("status error with many", |span| {
            span.status = Status::error("x".repeat(200))
        }),
        ("an empty key", |span| set(span, "", "value")),
        ("an empty value", |span| set(span, "key", "")),
        ("an empty key and value", |span| set(span, "", "")),
        ("duplicate keys", |span| {
            let twice = span.attributes.clone();
            span.attributes.extend(twice);
        }),
        ("numbers", |span| {
            let edges = [0, 1, -1, 127, 128, 16_383, 16_384, i64::MAX, i64::MIN];
            span.attributes
                .extend(edges.map(|number| KeyValue::new("number", number)));
        }),
        ("floats", |span| {
            let edges = [0.0, -0.0, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
            span.attributes
                .extend(edges.map(|number| KeyValue::new("number", number)));
        }),
        ("empty arrays", |span| {
            set(span, "bools", Value::Array(Array::Bool(vec![])));
            set(span, "ints", Value::Array(Array::I64(vec![])));
            set(span, "floats", Value::Array(Array::F64(vec![])));
            set(span, "strings", Value::Array(Array::String(vec![])));
        }),
        ("arrays of defaults", |span| {
            set(span, "bools", Value::Array(Array::Bool(vec![false, true])));
            set(span, "ints", Value::Array(Array::I64(vec![0, -1])));
            set(span, "floats", Value::Array(Array::F64(vec![0.0, f64::NAN])));
            set(
                span,
                "strings",
                Value::Array(Array::String(vec!["".into(), "a".into()])),
            );
        }),
        ("a huge string", |span| {
            set(span, "body", "0123456789abcdef".repeat(1 << 17))
        }),
        ("huge arrays", |span| {
            set(span, "ints", Value::Array(Array::I64((0..100_000).collect())));
            set(
                span,
                "strings",
                Value::Array(Array::String(vec!["x".repeat(200).into(); 5_000])),
            );
        }),
        ("many attributes", |span| {
            span.attributes = (0..10_000)
                .map(|number| KeyValue::new(format!("key.{number}"), number))
                .collect();
        }),
        ("events", |span| {
            let stack = KeyValue::new("exception.stacktrace", "at main\n".repeat(1_000));
            span.events.events = vec![
                Event::new("", UNIX_EPOCH, vec![], 0),
                Event::new(
                    "exception",
                    SystemTime::UNIX_EPOCH + Duration::from_secs(1),
                    vec![stack],
                    3,
                ),
                Event::new("before", UNIX_EPOCH - Duration::from_secs(1), vec![], u32::MAX),
            ];
        }),
        ("links", |span| {
            let attributes = vec![KeyValue::new("a", "b"), KeyValue::new("long", "x".repeat(300))];
            span.links.links = vec![
                Link::with_context(SpanContext::NONE),
                Link::new(context(1, true, members(3)), attributes, u32::MAX),
                Link::new(context(0, false, TraceState::NONE), vec![], 1),
            ];
        }),
        ("a scope with everything", |span| {
            span.instrumentation_scope = InstrumentationScope::builder("library")
                .with_version("1.0")
                .with_schema_url("https://example.com/schema")
                .with_attributes([KeyValue::new("a", 1), KeyValue::new("b", "x".repeat(200))])
                .build();
        }),
        ("a scope with nothing", |span| {
            span.instrumentation_scope = InstrumentationScope::default()
        }),
    ];
    let resource = resource("checkout");
    let encoder = SpanEncoder::new(&resource);
    for (name, edit) in rows {
        println!("{name}");
        let mut span = http_server_span(1);
        edit(&mut span);
        assert_equals_official(&encoder, &[span], &resource);
    }
}

/// Wherever a length of an attribute takes another byte, and one beside it.
#[test]
fn every_length_of_key_and_value_equals_the_official_transform() {
    let lens = [
        1, 50, 99, 100, 101, 111, 112, 113, 114, 115, 116, 117, 120, 121, 122, 126, 127, 128, 16_383,
    ];
    let mut span = http_server_span(1);
    span.attributes = lens
        .iter()
        .flat_map(|key| lens.iter().map(|value| ("k".repeat(*key), "v".repeat(*value))))
        .flat_map(|(key, value)| {
            [
                KeyValue::new(key.clone(), value),
                KeyValue::new(key.clone(), i64::MIN),
                KeyValue::new(key.clone(), 1.0),
                KeyValue::new(key, true),
            ]
        })
        .collect();
    let resource = resource("checkout");
    assert_equals_official(&SpanEncoder::new(&resource), &[span], &resource);
}

#[test]
fn a_mix_of_spans_equals_the_official_transform() {
    let resource = resource("checkout");
    let spans: Vec<_> = SpanFactory::new(3).take(1_000).collect();
    assert_equals_official(&SpanEncoder::new(&resource), &spans, &resource);
}

#[test]
fn a_status_that_was_never_set_is_there_and_empty() {
    let spans = spans_of(&SpanEncoder::builder().build(), &[http_server_span(1)]);
    assert_eq!(spans[0].status, Some(Default::default()));
}

#[test]
fn a_new_resource_holds_from_the_next_request_on() {
    let spans = [http_server_span(1)];
    let (before, after) = (resource("before"), resource("after"));
    let encoder = SpanEncoder::new(&before);
    assert_equals_official(&encoder, &spans, &before);
    encoder.set_resource(&after);
    assert_equals_official(&encoder, &spans, &after);
}

#[test]
fn without_a_resource_there_is_an_empty_one() {
    let resource = Resource::builder_empty().build();
    assert_equals_official(&SpanEncoder::builder().build(), &[http_server_span(1)], &resource);
}

#[test]
fn what_is_no_record_is_taken_in_one_piece() {
    let encoder = SpanEncoder::builder().build();
    let mut record = Vec::new();
    encoder.encode(&http_server_span(1), &mut SpanScratch::default(), &mut record);
    let rows: [(&str, Vec<u8>); 6] = [
        ("nothing", vec![]),
        ("a cut record", record[..record.len() - 1].to_vec()),
        ("another field", vec![0x0a, 1, 0, 0x12, 0]),
        ("another wire type", vec![0x10, 1]),
        ("a length without an end", vec![0x12, 0x80]),
        (
            "a length beyond everything",
            [vec![0x12], vec![0xff; 9], vec![1, 0]].concat(),
        ),
    ];
    for (name, run) in rows {
        assert_eq!(encoder.record_len(&run), run.len(), "{name}");
    }
    assert_eq!(encoder.record_len(&[0x12, 0, 0x12, 0]), 2);
}

#[test]
fn spans_are_counted_through_unknown_fields_and_not_in_what_is_no_request() {
    let encoder = SpanEncoder::new(&resource("checkout"));
    let request = ours(&encoder, &SpanFactory::new(1).take(20).collect::<Vec<_>>());
    assert_eq!(count_spans(&request), Some(20));
    assert_eq!(count_spans(&[]), Some(0));
    // A varint, four bytes, eight bytes, and a string, none of which the protocol has.
    let unknown = [0x50, 1, 0x55, 0, 0, 0, 0, 0x51, 0, 0, 0, 0, 0, 0, 0, 0, 0x52, 1, 0];
    assert_eq!(
        count_spans(&[&unknown, request.as_slice(), &unknown].concat()),
        Some(20)
    );
    assert_eq!(count_spans(&[request.as_slice(), &request].concat()), Some(40));
    assert_eq!(count_spans(&request[..request.len() - 1]), None);
    assert_eq!(count_spans(b"not protobuf"), None);
    assert_eq!(count_spans(&[0x0b]), None, "a group");
}

#[test]
fn scopes_that_take_turns_keep_their_spans() {
    let resource = resource("checkout");
    let spans: Vec<_> = (0..400).map(|number| in_scope(scope(number % 20))).collect();
    assert_equals_official(&SpanEncoder::new(&resource), &spans, &resource);
}

#[test]
fn threads_that_meet_a_scope_at_once_agree_on_its_id() {
    let encoder = SpanEncoder::builder().build();
    let ids = || -> Vec<ScopeId> {
        let (mut scratch, mut out) = (SpanScratch::default(), Vec::new());
        let spans = (0..500).map(|number| in_scope(scope(number)));
        spans
            .map(|span| encoder.encode(&span, &mut scratch, &mut out))
            .collect()
    };
    let per_thread: Vec<_> = thread::scope(|threads| {
        let running: Vec<_> = (0..4).map(|_| threads.spawn(ids)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(per_thread[0].iter().collect::<BTreeSet<_>>().len(), 500);
    assert!(per_thread.iter().all(|ids| *ids == per_thread[0]));
}

#[test]
fn a_scratch_that_goes_from_encoder_to_encoder_does_not_mix_their_scopes() {
    let encoders = [(); 2].map(|()| SpanEncoder::builder().build());
    let (mut scratch, mut out) = (SpanScratch::default(), Vec::new());
    let [one, other] = [1, 2].map(|number| in_scope(scope(number)));
    let mut id = |encoder: usize, span| encoders[encoder].encode(span, &mut scratch, &mut out).index();
    assert_eq!([id(0, &one), id(0, &other)], [0, 1]);
    assert_eq!([id(1, &other), id(1, &one)], [0, 1]);
    assert_eq!([id(0, &other), id(0, &one), id(0, &other)], [1, 0, 1]);
    assert_eq!([id(1, &one), id(1, &other), id(1, &one)], [1, 0, 1]);
}

#[test]
fn spans_of_scopes_beyond_the_bound_carry_their_scope() {
    const BOUND: usize = 4096;
    let encoder = SpanEncoder::builder().build();
    let (mut scratch, mut out) = (SpanScratch::default(), Vec::new());
    for number in 0..BOUND {
        let id = encoder.encode(&in_scope(scope(number)), &mut scratch, &mut out);
        assert_eq!(id, ScopeId::new(number as u32));
    }
    let beyond = InstrumentationScope::builder("one more")
        .with_version("1.0")
        .with_schema_url("https://example.com/schema")
        .with_attributes([KeyValue::new("tenant", 7)])
        .build();
    let mut span = in_scope(beyond);
    span.events.events.push(Event::new("event", UNIX_EPOCH, vec![], 0));
    for _ in 0..2 {
        out.clear();
        assert_eq!(encoder.encode(&span, &mut scratch, &mut out).index(), BOUND);
        assert_eq!(encoder.record_len(&out), out.len());
    }
    let scope_spans = decode(&frame(&encoder, &[(ScopeId::new(BOUND as u32), out.clone())]));
    assert_eq!(scope_spans.scope, Some(Default::default()));
    let encoded = &scope_spans.spans[0];
    let expected = Span::from(span.clone());
    let (own, added) = encoded.attributes.split_at(span.attributes.len());
    assert_eq!(own, expected.attributes);
    assert_eq!((&encoded.name, &encoded.events), (&expected.name, &expected.events));
    let added: Vec<_> = added
        .iter()
        .map(|attribute| {
            (
                attribute.key.as_str(),
                attribute.value.clone().and_then(|value| value.value),
            )
        })
        .collect();
    let text = |text: &str| Some(any_value::Value::StringValue(text.to_owned()));
    assert_eq!(
        added,
        [
            ("otel.scope.name", text("one more")),
            ("otel.scope.version", text("1.0")),
            ("otel.scope.schema_url", text("https://example.com/schema")),
            ("otel.scope.tenant", Some(any_value::Value::IntValue(7))),
        ]
    );
    // The fields that stand for the scope do not hide those that a stage amends.
    struct Rewritten;
    impl RewriteTraceState for Rewritten {
        fn rewrite<'a>(&'a mut self, _: &'a str, _: bool) -> &'a str {
            "ot=th:c"
        }
    }
    let mut amended = Vec::new();
    encoder.amend(&out, &mut Rewritten, &mut amended);
    let amended = decode(&frame(&encoder, &[(ScopeId::new(BOUND as u32), amended)]));
    let expected = Span {
        trace_state: "ot=th:c".to_owned(),
        flags: encoded.flags | 1,
        ..encoded.clone()
    };
    assert_eq!(amended.spans, [expected]);
    // Known scopes keep their ids.
    assert_eq!(encoder.encode(&in_scope(scope(17)), &mut scratch, &mut out).index(), 17);
}

fn resource(name: &'static str) -> Resource {
    Resource::builder_empty()
        .with_schema_url(
            [KeyValue::new("service.instance.id", 1)],
            "https://example.com/resource",
        )
        .with_service_name(name)
        .build()
}

fn scope(number: usize) -> InstrumentationScope {
    InstrumentationScope::builder(format!("library.{number}")).build()
}

fn in_scope(scope: InstrumentationScope) -> SpanData {
    SpanData {
        instrumentation_scope: scope,
        ..http_server_span(1)
    }
}

fn context(flags: u8, is_remote: bool, state: TraceState) -> SpanContext {
    SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::new(flags),
        is_remote,
        state,
    )
}

fn members(count: usize) -> TraceState {
    TraceState::from_key_value((0..count).map(|number| (format!("vendor{number}"), "x".repeat(number))))
        .expect("valid members")
}

fn since_epoch(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn set(span: &mut SpanData, key: &'static str, value: impl Into<Value>) {
    span.attributes.push(KeyValue::new(key, value));
}

fn spans_of(encoder: &SpanEncoder, spans: &[SpanData]) -> Vec<Span> {
    decode(&ours(encoder, spans)).spans
}

/// The first scope of a request.
fn decode(request: &[u8]) -> ScopeSpans {
    let request = ExportTraceServiceRequest::decode(request).expect("a request");
    request.resource_spans[0].scope_spans[0].clone()
}
