//! What both protocols do with an export request.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use spanwright_core::{Clock, SystemClock};

use super::body::ReplyBody;
use super::connection::Connection;
use super::decode::{Decoded, Refusal};
use super::record::{Answer, Protocol, ReceivedRequest};
use super::reply::{Kind, Reply};
use super::settings::Settings;
use super::state::{Flight, Shared};

/// An answer, or the HTTP/2 error that the stream is reset with.
pub(super) type Outcome = Result<Response<ReplyBody>, h2::Error>;

/// How a protocol words an answer.
pub(super) trait Wording {
    const PROTOCOL: Protocol;

    fn accepted(message: Vec<u8>) -> Response<ReplyBody>;

    /// A reply that neither accepts nor breaks the exchange, and what it counts as.
    fn failed(reply: &Reply) -> (Response<ReplyBody>, Answer);

    fn refused(refusal: &Refusal, settings: &Settings) -> (Response<ReplyBody>, Answer);
}

/// A request whose body was read.
pub(super) struct Arrived<'a> {
    pub(super) connection: &'a Connection,
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) encoding: String,
    pub(super) compressed_len: usize,
    pub(super) decoded: Result<Decoded, Refusal>,
}

impl Arrived<'_> {
    /// Counts the request, and plays the reply that is due.
    pub(super) async fn answer<W: Wording>(self, mut flight: Flight, settings: &Settings) -> Outcome {
        let connection = self.connection;
        let (request, refusal) = self.into_request(W::PROTOCOL);
        if let Some(refusal) = refusal {
            let (response, answer) = W::refused(&refusal, settings);
            flight.refused(request, answer);
            return Ok(response);
        }
        let reply = flight.arrived(request);
        reply.due(settings.latency).await;
        let (outcome, answer) = play::<W>(&reply);
        flight.answered(answer);
        if answer == Answer::Aborted {
            connection.abort();
        }
        outcome
    }

    fn into_request(self, protocol: Protocol) -> (ReceivedRequest, Option<Refusal>) {
        let (mut decoded, refusal) = match self.decoded {
            Ok(decoded) => (Some(decoded), None),
            Err(refusal) => (None, Some(refusal)),
        };
        let request = ReceivedRequest {
            protocol,
            peer: self.connection.peer(),
            arrived: SystemClock.now(),
            path: self.path.into(),
            headers: self.headers,
            encoding: self.encoding,
            compressed_len: self.compressed_len,
            decoded_len: decoded.as_ref().map_or(0, |decoded| decoded.len),
            span_count: decoded.as_ref().map_or(0, |decoded| decoded.span_count),
            identities: decoded
                .as_mut()
                .map(|decoded| std::mem::take(&mut decoded.identities))
                .unwrap_or_default(),
            message: decoded.and_then(|decoded| decoded.message),
            answer: Answer::Pending,
        };
        (request, refusal)
    }
}

fn play<W: Wording>(reply: &Reply) -> (Outcome, Answer) {
    match &reply.kind {
        Kind::Ok { rejected, message } => {
            let body = match &reply.body {
                Some(body) => body.to_vec(),
                None => success(*rejected, message),
            };
            (Ok(W::accepted(body)), Answer::Accepted { rejected: *rejected })
        }
        Kind::Grpc { .. } | Kind::Http { .. } | Kind::Proxy { .. } => {
            let (response, answer) = W::failed(reply);
            (Ok(response), answer)
        }
        Kind::Reset { reason } => (Err(h2::Reason::from(*reason).into()), Answer::Reset),
        // The connection is gone before the error could be written. (A reply that hangs never comes here.)
        Kind::Abort | Kind::Hang => (Err(h2::Reason::CANCEL.into()), Answer::Aborted),
    }
}

fn success(rejected: u64, message: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: message.into(),
    };
    let partial_success = (rejected > 0 || !message.is_empty()).then_some(partial);
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

/// The body broke off, so nobody waits for an answer.
pub(super) fn broken() -> Outcome {
    Err(h2::Reason::CANCEL.into())
}

/// A header of a request as text; empty where there is none.
pub(super) fn header_text(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Sets a header, unless the value cannot be one (a control character in a text of the test).
pub(super) fn set_header(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

pub(super) fn flight(shared: &Arc<Shared>) -> (Flight, Settings) {
    (Flight::start(shared), shared.settings())
}
