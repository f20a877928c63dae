//! One question to the server, and its answer.
//!
//! Each poll has a connection of its own. At a few a minute there is nothing to keep, a connection that broke unseen cannot be in the
//! way, and a name that moves to another address is followed.

pub(super) mod http;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpStream;

use super::address::Address;
use super::error::{RemoteError, RemoteErrorKind};

/// The longest answer that is read: thousands of operations, and no more than a service can spare.
const MAX_ANSWER_BYTES: usize = 1 << 20;

pub(super) const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("spanwright-sampling/", env!("CARGO_PKG_VERSION")));

/// Connects, and asks by `ask`: all of it, from the name's look-up to the last byte, within `timeout`.
pub(super) async fn within<T>(
    timeout: Duration,
    address: &Address,
    ask: impl AsyncFnOnce(TcpStream) -> Result<T, RemoteError>,
) -> Result<T, RemoteError> {
    let asked = async {
        let Address { host, port, .. } = address;
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(|error| cut_off(&format_args!("no connection to {host}:{port}: {error}")))?;
        ask(stream).await
    };
    match tokio::time::timeout(timeout, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(RemoteError::new(
            RemoteErrorKind::TimedOut,
            format!("no answer from {} within {timeout:?}", address.authority),
        )),
    }
}

/// Awaits an answer while the connection that brings it is at work. If that ends before the answer is there, that is the error.
pub(super) async fn driven<T>(
    answer: impl Future<Output = Result<T, RemoteError>>,
    connection: impl Future,
) -> Result<T, RemoteError> {
    let (mut answer, mut connection) = (pin!(answer), pin!(connection));
    let mut is_open = true;
    poll_fn(|cx| {
        is_open = is_open && connection.as_mut().poll(cx).is_pending();
        match answer.as_mut().poll(cx) {
            // Not every end of an HTTP/2 connection reaches who waits for its streams.
            Poll::Pending if !is_open => Poll::Ready(Err(cut_off(&"the connection ended before the answer"))),
            answered => answered,
        }
    })
    .await
}

/// The body, and what came behind it.
pub(super) async fn read(mut response: Response<Incoming>) -> Result<(BytesMut, HeaderMap), RemoteError> {
    let (mut body, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = response.frame().await {
        match frame.map_err(|error| cut_off(&error))?.into_data() {
            Ok(data) if body.len() + data.len() > MAX_ANSWER_BYTES => {
                return Err(refused(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok((body, trailers))
}

/// Checks that it is an answer at all.
pub(super) fn check_head(response: &Response<Incoming>, content_type: &str) -> Result<(), RemoteError> {
    if response.status() != StatusCode::OK {
        return Err(refused(format!("the server answers {}", response.status())));
    }
    let given = response.headers().get(header::CONTENT_TYPE);
    let given = given.map(|given| String::from_utf8_lossy(given.as_bytes()));
    // Without one it is what was asked for; it will show.
    match given.as_deref() {
        Some(given) if !given.to_ascii_lowercase().starts_with(content_type) => {
            let given: String = given.chars().take(64).collect();
            Err(refused(format!(
                "the server answers in `{given}` and not in `{content_type}`"
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn cut_off(error: &dyn std::fmt::Display) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Unreachable, error.to_string())
}

pub(super) fn refused(message: String) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Refused, message)
}
