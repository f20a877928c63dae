//! Spans of an encoded request, without decoding it.

use bytes::Buf;

/// What tells a span from all others: the 16 bytes of its trace id and the 8 of its own.
pub(super) type SpanIdentity = [u8; TRACE_ID_LEN + SPAN_ID_LEN];

const TRACE_ID_LEN: usize = 16;
const SPAN_ID_LEN: usize = 8;

/// resource_spans = 1, scope_spans = 2, spans = 2.
const SPANS: &[u64] = &[1, 2, 2];
const TRACE_ID: u64 = 1;
const SPAN_ID: u64 = 2;

/// Counts the spans of an `ExportTraceServiceRequest`; `None` if it is not one.
pub(super) fn count_spans(mut body: impl Buf) -> Option<u64> {
    let mut count = 0;
    walk(&mut body, 0, SPANS, &mut |buf, field| {
        count += 1;
        field.skip(buf);
        Some(())
    })?;
    Some(count)
}

/// As [`count_spans`], and the identity of each span that has a valid one.
pub(super) fn identify_spans(mut body: impl Buf) -> Option<(u64, Vec<SpanIdentity>)> {
    let (mut count, mut identities) = (0, Vec::new());
    walk(&mut body, 0, SPANS, &mut |buf, span| {
        count += 1;
        identities.extend(identify(buf, span.end)?);
        Some(())
    })?;
    Some((count, identities))
}

/// The identity of the span that lies before the last `end` bytes of `buf`: inside `None` if it has none that is valid.
fn identify(buf: &mut impl Buf, end: usize) -> Option<Option<SpanIdentity>> {
    let mut identity = SpanIdentity::default();
    let (trace_id, span_id) = identity.split_at_mut(TRACE_ID_LEN);
    let (mut has_trace_id, mut has_span_id) = (false, false);
    while buf.remaining() > end {
        let field = Field::read(buf, end)?;
        let len = buf.remaining() - field.end;
        if field.key == message_key(TRACE_ID) && len == trace_id.len() {
            buf.copy_to_slice(trace_id);
            has_trace_id = true;
        } else if field.key == message_key(SPAN_ID) && len == span_id.len() {
            buf.copy_to_slice(span_id);
            has_span_id = true;
        } else {
            field.skip(buf);
        }
    }
    (buf.remaining() == end).then_some((has_trace_id && has_span_id).then_some(identity))
}

/// Shows `found` the fields at `path` in what lies before the last `end` bytes of `buf`. It leaves each behind.
fn walk<B: Buf, F>(buf: &mut B, end: usize, path: &[u64], found: &mut F) -> Option<()>
where
    F: FnMut(&mut B, &Field) -> Option<()>,
{
    let (&wanted, deeper) = path.split_first()?;
    while buf.remaining() > end {
        let field = Field::read(buf, end)?;
        if field.key != message_key(wanted) {
            field.skip(buf);
        } else if deeper.is_empty() {
            found(buf, &field)?;
        } else {
            walk(buf, field.end, deeper, found)?;
        }
    }
    (buf.remaining() == end).then_some(())
}

/// A field whose value is next in the buffer.
struct Field {
    key: u64,
    /// How much of the buffer is behind it.
    end: usize,
}

impl Field {
    /// Of a message that lies before the last `message_end` bytes. An integer is already left behind.
    fn read(buf: &mut impl Buf, message_end: usize) -> Option<Self> {
        let key = varint(buf)?;
        let len = match key & 7 {
            0 => {
                varint(buf)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(buf)?).ok()?,
            5 => 4,
            // Groups are not used by any message of OTLP.
            _ => return None,
        };
        let end = buf.remaining().checked_sub(len).filter(|end| *end >= message_end)?;
        Some(Self { key, end })
    }

    fn skip(&self, buf: &mut impl Buf) {
        buf.advance(buf.remaining() - self.end);
    }
}

/// The key of a field that is a message, a string or bytes.
fn message_key(number: u64) -> u64 {
    number << 3 | 2
}

fn varint(buf: &mut impl Buf) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = buf.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    use super::*;

    fn request() -> Vec<u8> {
        let span = |name: &str, id: u8| Span {
            trace_id: vec![id; 16],
            span_id: vec![id + 1; if id > 0 { 8 } else { 0 }],
            name: name.into(),
            start_time_unix_nano: 7,
            ..Span::default()
        };
        let scope = |spans: Vec<Span>| ScopeSpans {
            spans,
            schema_url: "https://example.com".into(),
            ..ScopeSpans::default()
        };
        let resource = |scope_spans| ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        };
        let first = vec![span("a", 1), span(&"b".repeat(300), 7)];
        let message = ExportTraceServiceRequest {
            resource_spans: vec![
                resource(vec![scope(first), scope(vec![])]),
                resource(vec![scope(vec![span("without an id", 0)])]),
            ],
        };
        message.encode_to_vec()
    }

    #[test]
    fn spans_are_counted_without_being_decoded() {
        assert_eq!(count_spans(&request()[..]), Some(3));
        assert_eq!(count_spans(&[][..]), Some(0));
    }

    #[test]
    fn spans_are_identified_by_trace_and_span_id() {
        let identity = |id: u8| {
            let mut identity = [id; 24];
            identity[16..].fill(id + 1);
            identity
        };
        let expected = (3, vec![identity(1), identity(7)]);
        assert_eq!(
            identify_spans(&request()[..]),
            Some(expected),
            "one has no valid identity"
        );
    }

    #[test]
    fn a_field_that_reaches_over_the_end_of_its_message_is_refused() {
        // A message of one byte, the key of an integer; the integer itself lies behind its end.
        let torn = [0x0a, 1, 0x08, 5];
        assert!(ExportTraceServiceRequest::decode(&torn[..]).is_err());
        assert_eq!(count_spans(&torn[..]), None);
    }

    #[test]
    fn a_message_that_breaks_off_is_never_counted_as_whole() {
        let whole = request();
        for len in 1..whole.len() {
            let decodes = ExportTraceServiceRequest::decode(&whole[..len]).is_ok();
            assert_eq!(count_spans(&whole[..len]).is_some(), decodes, "after {len} bytes");
            if identify_spans(&whole[..len]).is_some() {
                assert!(decodes, "after {len} bytes");
            }
        }
    }
}
