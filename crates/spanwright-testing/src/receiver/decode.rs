//! From the bytes of a body to spans, or to their number alone.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanwright_core::ContentEncoding;

use super::Mode;
use super::settings::Settings;
use super::walk::{SpanIdentity, count_spans, identify_spans};

/// What was in a body.
pub(super) struct Decoded {
    pub(super) len: usize,
    pub(super) span_count: u64,
    /// Of the spans that have a valid one, where they are told apart.
    pub(super) identities: Vec<SpanIdentity>,
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
                identities: Vec::new(),
                message: Some(Arc::new(message)),
            })
        }
        Mode::Count => {
            let span_count = count_spans(body).ok_or_else(not_protobuf)?;
            Ok(Decoded {
                len,
                span_count,
                identities: Vec::new(),
                message: None,
            })
        }
        Mode::Distinct => {
            let (span_count, identities) = identify_spans(body).ok_or_else(not_protobuf)?;
            Ok(Decoded {
                len,
                span_count,
                identities,
                message: None,
            })
        }
    }
}

fn not_protobuf() -> Refusal {
    Refusal::Malformed("not protobuf".into())
}
