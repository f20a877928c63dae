//! What the receiver saw.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::walk::SpanIdentity;

/// One export request that arrived whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// How it came.
    pub protocol: Protocol,
    /// The client's end of the connection: requests with the same one share a connection.
    pub peer: SocketAddr,
    /// When the last byte had arrived.
    pub arrived: Instant,
    /// The path of its URL.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its `grpc-encoding` or `content-encoding` as the client wrote it; `identity` where there was none, or where a gRPC message
    /// was not compressed.
    pub encoding: String,
    /// The bytes of the message on the wire, without gRPC's five bytes of framing.
    pub compressed_len: usize,
    /// The bytes of the message; 0 if it could not be decompressed.
    pub decoded_len: usize,
    /// Its spans; 0 if it could not be decoded.
    pub span_count: u64,
    /// The message, where the receiver keeps it and could decode it.
    pub message: Option<Arc<ExportTraceServiceRequest>>,
    /// What it was answered.
    pub answer: Answer,
    /// Of its spans, where they are told apart; until it is recorded.
    pub(super) identities: Vec<SpanIdentity>,
}

impl ReceivedRequest {
    /// Its spans, of all resources and scopes, in order. Empty where the receiver does not keep messages.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.message
            .iter()
            .flat_map(|message| &message.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
    }

    /// The value of a header, if it was sent and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The two ways to send OTLP that the receiver understands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "OTLP has these two for protobuf; JSON is not understood"
)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1 or HTTP/2.
    Http,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// It was taken, all but `rejected` spans.
    Accepted {
        /// The spans that were refused.
        rejected: u64,
    },
    /// The connection was aborted.
    Aborted,
    /// The client went away, or the connection broke, before the answer.
    Cancelled,
    /// It was refused with this gRPC status.
    Grpc(i32),
    /// It was refused with this HTTP status.
    Http(u16),
    /// It has not been answered yet.
    Pending,
    /// The stream was reset.
    Reset,
}

/// What arrived so far, counted in every [`Mode`](super::Mode).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were made.
    pub connections: u64,
    /// Export requests that arrived whole, whatever they were answered.
    pub requests: u64,
    /// Requests that were answered, in whatever way, or given up by the client.
    pub answered: u64,
    /// Export requests that are arriving or wait for their answer.
    pub in_flight: u64,
    /// The most that ever were in flight at once.
    pub max_in_flight: u64,
    /// Spans in requests that could be decoded. A span that was sent twice counts twice.
    pub spans: u64,
    /// Spans that were taken: in a request that was answered with success, and not rejected there.
    pub accepted_spans: u64,
    /// Spans of those that had been taken before, by their ids. Counted in [`Mode::Distinct`](super::Mode::Distinct) only; spans
    /// without valid ids never.
    pub repeated_spans: u64,
    /// Spans that were rejected in a partial success.
    pub rejected_spans: u64,
    /// Bytes of messages on the wire.
    pub compressed_bytes: u64,
    /// Bytes of messages.
    pub decoded_bytes: u64,
    /// Health checks.
    pub health_checks: u64,
}

impl Counts {
    /// The counts as one JSON object on one line, the names as here.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Taken apart, so that a new field cannot be forgotten here.
        let Self {
            connections,
            requests,
            answered,
            in_flight,
            max_in_flight,
            spans,
            accepted_spans,
            repeated_spans,
            rejected_spans,
            compressed_bytes,
            decoded_bytes,
            health_checks,
        } = self;
        format!(
            "{{\"connections\":{connections},\"requests\":{requests},\"answered\":{answered},\
             \"in_flight\":{in_flight},\"max_in_flight\":{max_in_flight},\"spans\":{spans},\
             \"accepted_spans\":{accepted_spans},\"repeated_spans\":{repeated_spans},\
             \"rejected_spans\":{rejected_spans},\
             \"compressed_bytes\":{compressed_bytes},\"decoded_bytes\":{decoded_bytes},\
             \"health_checks\":{health_checks}}}"
        )
    }
}
