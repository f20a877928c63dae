//! For any span, what we encode is what the SDK's own transform makes of it.

mod encode_oracle;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use spanwright_core::{Encode, RewriteTraceState};
use spanwright_otlp::{SpanEncoder, SpanScratch, count_spans};

use self::encode_oracle::{assert_equals_official, cut, official, ours};

proptest! {
    #[test]
    fn a_request_is_the_one_that_the_official_transform_makes(spans in vec(span(), 0..6), resource in resource()) {
        assert_equals_official(&SpanEncoder::new(&resource), &spans, &resource);
    }

    #[test]
    fn a_length_limit_cuts_every_string_value_and_nothing_else(spans in vec(span(), 1..3), limit in 0..40_usize) {
        let resource = Resource::builder_empty().with_service_name("a service with a long name, longer than the limit").build();
        let encoder = SpanEncoder::builder()
            .with_resource(&resource)
            .with_attribute_value_length_limit(Some(limit))
            .build();
        let decoded: opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest =
            prost::Message::decode(ours(&encoder, &spans).as_slice())?;
        let cut: Vec<_> = spans.into_iter().map(|span| cut(span, limit)).collect();
        prop_assert_eq!(prost::Message::encode_to_vec(&decoded), prost::Message::encode_to_vec(&official(&cut, &resource)));
    }

    #[test]
    fn a_record_that_is_amended_is_that_of_a_sampled_span_with_the_new_trace_state(span in span(), new in trace_state()) {
        let encoder = SpanEncoder::builder().build();
        let encode = |span: &SpanData| {
            let mut record = Vec::new();
            encoder.encode(span, &mut SpanScratch::default(), &mut record);
            record
        };
        let context = &span.span_context;
        let mut expected = span.clone();
        expected.span_context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags().with_sampled(true),
            context.is_remote(),
            new.clone(),
        );
        let mut rewrite = Replace { new: new.header(), seen: None };
        let mut amended = b"before".to_vec();
        encoder.amend(&encode(&span), &mut rewrite, &mut amended);
        prop_assert_eq!(&amended[b"before".len()..], encode(&expected));
        prop_assert_eq!(rewrite.seen, Some((context.trace_state().header(), context.is_sampled())));
        assert_equals_official(&encoder, &[expected], &Resource::builder_empty().build());
    }

    #[test]
    fn what_is_no_record_is_not_amended(
        span in span(),
        bytes in vec(any::<u8>(), 0..60),
        end in any::<prop::sample::Index>(),
    ) {
        let encoder = SpanEncoder::builder().build();
        let mut record = Vec::new();
        encoder.encode(&span, &mut SpanScratch::default(), &mut record);
        let cut = &record[..end.index(record.len())];
        let twice = [record.as_slice(), record.as_slice()].concat();
        for odd in [bytes.as_slice(), cut, &twice] {
            let mut rewrite = Replace { new: "a=b".to_owned(), seen: None };
            let mut out = Vec::new();
            encoder.amend(odd, &mut rewrite, &mut out);
            prop_assert_eq!(out, odd);
            prop_assert_eq!(rewrite.seen, None);
        }
    }

    #[test]
    fn walkers_take_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        walk(&bytes);
    }

    #[test]
    fn walkers_take_a_damaged_request(
        spans in vec(span(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = ours(&SpanEncoder::builder().build(), &spans);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        walk(&bytes);
        walk(&bytes[..end.index(bytes.len())]);
    }
}

/// Makes every trace state another one, and remembers what it was shown.
struct Replace {
    new: String,
    seen: Option<(String, bool)>,
}

impl RewriteTraceState for Replace {
    fn rewrite<'a>(&'a mut self, trace_state: &'a str, is_sampled: bool) -> &'a str {
        self.seen = Some((trace_state.to_owned(), is_sampled));
        &self.new
    }
}

/// Counts, and walks over the bytes as if they were records: it must end, and never leave the bytes.
fn walk(bytes: &[u8]) {
    let _ = count_spans(bytes);
    let encoder = SpanEncoder::builder().build();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = encoder.record_len(rest);
        assert!(0 < len && len <= rest.len());
        rest = &rest[len..];
    }
    assert_eq!(encoder.record_len(rest), 0);
}

fn span() -> impl Strategy<Value = SpanData> {
    let identity = (
        span_context(),
        span_id(),
        any::<bool>(),
        span_kind(),
        text(),
        time(),
        time(),
    );
    let content = (
        vec(attribute(), 0..12),
        count(),
        vec(event(), 0..4),
        count(),
        vec(link(), 0..4),
        count(),
    );
    (identity, content, status(), scope()).prop_map(
        |(
            (span_context, parent_span_id, parent_span_is_remote, span_kind, name, start_time, end_time),
            (attributes, dropped_attributes_count, events, dropped_events, links, dropped_links),
            status,
            instrumentation_scope,
        )| {
            let mut span_events = SpanEvents::default();
            (span_events.events, span_events.dropped_count) = (events, dropped_events);
            let mut span_links = SpanLinks::default();
            (span_links.links, span_links.dropped_count) = (links, dropped_links);
            SpanData {
                span_context,
                parent_span_id,
                parent_span_is_remote,
                span_kind,
                name: name.into(),
                start_time,
                end_time,
                attributes,
                dropped_attributes_count,
                events: span_events,
                links: span_links,
                status,
                instrumentation_scope,
            }
        },
    )
}

fn span_context() -> impl Strategy<Value = SpanContext> {
    let trace_id = prop_oneof![Just(TraceId::INVALID), any::<u128>().prop_map(TraceId::from)];
    let flags = any::<u8>().prop_map(TraceFlags::new);
    (trace_id, span_id(), flags, any::<bool>(), trace_state()).prop_map(
        |(trace_id, span_id, flags, is_remote, state)| SpanContext::new(trace_id, span_id, flags, is_remote, state),
    )
}

fn span_id() -> impl Strategy<Value = SpanId> {
    prop_oneof![Just(SpanId::INVALID), any::<u64>().prop_map(SpanId::from)]
}

fn trace_state() -> impl Strategy<Value = TraceState> {
    let members = vec(("[a-z0-9][a-z0-9_/*-]{0,20}", "[ -+--<>-~]{0,40}"), 0..33);
    prop_oneof![
        3 => Just(TraceState::NONE),
        // Without a member, but not none.
        1 => Just(TraceState::NONE.insert("a", "b").and_then(|state| state.delete("a")).expect("a valid key")),
        2 => members.prop_map(|members| TraceState::from_key_value(members).expect("valid members")),
    ]
}

fn span_kind() -> impl Strategy<Value = SpanKind> {
    prop_oneof![
        Just(SpanKind::Client),
        Just(SpanKind::Consumer),
        Just(SpanKind::Internal),
        Just(SpanKind::Producer),
        Just(SpanKind::Server),
    ]
}

/// Times of today, of the epoch and just beside it, long before, and beyond the year in which the field ends.
fn time() -> impl Strategy<Value = SystemTime> {
    let seconds = prop_oneof![Just(0), 1_700_000_000..1_800_000_000_u64, 0..(1_u64 << 40)];
    (any::<bool>(), seconds, 0..1_000_000_000_u32).prop_map(|(before, seconds, nanos)| {
        let distance = Duration::new(seconds, nanos);
        let time = if before {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(UNIX_EPOCH)
    })
}

fn event() -> impl Strategy<Value = Event> {
    (text(), time(), vec(attribute(), 0..5), count())
        .prop_map(|(name, time, attributes, dropped)| Event::new(name, time, attributes, dropped))
}

fn link() -> impl Strategy<Value = Link> {
    (span_context(), vec(attribute(), 0..5), count())
        .prop_map(|(context, attributes, dropped)| Link::new(context, attributes, dropped))
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::error)]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => 1..300_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn attribute() -> impl Strategy<Value = KeyValue> {
    (text(), any::<bool>(), value(number().boxed())).prop_map(|(key, is_shared, value)| {
        let key = if is_shared {
            Key::from(Arc::<str>::from(key))
        } else {
            Key::from(key)
        };
        KeyValue::new(key, value)
    })
}

fn value(number: BoxedStrategy<f64>) -> impl Strategy<Value = Value> {
    let array = prop_oneof![
        vec(any::<bool>(), 0..5).prop_map(Array::Bool),
        vec(integer(), 0..20).prop_map(Array::I64),
        vec(number.clone(), 0..5).prop_map(Array::F64),
        vec(text().prop_map(StringValue::from), 0..5).prop_map(Array::String),
    ];
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        integer().prop_map(Value::I64),
        number.prop_map(Value::F64),
        text().prop_map(Value::from),
        text().prop_map(|text| Value::from(Arc::<str>::from(text))),
        Just(Value::from("a literal")),
        array.prop_map(Value::Array),
    ]
}

/// Every length of a varint is as likely as any other.
fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        (any::<i64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift),
        (0..64_u32).prop_map(|bit| (1_u64 << bit) as i64),
        (0..64_u32).prop_map(|bit| ((1_u64 << bit) - 1) as i64),
    ]
}

/// With infinities, NaN of any bits, and both zeros.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(-0.0),
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits)
    ]
}

/// Empty, like a name, any Unicode, and of the lengths around which a length of something takes another byte.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        6 => "[a-z][a-z0-9._]{0,30}",
        2 => any::<String>(),
        2 => (90..140_usize).prop_map(|len| "x".repeat(len)),
        1 => (0..600_usize).prop_map(|len| "ü".repeat(len)),
    ]
}

/// Of a few, so that spans meet in one, and with attributes in any order.
fn scope() -> impl Strategy<Value = InstrumentationScope> {
    // Zeros of both signs and NaN make scopes that the SDK itself takes now for equal and now not.
    let plain = (1..100_u32).prop_map(f64::from).boxed();
    let known = prop_oneof![Just("http"), Just("db"), Just("")].prop_map(str::to_owned);
    let attributes = prop_oneof![
        Just(vec![]),
        Just(vec![KeyValue::new("a", 1), KeyValue::new("b", true)]),
        Just(vec![KeyValue::new("b", true), KeyValue::new("a", 1)]),
        vec(
            (text(), value(plain)).prop_map(|(key, value)| KeyValue::new(key, value)),
            0..3
        ),
    ];
    let version = option::of(prop_oneof![Just(String::new()), Just("1.0".to_owned())]);
    let schema_url = option::of(prop_oneof![Just(String::new()), text()]);
    (prop_oneof![4 => known, 1 => text()], version, schema_url, attributes).prop_map(
        |(name, version, schema_url, attributes)| {
            let mut builder = InstrumentationScope::builder(name).with_attributes(attributes);
            if let Some(version) = version {
                builder = builder.with_version(version);
            }
            if let Some(schema_url) = schema_url {
                builder = builder.with_schema_url(schema_url);
            }
            builder.build()
        },
    )
}

fn resource() -> impl Strategy<Value = Resource> {
    (vec(attribute(), 0..6), option::of(text())).prop_map(|(attributes, schema_url)| {
        let builder = Resource::builder_empty();
        match schema_url {
            Some(schema_url) => builder.with_schema_url(attributes, schema_url).build(),
            None => builder.with_attributes(attributes).build(),
        }
    })
}
