//! The HTTP side.
//!
//! # Source
//!
//! [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp).

use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::body::{Frames, Read, ReplyBody};
use super::connection::Connection;
use super::decode::{Refusal, decode};
use super::exchange::{Arrived, Outcome, Wording, broken, flight, header_text, set_header};
use super::record::{Answer, Protocol};
use super::reply::{Kind, Reply};
use super::settings::{Dialect, Settings};
use super::state::Shared;
use super::status;

const STATS_PATH: &str = "/stats";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// `traces_path` is where exports are taken.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    traces_path: &str,
    connection: &Connection,
    request: Request<Incoming>,
) -> Outcome {
    match (request.method(), request.uri().path()) {
        (&Method::POST, path) if path == traces_path => export(shared, connection, request).await,
        (_, path) if path == traces_path => Ok(text(StatusCode::METHOD_NOT_ALLOWED, "POST only")),
        (&Method::GET, STATS_PATH) => {
            let mut stats = text(StatusCode::OK, shared.counts.get().to_json());
            stats.headers_mut().insert(CONTENT_TYPE, JSON);
            Ok(stats)
        }
        _ => Ok(text(StatusCode::NOT_FOUND, "404 page not found")),
    }
}

async fn export(shared: &Arc<Shared>, connection: &Connection, request: Request<Incoming>) -> Outcome {
    let (flight, settings) = flight(shared);
    let (parts, body) = request.into_parts();
    let (compressed_len, body) = match Frames::read(body, settings.max_request_bytes).await {
        Read::Whole(frames) => (frames.remaining(), Ok(frames)),
        Read::TooLong(len) => (len, Err(Refusal::TooLarge(len))),
        Read::Broken => return broken(),
    };
    if !header_text(&parts.headers, CONTENT_TYPE).starts_with("application/x-protobuf") {
        return Ok(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/x-protobuf only"));
    }
    let encoding = match header_text(&parts.headers, CONTENT_ENCODING) {
        "" => "identity",
        named => named,
    }
    .to_owned();
    let decoded = body.and_then(|body| decode(body, &encoding, &settings));
    let arrived = Arrived {
        connection,
        path: parts.uri.path(),
        headers: parts.headers,
        encoding,
        compressed_len,
        decoded,
    };
    arrived.answer::<Http>(flight, &settings).await
}

struct Http;

impl Wording for Http {
    const PROTOCOL: Protocol = Protocol::Http;

    fn accepted(message: Vec<u8>) -> Response<ReplyBody> {
        response(StatusCode::OK, PROTOBUF, message)
    }

    fn failed(reply: &Reply) -> (Response<ReplyBody>, Answer) {
        let mut response = match (&reply.kind, &reply.body) {
            (Kind::Grpc { code, .. }, Some(body)) => response(status::http_from_grpc(*code), TEXT, body.clone()),
            (Kind::Grpc { code, message }, None) => {
                let retry = reply.retry_after.as_ref().and_then(|after| after.delay());
                let body = status::rpc_status(*code, message, retry);
                response(status::http_from_grpc(*code), PROTOBUF, body)
            }
            (Kind::Http { status } | Kind::Proxy { status }, body) => text(*status, body.clone().unwrap_or_default()),
            // The other kinds do not fail by a status.
            _ => text(StatusCode::INTERNAL_SERVER_ERROR, ""),
        };
        if let Some(retry_after) = &reply.retry_after {
            set_header(response.headers_mut(), RETRY_AFTER, &retry_after.header());
        }
        let answer = Answer::Http(response.status().as_u16());
        (response, answer)
    }

    fn refused(refusal: &Refusal, settings: &Settings) -> (Response<ReplyBody>, Answer) {
        let mut response = match (refusal, settings.dialect) {
            (Refusal::Encoding, Dialect::Collector) => {
                text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content-encoding")
            }
            (Refusal::Encoding, Dialect::Rotel) => text(StatusCode::BAD_REQUEST, ""),
            (Refusal::Malformed(error), _) => {
                let body = status::rpc_status(status::INVALID_ARGUMENT, error, None);
                response(StatusCode::BAD_REQUEST, PROTOBUF, body)
            }
            (Refusal::TooLarge(_), _) => text(StatusCode::PAYLOAD_TOO_LARGE, "request body too large"),
        };
        if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            set_header(response.headers_mut(), ACCEPT_ENCODING, &settings.encoding_list());
        }
        let answer = Answer::Http(response.status().as_u16());
        (response, answer)
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<ReplyBody> {
    response(status, TEXT, body)
}

fn response(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::data(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
