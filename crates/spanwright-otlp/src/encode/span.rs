//! `Span`, with its events, links and status.
//!
//! Source: [opentelemetry-proto, trace.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/trace/v1/trace.proto).

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};

use super::value::{attributes_len, write_attributes};
use super::wire::{Cursor, Written, delimited_len, number_len, string_len};

/// A finished span as the engine sees it: borrowed, and in the types of the API alone.
#[derive(Debug)]
pub(crate) struct SpanView<'a> {
    pub(crate) context: &'a SpanContext,
    pub(crate) parent_span_id: SpanId,
    pub(crate) parent_span_is_remote: bool,
    pub(crate) kind: &'a SpanKind,
    pub(crate) name: &'a str,
    pub(crate) start_time: SystemTime,
    pub(crate) end_time: SystemTime,
    pub(crate) attributes: &'a [KeyValue],
    pub(crate) dropped_attributes_count: u32,
    pub(crate) events: &'a [Event],
    pub(crate) dropped_events_count: u32,
    pub(crate) links: &'a [Link],
    pub(crate) dropped_links_count: u32,
    pub(crate) status: &'a Status,
    pub(crate) scope: &'a InstrumentationScope,
}

pub(super) mod tag {
    use crate::encode::wire::{delimited, fixed64, varint};

    /// Of a span and of a link.
    pub(in crate::encode) const TRACE_ID: u8 = delimited(1);
    pub(in crate::encode) const SPAN_ID: u8 = delimited(2);
    pub(in crate::encode) const TRACE_STATE: u8 = delimited(3);

    pub(super) const PARENT_SPAN_ID: u8 = delimited(4);
    pub(super) const NAME: u8 = delimited(5);
    pub(super) const KIND: u8 = varint(6);
    pub(super) const START_TIME: u8 = fixed64(7);
    pub(super) const END_TIME: u8 = fixed64(8);
    pub(in crate::encode) const ATTRIBUTES: u8 = delimited(9);
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u8 = varint(10);
    pub(super) const EVENTS: u8 = delimited(11);
    pub(super) const DROPPED_EVENTS_COUNT: u8 = varint(12);
    pub(super) const LINKS: u8 = delimited(13);
    pub(super) const DROPPED_LINKS_COUNT: u8 = varint(14);
    pub(super) const STATUS: u8 = delimited(15);
    /// Field 16, four bytes: the one tag that takes two bytes.
    pub(in crate::encode) const FLAGS: [u8; 2] = [0x85, 0x01];
}

mod event_tag {
    use crate::encode::wire::{delimited, fixed64, varint};

    pub(super) const TIME: u8 = fixed64(1);
    pub(super) const NAME: u8 = delimited(2);
    pub(super) const ATTRIBUTES: u8 = delimited(3);
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u8 = varint(4);
}

mod link_tag {
    use crate::encode::wire::{delimited, fixed32, varint};

    pub(super) const ATTRIBUTES: u8 = delimited(4);
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u8 = varint(5);
    pub(super) const FLAGS: u8 = fixed32(6);
}

mod status_tag {
    use crate::encode::wire::{delimited, varint};

    pub(super) const MESSAGE: u8 = delimited(2);
    pub(super) const CODE: u8 = varint(3);
}

const STATUS_CODE_OK: u8 = 1;
const STATUS_CODE_ERROR: u8 = 2;

/// It is known whether the parent, or the linked span, is remote.
const FLAG_HAS_IS_REMOTE: u32 = 0x100;
/// It is.
const FLAG_IS_REMOTE: u32 = 0x200;

/// Appends the fields of `span` up to the flags, without the tag and the length that the span itself has in its scope.
#[inline(never)]
pub(super) fn write_span<'a>(cursor: Cursor<'a>, span: &SpanView<'_>, limit: usize) -> Written<'a> {
    let mut cursor = write_context(cursor, span.context)?;
    if span.parent_span_id != SpanId::INVALID {
        cursor = cursor
            .array([tag::PARENT_SPAN_ID, 8])?
            .array(span.parent_span_id.to_bytes())?;
    }
    cursor = cursor
        .string(tag::NAME, span.name)?
        .array([tag::KIND, kind_number(span.kind)])?
        .fixed64(tag::START_TIME, unix_nanos(span.start_time))?
        .fixed64(tag::END_TIME, unix_nanos(span.end_time))?;
    cursor = write_attributes(cursor, tag::ATTRIBUTES, span.attributes, limit)?
        .number(tag::DROPPED_ATTRIBUTES_COUNT, span.dropped_attributes_count)?;
    for event in span.events {
        cursor = write_event(cursor, event, limit)?;
    }
    cursor = cursor.number(tag::DROPPED_EVENTS_COUNT, span.dropped_events_count)?;
    for link in span.links {
        cursor = write_link(cursor, link, limit)?;
    }
    cursor = cursor.number(tag::DROPPED_LINKS_COUNT, span.dropped_links_count)?;
    write_status(cursor, span.status)
}

/// Appends the flags. They are always the last field, where they can be found again without a walk.
#[inline(always)]
pub(super) fn write_flags<'a>(cursor: Cursor<'a>, span: &SpanView<'_>) -> Written<'a> {
    cursor
        .array(tag::FLAGS)?
        .array(flags(span.context.trace_flags(), span.parent_span_is_remote).to_le_bytes())
}

fn write_event<'a>(cursor: Cursor<'a>, event: &Event, limit: usize) -> Written<'a> {
    let time = unix_nanos(event.timestamp);
    let len = if time == 0 { 0 } else { 9 }
        + string_len(&event.name)
        + attributes_len(&event.attributes, limit)
        + number_len(event.dropped_attributes_count);
    let cursor = cursor
        .header(tag::EVENTS, len)?
        .fixed64(event_tag::TIME, time)?
        .string(event_tag::NAME, &event.name)?;
    write_attributes(cursor, event_tag::ATTRIBUTES, &event.attributes, limit)?
        .number(event_tag::DROPPED_ATTRIBUTES_COUNT, event.dropped_attributes_count)
}

fn write_link<'a>(cursor: Cursor<'a>, link: &Link, limit: usize) -> Written<'a> {
    let context = &link.span_context;
    let len =
        context_len(context) + attributes_len(&link.attributes, limit) + number_len(link.dropped_attributes_count) + 5;
    let cursor = write_context(cursor.header(tag::LINKS, len)?, context)?;
    write_attributes(cursor, link_tag::ATTRIBUTES, &link.attributes, limit)?
        .number(link_tag::DROPPED_ATTRIBUTES_COUNT, link.dropped_attributes_count)?
        .array([link_tag::FLAGS])?
        .array(flags(context.trace_flags(), context.is_remote()).to_le_bytes())
}

/// Trace id, span id and trace state.
#[inline(always)]
fn write_context<'a>(cursor: Cursor<'a>, context: &SpanContext) -> Written<'a> {
    let cursor = cursor
        .array([tag::TRACE_ID, 16])?
        .array(context.trace_id().to_bytes())?
        .array([tag::SPAN_ID, 8])?
        .array(context.span_id().to_bytes())?;
    match context.trace_state().into_iter().len() {
        0 => Ok(cursor),
        _ => write_trace_state(cursor, context.trace_state()),
    }
}

fn context_len(context: &SpanContext) -> usize {
    let ids = 2 + 16 + 2 + 8;
    match trace_state_len(context.trace_state()) {
        0 => ids,
        len => ids + delimited_len(len),
    }
}

/// The form of the header: `key=value,key=value`.
#[inline(never)]
fn write_trace_state<'a>(cursor: Cursor<'a>, trace_state: &TraceState) -> Written<'a> {
    let mut cursor = cursor.header(tag::TRACE_STATE, trace_state_len(trace_state))?;
    for (index, (key, value)) in trace_state.into_iter().enumerate() {
        if index > 0 {
            cursor = cursor.array([b','])?;
        }
        cursor = cursor.bytes(key.as_bytes())?.array([b'='])?.bytes(value.as_bytes())?;
    }
    Ok(cursor)
}

fn trace_state_len(trace_state: &TraceState) -> usize {
    let commas = trace_state.into_iter().len().saturating_sub(1);
    let members = trace_state.into_iter().map(|(key, value)| key.len() + 1 + value.len());
    members.sum::<usize>() + commas
}

/// A status that was never set is written as well, as a message without fields: the SDK's own transform does the same.
#[inline(always)]
fn write_status<'a>(cursor: Cursor<'a>, status: &Status) -> Written<'a> {
    match status {
        Status::Unset => cursor.array([tag::STATUS, 0]),
        Status::Ok => cursor.array([tag::STATUS, 2, status_tag::CODE, STATUS_CODE_OK]),
        Status::Error { description } => cursor
            .header(tag::STATUS, string_len(description) + 2)?
            .string(status_tag::MESSAGE, description)?
            .array([status_tag::CODE, STATUS_CODE_ERROR]),
    }
}

#[inline(always)]
fn flags(trace_flags: TraceFlags, is_remote: bool) -> u32 {
    let remote = if is_remote { FLAG_IS_REMOTE } else { 0 };
    u32::from(trace_flags.to_u8()) | FLAG_HAS_IS_REMOTE | remote
}

#[inline(always)]
fn kind_number(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// Nanoseconds since the epoch, and zero, which the protocol reads as unknown, for a time before it.
#[inline(always)]
fn unix_nanos(time: SystemTime) -> u64 {
    let Ok(since) = time.duration_since(UNIX_EPOCH) else {
        return 0;
    };
    // The field ends in the year 2554; what is later wraps around, as in the SDK's own transform.
    since
        .as_secs()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(u64::from(since.subsec_nanos()))
}
