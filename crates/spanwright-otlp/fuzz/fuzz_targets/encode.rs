//! Any spans give the request that the SDK's own transform gives.
#![no_main]

#[path = "../../tests/encode_oracle/mod.rs"]
mod encode_oracle;

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prost::Message;
use spanwright_otlp::SpanEncoder;

use self::encode_oracle::{assert_equals_official, cut, official, ours};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let Ok((resource, limit, spans)) = input_of(&mut input) else {
        return;
    };
    match limit {
        None => assert_equals_official(&SpanEncoder::new(&resource), &spans, &resource),
        Some(limit) => assert_equals_cut(&spans, &resource, limit),
    }
});

fn assert_equals_cut(spans: &[SpanData], resource: &Resource, limit: usize) {
    let encoder = SpanEncoder::builder()
        .with_resource(resource)
        .with_attribute_value_length_limit(Some(limit))
        .build();
    let decoded =
        ExportTraceServiceRequest::decode(ours(&encoder, spans).as_slice()).expect("prost reads what we wrote");
    let cut: Vec<_> = spans.iter().map(|span| cut(span.clone(), limit)).collect();
    assert_eq!(decoded.encode_to_vec(), official(&cut, resource).encode_to_vec());
}

fn input_of(input: &mut Unstructured<'_>) -> Result<(Resource, Option<usize>, Vec<SpanData>)> {
    let resource = Resource::builder_empty()
        .with_schema_url(attributes(input)?, text(input)?)
        .build();
    let limit = input.arbitrary::<Option<u8>>()?.map(usize::from);
    Ok((resource, limit, several(input, span)?))
}

fn span(input: &mut Unstructured<'_>) -> Result<SpanData> {
    let mut events = SpanEvents::default();
    events.events = several(input, event)?;
    events.dropped_count = input.arbitrary()?;
    let mut links = SpanLinks::default();
    links.links = several(input, link)?;
    links.dropped_count = input.arbitrary()?;
    Ok(SpanData {
        span_context: context(input)?,
        parent_span_id: SpanId::from(input.arbitrary::<u64>()?),
        parent_span_is_remote: input.arbitrary()?,
        span_kind: kind(input)?,
        name: text(input)?,
        start_time: time(input)?,
        end_time: time(input)?,
        attributes: attributes(input)?,
        dropped_attributes_count: input.arbitrary()?,
        events,
        links,
        status: status(input)?,
        instrumentation_scope: scope(input)?,
    })
}

fn event(input: &mut Unstructured<'_>) -> Result<Event> {
    Ok(Event::new(
        text(input)?,
        time(input)?,
        attributes(input)?,
        input.arbitrary()?,
    ))
}

fn link(input: &mut Unstructured<'_>) -> Result<Link> {
    Ok(Link::new(context(input)?, attributes(input)?, input.arbitrary()?))
}

fn context(input: &mut Unstructured<'_>) -> Result<SpanContext> {
    Ok(SpanContext::new(
        TraceId::from(input.arbitrary::<u128>()?),
        SpanId::from(input.arbitrary::<u64>()?),
        TraceFlags::new(input.arbitrary()?),
        input.arbitrary()?,
        // What is no trace state is none, as in a header.
        text(input)?.parse().unwrap_or(TraceState::NONE),
    ))
}

fn kind(input: &mut Unstructured<'_>) -> Result<SpanKind> {
    let kinds = [
        SpanKind::Client,
        SpanKind::Consumer,
        SpanKind::Internal,
        SpanKind::Producer,
        SpanKind::Server,
    ];
    input.choose(&kinds).cloned()
}

fn status(input: &mut Unstructured<'_>) -> Result<Status> {
    Ok(match input.int_in_range(0..=2)? {
        0 => Status::Unset,
        1 => Status::Ok,
        _ => Status::error(text(input)?),
    })
}

fn time(input: &mut Unstructured<'_>) -> Result<SystemTime> {
    let distance = Duration::from_nanos(input.arbitrary()?) + Duration::from_secs(u64::from(input.arbitrary::<u16>()?));
    let is_before = input.ratio(1, 8)?;
    let time = if is_before {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    Ok(time.unwrap_or(UNIX_EPOCH))
}

/// Of few words, so that spans meet in a scope. Its attributes have no floats: the SDK's own equality does not hold for them.
fn scope(input: &mut Unstructured<'_>) -> Result<InstrumentationScope> {
    let words = ["", "a", "b"];
    let mut attributes = Vec::new();
    for _ in 0..input.int_in_range(0..=3)? {
        attributes.push(KeyValue::new(
            *input.choose(&words)?,
            i64::from(input.arbitrary::<u8>()?),
        ));
    }
    let mut builder = InstrumentationScope::builder(*input.choose(&words)?).with_attributes(attributes);
    if input.arbitrary()? {
        builder = builder.with_version(*input.choose(&words)?);
    }
    if input.arbitrary()? {
        builder = builder.with_schema_url(text(input)?);
    }
    Ok(builder.build())
}

fn attributes(input: &mut Unstructured<'_>) -> Result<Vec<KeyValue>> {
    several(input, |input| Ok(KeyValue::new(Key::from(text(input)?), value(input)?)))
}

fn value(input: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match input.int_in_range(0..=7)? {
        0 => Value::Bool(input.arbitrary()?),
        1 => Value::I64(number(input)?),
        2 => Value::F64(input.arbitrary()?),
        3 => Value::Array(Array::Bool(input.arbitrary()?)),
        4 => Value::Array(Array::I64(several(input, number)?)),
        5 => Value::Array(Array::F64(input.arbitrary()?)),
        6 => Value::Array(Array::String(several(input, |input| {
            text(input).map(StringValue::from)
        })?)),
        _ => Value::from(text(input)?),
    })
}

fn number(input: &mut Unstructured<'_>) -> Result<i64> {
    Ok(input.arbitrary::<i64>()? >> input.int_in_range(0..=63)?)
}

/// As the input has it, or of a length around which a length takes another byte.
fn text(input: &mut Unstructured<'_>) -> Result<Cow<'static, str>> {
    if input.ratio(1, 4)? {
        let len = usize::from(input.arbitrary::<u8>()?);
        return Ok("x".repeat(len).into());
    }
    Ok(input.arbitrary::<String>()?.into())
}

/// As many as there is input for, but not more than one byte counts.
fn several<T>(input: &mut Unstructured<'_>, one: impl Fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while all.len() < 255 && !input.is_empty() && input.arbitrary()? {
        all.push(one(input)?);
    }
    Ok(all)
}
