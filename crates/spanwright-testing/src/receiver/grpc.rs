//! The gRPC side.
//!
//! # Source
//!
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md),
//! [health checking](https://github.com/grpc/grpc/blob/master/doc/health-checking.md).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::body::{Frames, Read, ReplyBody};
use super::connection::Connection;
use super::decode::{Refusal, decode};
use super::exchange::{Arrived, Outcome, Wording, broken, flight, header_text, set_header};
use super::record::{Answer, Protocol};
use super::reply::{Kind, Reply};
use super::settings::{Dialect, Health, Settings};
use super::state::Shared;
use super::status;

const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HEALTH_PATH: &str = "/grpc.health.v1.Health/Check";
/// One byte of flags and four of length before each message.
const PREFIX_LEN: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

pub(super) async fn serve(shared: &Arc<Shared>, connection: &Connection, request: Request<Incoming>) -> Outcome {
    if request.method() != Method::POST || !header_text(request.headers(), CONTENT_TYPE).starts_with("application/grpc")
    {
        return Ok(bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    match request.uri().path() {
        EXPORT_PATH => export(shared, connection, request).await,
        HEALTH_PATH => health(shared, request).await,
        path => Ok(trailers_only(status::UNIMPLEMENTED, &format!("unknown method {path}"))),
    }
}

async fn export(shared: &Arc<Shared>, connection: &Connection, request: Request<Incoming>) -> Outcome {
    let (flight, settings) = flight(shared);
    let (parts, body) = request.into_parts();
    let max = settings.max_request_bytes.saturating_add(PREFIX_LEN);
    let named = match header_text(&parts.headers, GRPC_ENCODING) {
        "" => "identity",
        named => named,
    };
    let (compressed_len, unframed) = match Frames::read(body, max).await {
        Read::Whole(frames) => (frames.remaining().saturating_sub(PREFIX_LEN), unframe(frames, named)),
        Read::TooLong(len) => (len - PREFIX_LEN, Err(Refusal::TooLarge(len - PREFIX_LEN))),
        Read::Broken => return broken(),
    };
    let encoding = unframed.as_ref().map_or(named, |(encoding, _)| encoding).to_owned();
    let decoded = unframed.and_then(|(encoding, message)| decode(message, encoding, &settings));
    let arrived = Arrived {
        connection,
        path: parts.uri.path(),
        headers: parts.headers,
        encoding,
        compressed_len,
        decoded,
    };
    arrived.answer::<Grpc>(flight, &settings).await
}

/// Takes the prefix off the one message of a unary call, and tells how that is encoded, where `named` is what the call allows.
fn unframe(mut frames: Frames, named: &str) -> Result<(&str, Frames), Refusal> {
    let (Ok(flags), Ok(len)) = (frames.try_get_u8(), frames.try_get_u32()) else {
        return Err(Refusal::Malformed("the message breaks off".into()));
    };
    if len as usize != frames.remaining() {
        return Err(Refusal::Malformed("not one message".into()));
    }
    match flags {
        0 => Ok(("identity", frames)),
        1 if named != "identity" => Ok((named, frames)),
        _ => Err(Refusal::Malformed("compressed, and not told how".into())),
    }
}

async fn health(shared: &Arc<Shared>, request: Request<Incoming>) -> Outcome {
    let (limit, health) = (super::DEFAULT_MAX_REQUEST_BYTES, shared.settings().health);
    if let Read::Broken = Frames::read(request.into_body(), limit).await {
        return broken();
    }
    shared.counts.change(|counts| counts.health_checks += 1);
    let serving = match health {
        Health::Serving => 1,
        Health::NotServing => 2,
        Health::Unimplemented => {
            return Ok(trailers_only(
                status::UNIMPLEMENTED,
                "unknown service grpc.health.v1.Health",
            ));
        }
    };
    let mut message = Vec::new();
    status::put_integer(&mut message, 1, serving);
    Ok(Grpc::accepted(message))
}

struct Grpc;

impl Wording for Grpc {
    const PROTOCOL: Protocol = Protocol::Grpc;

    fn accepted(message: Vec<u8>) -> Response<ReplyBody> {
        let mut frame = Vec::with_capacity(PREFIX_LEN + message.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        frame.put_slice(&message);
        let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
        response(ReplyBody::data(frame).with_trailers(trailers))
    }

    fn failed(reply: &Reply) -> (Response<ReplyBody>, Answer) {
        let (code, message) = match &reply.kind {
            Kind::Grpc { code, message } => (*code, message.as_str()),
            Kind::Proxy { status } => {
                let mut response = bare(*status);
                if let Some(retry_after) = &reply.retry_after {
                    set_header(response.headers_mut(), RETRY_AFTER, &retry_after.header());
                }
                return (response, Answer::Http(status.as_u16()));
            }
            Kind::Http { status } => (
                status::grpc_from_http(*status),
                status.canonical_reason().unwrap_or_default(),
            ),
            // The other kinds do not fail by a status.
            _ => (status::UNKNOWN, ""),
        };
        let mut response = trailers_only(code, message);
        if let Some(delay) = reply.retry_after.as_ref().and_then(|after| after.delay()) {
            let details = STANDARD_NO_PAD.encode(status::rpc_status(code, message, Some(delay)));
            set_header(response.headers_mut(), GRPC_STATUS_DETAILS, &details);
        }
        (response, Answer::Grpc(code))
    }

    fn refused(refusal: &Refusal, settings: &Settings) -> (Response<ReplyBody>, Answer) {
        let max = settings.max_request_bytes;
        let (code, message) = match (refusal, settings.dialect) {
            (Refusal::Encoding, _) => (
                status::UNIMPLEMENTED,
                "the message is compressed in a way that is not supported".to_owned(),
            ),
            (Refusal::Malformed(error), _) => (status::INVALID_ARGUMENT, error.clone()),
            (Refusal::TooLarge(len), Dialect::Collector) => (
                status::RESOURCE_EXHAUSTED,
                format!("grpc: received message larger than max ({len} vs. {max})"),
            ),
            (Refusal::TooLarge(len), Dialect::Rotel) => (
                status::OUT_OF_RANGE,
                format!("Error, decoded message length too large: found {len} bytes, the limit is: {max} bytes"),
            ),
        };
        let mut response = trailers_only(code, &message);
        if matches!(refusal, Refusal::Encoding) {
            set_header(response.headers_mut(), GRPC_ACCEPT_ENCODING, &settings.encoding_list());
        }
        (response, Answer::Grpc(code))
    }
}

/// A failure has no message, so that its status comes with the headers.
fn trailers_only(code: i32, message: &str) -> Response<ReplyBody> {
    let mut response = response(ReplyBody::empty());
    set_header(response.headers_mut(), GRPC_STATUS, &code.to_string());
    set_header(response.headers_mut(), GRPC_MESSAGE, &status::percent_encoded(message));
    response
}

fn response(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// An answer that is not gRPC.
fn bare(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = status;
    response
}
