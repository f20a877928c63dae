//! What the encoder is held against: the SDK's own transform, and prost.
//!
//! The integration tests share it with the fuzz targets.

use opentelemetry::{KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use spanwright_core::{Encode, ScopeId};
use spanwright_otlp::{SpanEncoder, SpanScratch, count_spans};

/// The request that the SDK's own exporter would send.
pub(crate) fn official(spans: &[SpanData], resource: &Resource) -> ExportTraceServiceRequest {
    let resource = ResourceAttributesWithSchema::from(resource);
    ExportTraceServiceRequest {
        resource_spans: group_spans_by_resource_and_scope(spans.to_vec(), &resource),
    }
}

/// The request of our encoder: a run of records for each scope, in the order in which the scopes appear.
pub(crate) fn ours(encoder: &SpanEncoder, spans: &[SpanData]) -> Vec<u8> {
    let mut scratch = SpanScratch::default();
    let mut runs: Vec<(ScopeId, Vec<u8>)> = Vec::new();
    let mut record = Vec::new();
    for span in spans {
        record.clear();
        let scope = encoder.encode(span, &mut scratch, &mut record);
        assert_eq!(
            encoder.record_len(&record),
            record.len(),
            "a record is found in its whole length"
        );
        match runs.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, run)) => run.extend_from_slice(&record),
            None => runs.push((scope, record.clone())),
        }
    }
    frame(encoder, &runs)
}

/// Runs of records, framed into a request.
pub(crate) fn frame(encoder: &SpanEncoder, runs: &[(ScopeId, Vec<u8>)]) -> Vec<u8> {
    let mut scopes = Vec::new();
    for (scope, run) in runs {
        encoder.open_scope(*scope, run.len(), &mut scopes);
        scopes.extend_from_slice(run);
    }
    let mut request = Vec::new();
    encoder.open_request(scopes.len(), &mut request);
    request.extend_from_slice(&scopes);
    request
}

/// Panics unless our request for `spans` and the official one are the same message, and the spans in it the same bytes.
pub(crate) fn assert_equals_official(encoder: &SpanEncoder, spans: &[SpanData], resource: &Resource) {
    let bytes = ours(encoder, spans);
    let official = official(spans, resource);
    let decoded = ExportTraceServiceRequest::decode(bytes.as_slice()).expect("prost reads what we wrote");
    // Encoded again, so that a NaN equals itself.
    if decoded.encode_to_vec() != official.encode_to_vec() {
        assert_eq!(decoded, official);
        panic!("the messages differ in the bits of a number: {decoded:?}, {official:?}");
    }
    assert_eq!(count_spans(&bytes), Some(spans.len()));
    assert_records_are_canonical(encoder, spans);
}

/// Panics unless each record has exactly the bytes that prost writes, and a walk over them finds each one.
fn assert_records_are_canonical(encoder: &SpanEncoder, spans: &[SpanData]) {
    let mut scratch = SpanScratch::default();
    let mut records = Vec::new();
    for span in spans {
        encoder.encode(span, &mut scratch, &mut records);
    }
    let mut rest = records.as_slice();
    for span in spans {
        let (record, behind) = rest.split_at(encoder.record_len(rest));
        let mut expected = vec![0x12];
        opentelemetry_proto::tonic::trace::v1::Span::from(span.clone())
            .encode_length_delimited(&mut expected)
            .expect("a vector grows");
        assert_eq!(record, expected);
        rest = behind;
    }
    assert!(rest.is_empty(), "the walk ends with the last record");
}

/// `span` with the string values of its attributes cut after `limit` characters, the slow way.
pub(crate) fn cut(mut span: SpanData, limit: usize) -> SpanData {
    let events = span.events.events.iter_mut().map(|event| &mut event.attributes);
    let links = span.links.links.iter_mut().map(|link| &mut link.attributes);
    let attributes = [&mut span.attributes].into_iter().chain(events).chain(links);
    attributes
        .flatten()
        .for_each(|attribute| cut_attribute(attribute, limit));
    span
}

fn cut_attribute(attribute: &mut KeyValue, limit: usize) {
    let cut = |text: &mut opentelemetry::StringValue| {
        *text = text.as_str().chars().take(limit).collect::<String>().into();
    };
    match &mut attribute.value {
        Value::String(text) => cut(text),
        Value::Array(opentelemetry::Array::String(texts)) => texts.iter_mut().for_each(cut),
        _ => {}
    }
}
