//! From the bytes of a body to spans, or to their number alone.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanwright_core::ContentEncoding;

use super::Mode;
use super::settings::Settings;

/// What was in a body.
pub(super) struct Decoded {
    pub(super) len: usize,
    pub(super) span_count: u64,
    pub(super) message: Option<Arc<ExportTraceServiceRequest>>,
}

/// Why a body was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    Encoding,
    Malformed(String),
    TooLarge(usize),
}

/// Decompresses and reads `body`, as far as `settings` ask for it.
pub(super) fn decode(body: impl Buf, encoding: &str, settings: &Settings) -> Result<Decoded, Refusal> {
    let encoding = settings.accepted(encoding).ok_or(Refusal::Encoding)?;
    let max = settings.max_request_bytes;
    let inflated = match encoding {
        ContentEncoding::Gzip => inflate(flate2::read::GzDecoder::new(body.reader()), max),
        ContentEncoding::Zstd => {
            zstd::stream::read::Decoder::new(body.reader()).and_then(|reader| inflate(reader, max))
        }
        _ => return decode_plain(body, settings),
    };
    let inflated = inflated.map_err(|error| Refusal::Malformed(format!("not {encoding}: {error}")))?;
    decode_plain(Bytes::from(inflated), settings)
}

/// Reads to the end, or to one byte over the limit, whichever is first.
fn inflate(reader: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut inflated = Vec::new();
    reader.take(max as u64 + 1).read_to_end(&mut inflated)?;
    Ok(inflated)
}

fn decode_plain(body: impl Buf, settings: &Settings) -> Result<Decoded, Refusal> {
    let len = body.remaining();
    if len > settings.max_request_bytes {
        return Err(Refusal::TooLarge(len));
    }
    match settings.mode {
        Mode::Keep => {
            let message =
                ExportTraceServiceRequest::decode(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
            let scopes = message.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            Ok(Decoded {
                len,
                span_count: scopes.map(|scope| scope.spans.len() as u64).sum(),
                message: Some(Arc::new(message)),
            })
        }
        Mode::Count => {
            let span_count = count_spans(body).ok_or_else(|| Refusal::Malformed("not protobuf".into()))?;
            Ok(Decoded {
                len,
                span_count,
                message: None,
            })
        }
    }
}

/// Counts the spans of an `ExportTraceServiceRequest` without looking into them; `None` if it is not one.
fn count_spans(mut body: impl Buf) -> Option<u64> {
    // resource_spans = 1, scope_spans = 2, spans = 2.
    count_fields(&mut body, 0, &[1, 2, 2])
}

/// Counts the messages at `path` in what lies before the last `end` bytes of `buf`.
fn count_fields(buf: &mut impl Buf, end: usize, path: &[u64]) -> Option<u64> {
    let (&wanted, deeper) = path.split_first()?;
    let mut count = 0;
    while buf.remaining() > end {
        let key = varint(buf)?;
        let len = match key & 7 {
            0 => {
                varint(buf)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(buf)?).ok()?,
            5 => 4,
            // Groups are not used by any message of OTLP.
            _ => return None,
        };
        let field_end = buf.remaining().checked_sub(len).filter(|field_end| *field_end >= end)?;
        if key == wanted << 3 | 2 && !deeper.is_empty() {
            count += count_fields(buf, field_end, deeper)?;
        } else {
            count += u64::from(key == wanted << 3 | 2);
            buf.advance(len);
        }
    }
    (buf.remaining() == end).then_some(count)
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
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn request() -> Vec<u8> {
        let span = |name: &str| Span {
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
        let message = ExportTraceServiceRequest {
            resource_spans: vec![
                resource(vec![scope(vec![span("a"), span(&"b".repeat(300))]), scope(vec![])]),
                resource(vec![scope(vec![span("c")])]),
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
        }
    }
}
