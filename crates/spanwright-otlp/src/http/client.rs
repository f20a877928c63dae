//! One POST, and what came back.
//!
//! # Source
//!
//! [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp).

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use spanwright_core::{Clock, ExportError, Receipt};
use tokio::time::Instant;

use crate::answer;
use crate::body::Frames;
use crate::builder::WireSettings;
use crate::classify::{http as statuses, local};
use crate::config::Secrets;
use crate::defaults::POOL_IDLE_TIMEOUT;
use crate::delivery::{Failure, Message, Wire};
use crate::suppressed::SuppressedExecutor;
use crate::transport::{Connector, Home};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// How much of the body of an error is read, to make a message from.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// How much of a text that a receiver sends with an error is kept.
const EXCERPT_CHARS: usize = 256;

pub(super) struct HttpClient {
    uri: Uri,
    headers: HeaderMap,
    connector: Connector,
    secrets: Secrets,
    max_response_bytes: usize,
    clock: Arc<dyn Clock>,
    client: Home<Client<Connector, Frames>>,
}

impl HttpClient {
    pub(super) fn new(settings: WireSettings) -> Self {
        let mut headers = settings.headers;
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.insert(USER_AGENT, settings.user_agent);
        Self {
            uri: settings.uri,
            headers,
            connector: settings.connector,
            secrets: settings.secrets,
            max_response_bytes: settings.max_response_bytes,
            clock: settings.clock,
            client: Home::new(),
        }
    }

    fn connect(&self) -> Client<Connector, Frames> {
        Client::builder(SuppressedExecutor)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build(self.connector.clone())
    }

    async fn read(&self, message: &Message, response: Response<Incoming>) -> Result<Receipt, Failure> {
        let (head, body) = response.into_parts();
        let is_protobuf = head.headers.get(CONTENT_TYPE).is_some_and(|value| *value == PROTOBUF);
        if head.status.is_success() {
            let body = match read_up_to(body, self.max_response_bytes).await? {
                (body, true) => body,
                (_, false) => return Err(local::response_too_large(self.max_response_bytes).into()),
            };
            return Ok(receipt(is_protobuf, &body));
        }
        // The status has said what is to be done. A body that does not come takes nothing from that, but it is not an empty one.
        let body = read_up_to(body, MAX_ERROR_BYTES).await.ok().map(|(body, _)| body);
        let is_empty = body.as_ref().is_some_and(Bytes::is_empty);
        let encoding = statuses::encoding_verdict(message.encoding(), head.status, is_empty);
        let text = self.describe(is_protobuf, &body.unwrap_or_default());
        let retry_after = head.headers.get(RETRY_AFTER);
        match statuses::status(head.status, retry_after, self.clock.system_time(), text) {
            Ok(()) => Ok(Receipt::accepted()),
            Err(error) => Err(Failure { error, encoding }),
        }
    }

    /// What the receiver said: the message of its `google.rpc.Status`, or the beginning of its text.
    fn describe(&self, is_protobuf: bool, body: &[u8]) -> String {
        let text = if is_protobuf {
            answer::rpc_status(body).unwrap_or_default().message
        } else {
            String::from_utf8_lossy(body).into_owned()
        };
        // First the secrets, then the cut: one that is cut through would not be found.
        excerpt(&self.secrets.redact(text))
    }
}

impl Wire for HttpClient {
    async fn send(&self, message: Message, _: Instant) -> Result<Receipt, Failure> {
        let client = self.client.client(|| self.connect())?;
        let mut request = Request::new(Frames::plain(message.segments()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        if message.is_compressed() {
            let encoding = HeaderValue::from_static(message.encoding().as_str());
            request.headers_mut().insert(CONTENT_ENCODING, encoding);
        }
        let response = client.request(request).await.map_err(local::transport)?;
        self.read(&message, response).await
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// The status says that it was taken. What cannot be read beside that is a remark; what is not protobuf is not for us.
fn receipt(is_protobuf: bool, body: &[u8]) -> Receipt {
    if !is_protobuf {
        return Receipt::accepted();
    }
    answer::export_response(body).unwrap_or_else(|_| Receipt::partial(0, "the answer could not be read"))
}

/// The body up to `limit` bytes, and whether that was all of it.
async fn read_up_to(mut body: Incoming, limit: usize) -> Result<(Bytes, bool), ExportError> {
    let mut data = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(local::transport)?.into_data() else {
            continue;
        };
        if data.len() + bytes.len() > limit {
            data.extend_from_slice(&bytes[..limit - data.len()]);
            return Ok((data.freeze(), false));
        }
        data.extend_from_slice(&bytes);
    }
    Ok((data.freeze(), true))
}

/// The beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut excerpt: String = line
        .chars()
        .filter(|char| !char.is_control())
        .take(EXCERPT_CHARS)
        .collect();
    if line.chars().count() > EXCERPT_CHARS {
        excerpt.push_str("...");
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Dial;

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("<html>\r\n  <b>no\u{7}pe</b>\n"), "<html> <b>nope</b>");
        let long = excerpt(&"\u{e9}".repeat(1_000));
        assert_eq!(long.chars().count(), EXCERPT_CHARS + 3);
        assert!(long.ends_with("..."));
    }

    #[test]
    fn what_was_taken_is_a_success_whatever_is_said_with_it() {
        assert_eq!(receipt(true, b"\x0a\x02\x08\x05"), Receipt::partial(5, ""));
        assert_eq!(
            receipt(true, b"\xff"),
            Receipt::partial(0, "the answer could not be read")
        );
        assert_eq!(receipt(false, b"ok"), Receipt::accepted());
    }

    #[tokio::test]
    async fn each_connection_resolves_the_name_anew() {
        let wire = |names| {
            let (uri, tcp) = (
                Uri::from_static("http://collector.test/v1/traces"),
                Dial::new(names, None),
            );
            HttpClient::new(WireSettings {
                connector: Connector::new(uri.clone(), tcp, &crate::OtlpConfig::default(), b"http/1.1").unwrap(),
                uri,
                headers: HeaderMap::new(),
                user_agent: HeaderValue::from_static("test"),
                secrets: Secrets::default(),
                max_response_bytes: 1 << 20,
                clock: Arc::new(spanwright_core::SystemClock),
            })
        };
        crate::transport::moving::follows(wire, |it| it.http_address()).await;
    }
}
