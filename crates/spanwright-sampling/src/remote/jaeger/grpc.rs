//! Over gRPC: one unary call.
//!
//! # Source
//!
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

use std::future::{Future, poll_fn};
use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::endpoint::Endpoint;
use crate::remote::client::{USER_AGENT, check_head, cut_off, driven, read, refused};
use crate::remote::error::RemoteError;

const CONTENT_TYPE: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The flag and the length before a message.
const PREFIX_LEN: usize = 5;

/// How much of a server's message is told.
const EXCERPT_CHARS: usize = 200;

pub(super) async fn ask(stream: TcpStream, endpoint: &Endpoint, service_name: &str) -> Result<Bytes, RemoteError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!(
            "http://{}{}",
            endpoint.address.authority, endpoint.path_and_query
        ))
        .header(header::CONTENT_TYPE, CONTENT_TYPE)
        .header(header::TE, HeaderValue::from_static("trailers"))
        .header(header::USER_AGENT, USER_AGENT)
        .body(Full::new(question(service_name)))
        .map_err(|error| refused(error.to_string()))?;
    let tasks = Tasks::default();
    let _ended = Ended(&tasks);
    let handshake = http2::handshake(tasks.clone(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| cut_off(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| cut_off(&error))?;
        check_head(&response, CONTENT_TYPE)?;
        // An answer that is an error from the start has its status among the headers.
        check_status(response.headers())?;
        let (body, trailers) = read(response).await?;
        if !trailers.contains_key(GRPC_STATUS) {
            return Err(cut_off(&"the answer ended without a status"));
        }
        check_status(&trailers)?;
        message(body.freeze())
    };
    let connection = async {
        let _ = connection.await;
        tasks.ended().await;
    };
    driven(exchange, connection).await
}

/// What drives the connection. It would go on as long as the server likes, and so ends with the question.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// Waits until none is left.
    async fn ended(&self) {
        while poll_fn(|cx| self.0.lock().poll_join_next(cx)).await.is_some() {}
    }
}

/// By name, because the tasks hold each other.
struct Ended<'a>(&'a Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().spawn(task);
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.0.lock().abort_all();
    }
}

/// A `SamplingStrategyParameters`, as a message of a stream: uncompressed, its length, and its one field.
fn question(service_name: &str) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(1 << 3 | 2);
    let mut len = service_name.len();
    while len >= 0x80 {
        message.put_u8(len as u8 | 0x80);
        len >>= 7;
    }
    message.put_u8(len as u8);
    message.put_slice(service_name.as_bytes());

    let mut framed = BytesMut::with_capacity(PREFIX_LEN + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put(message);
    framed.freeze()
}

/// The one message of the answer.
fn message(body: Bytes) -> Result<Bytes, RemoteError> {
    let malformed = || refused("the server's answer is not one uncompressed message".to_owned());
    let (prefix, message) = body.split_at_checked(PREFIX_LEN).ok_or_else(malformed)?;
    let [flag, length @ ..] = prefix else {
        return Err(malformed());
    };
    let is_whole = length
        .try_into()
        .is_ok_and(|length| u32::from_be_bytes(length) as usize == message.len());
    // We offered no compression.
    if *flag != 0 || !is_whole {
        return Err(malformed());
    }
    Ok(body.slice(PREFIX_LEN..))
}

fn check_status(headers: &HeaderMap) -> Result<(), RemoteError> {
    let Some(status) = headers.get(GRPC_STATUS) else {
        return Ok(());
    };
    if status == "0" {
        return Ok(());
    }
    let status = String::from_utf8_lossy(status.as_bytes());
    let text = headers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
    let text: String = String::from_utf8_lossy(text).chars().take(EXCERPT_CHARS).collect();
    Err(refused(format!("the server answers with status {status}: {text}")))
}
