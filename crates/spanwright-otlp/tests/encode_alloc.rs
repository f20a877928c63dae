//! What the encoder asks of the allocator: nothing, once its buffers have grown.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use spanwright_core::Encode;
use spanwright_otlp::{SpanEncoder, SpanScratch, count_spans};
use spanwright_testing::{CountingAllocator, SpanFactory, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Spans of four scopes, with events, links, errors, a trace state, arrays, long values, and a scope made anew for each span.
fn spans() -> Vec<SpanData> {
    let mut spans: Vec<_> = SpanFactory::new(1).take(200).collect();
    for (number, span) in spans.iter_mut().enumerate().step_by(5) {
        let state = TraceState::from_key_value([("vendor", "value"), ("other", "value")]).expect("valid members");
        span.span_context = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, state);
        span.attributes.push(KeyValue::new("body", "x".repeat(number * 10)));
        span.attributes
            .push(KeyValue::new("numbers", Value::Array(vec![1_i64; 100].into())));
        span.instrumentation_scope = InstrumentationScope::builder(String::from("owned"))
            .with_attributes([KeyValue::new("a", String::from("b")), KeyValue::new("c", f64::NAN)])
            .build();
    }
    spans
}

fn assert_no_allocation(encoder: &SpanEncoder) {
    let spans = spans();
    let mut scratch = SpanScratch::default();
    let mut out = Vec::new();
    let mut encode = |out: &mut Vec<u8>| {
        out.clear();
        for span in &spans {
            encoder.encode(span, &mut scratch, out);
        }
    };
    encode(&mut out);
    let steady = allocations(|| encode(&mut out));
    assert_eq!((steady.count, steady.freed), (0, 0));
}

#[test]
fn a_span_is_encoded_without_an_allocation() {
    assert_no_allocation(&SpanEncoder::builder().build());
}

#[test]
fn a_span_is_cut_without_an_allocation() {
    assert_no_allocation(
        &SpanEncoder::builder()
            .with_attribute_value_length_limit(Some(5))
            .build(),
    );
}

#[test]
fn a_request_is_framed_and_counted_without_an_allocation() {
    let encoder = SpanEncoder::new(&Resource::builder_empty().with_service_name("checkout").build());
    let (mut records, mut request) = (Vec::new(), Vec::with_capacity(1024));
    let scope = encoder.encode(&spans()[0], &mut SpanScratch::default(), &mut records);
    let framing = allocations(|| {
        encoder.open_request(records.len() + 100, &mut request);
        encoder.open_scope(scope, records.len(), &mut request);
        (encoder.record_len(&records), count_spans(&request))
    });
    assert_eq!(framing.count, 0);
}

#[test]
fn more_scopes_than_a_thread_remembers_cost_no_allocation_either() {
    let encoder = SpanEncoder::builder().build();
    let spans: Vec<_> = (0..50)
        .map(|number| SpanData {
            instrumentation_scope: InstrumentationScope::builder(format!("library.{number}")).build(),
            ..SpanFactory::new(1).bare_span()
        })
        .collect();
    let (mut scratch, mut out) = (SpanScratch::default(), Vec::with_capacity(100_000));
    let mut encode = || {
        out.clear();
        for span in &spans {
            encoder.encode(span, &mut scratch, &mut out);
        }
    };
    encode();
    assert_eq!(allocations(encode).count, 0);
}
