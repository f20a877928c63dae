//! Another trace state for a record that was written earlier.

use spanwright_core::RewriteTraceState;

use super::put_header;
use super::span::tag;
use super::tag::SPANS;
use super::walk::Fields;
use super::wire::{MAX_VARINT_LEN, delimited_len};

/// The tags of both ids, their lengths, and the ids.
const IDS_LEN: usize = 2 + 16 + 2 + 8;

/// The number of the field `Span.trace_state`.
const TRACE_STATE: u32 = 3;

/// The flag of a span that is sampled, in the first byte of the flags.
const SAMPLED: u8 = 0x01;

/// Appends `record` to `out`, sampled and with the trace state that `trace_state` makes of its own; as it is if it is no record of ours.
pub(super) fn amend(record: &[u8], trace_state: &mut dyn RewriteTraceState, out: &mut Vec<u8>) {
    match Parts::of(record) {
        Some(parts) => parts.write(trace_state, out),
        None => out.extend_from_slice(record),
    }
}

/// What a record is made of: `ids` and `middle` stay as they are.
struct Parts<'a> {
    ids: &'a [u8],
    trace_state: &'a str,
    /// From the parent's id to the tag of the flags.
    middle: &'a [u8],
    flags: [u8; 4],
}

impl<'a> Parts<'a> {
    fn of(record: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::new(record);
        let (SPANS_NUMBER, Some(span)) = fields.next()?? else {
            return None;
        };
        if !fields.is_empty() {
            return None;
        }
        let (ids, rest) = span.split_at_checked(IDS_LEN)?;
        if [ids[0], ids[1], ids[18], ids[19]] != [tag::TRACE_ID, 16, tag::SPAN_ID, 8] {
            return None;
        }
        let (trace_state, rest) = match rest.first() {
            Some(&tag::TRACE_STATE) => {
                let mut fields = Fields::new(rest);
                let (TRACE_STATE, Some(trace_state)) = fields.next()?? else {
                    return None;
                };
                (std::str::from_utf8(trace_state).ok()?, fields.into_rest())
            }
            _ => ("", rest),
        };
        let (middle, flags) = rest.split_last_chunk()?;
        middle.ends_with(&tag::FLAGS).then_some(Self {
            ids,
            trace_state,
            middle,
            flags: *flags,
        })
    }

    fn write(self, trace_state: &mut dyn RewriteTraceState, out: &mut Vec<u8>) {
        let Self {
            ids,
            trace_state: old,
            middle,
            mut flags,
        } = self;
        let trace_state = trace_state.rewrite(old, flags[0] & SAMPLED != 0);
        flags[0] |= SAMPLED;
        let field_len = match trace_state.len() {
            0 => 0,
            len => delimited_len(len),
        };
        let len = ids.len() + field_len + middle.len() + flags.len();
        out.reserve(1 + MAX_VARINT_LEN + len);
        put_header(SPANS, len, out);
        out.extend_from_slice(ids);
        if !trace_state.is_empty() {
            put_header(tag::TRACE_STATE, trace_state.len(), out);
            out.extend_from_slice(trace_state.as_bytes());
        }
        out.extend_from_slice(middle);
        out.extend_from_slice(&flags);
    }
}

/// The number of the field `ScopeSpans.spans`.
const SPANS_NUMBER: u32 = (SPANS >> 3) as u32;
