//! Unary gRPC calls over tonic's channel, framed by hand.
//!
//! tonic's own client takes a message apart and puts it together again through a codec. Ours is encoded (and compressed) already,
//! so it goes to the channel as the body of an HTTP request. What the channel is for stays: connecting, keeping alive, reconnecting.
//!
//! # Source
//!
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use spanwright_core::ExportError;
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::answer;
use crate::body::Frames;
use crate::builder::WireSettings;
use crate::classify::{grpc, local};
use crate::config::Secrets;
use crate::defaults::{
    CONNECT_TIMEOUT, HTTP2_CONNECTION_WINDOW, HTTP2_STREAM_WINDOW, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT,
};
use crate::percent;
use crate::suppressed::SuppressedExecutor;
use crate::transport::{Connector, Gathering, Home};

const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: &str = "grpc-status-details-bin";

/// The flag and the length before a message.
const PREFIX_LEN: usize = 5;

#[derive(Debug)]
pub(super) struct GrpcChannel {
    endpoint: Endpoint,
    connector: Connector,
    headers: HeaderMap,
    secrets: Secrets,
    max_response_bytes: usize,
    channel: Home<Channel>,
}

/// A receiver's answer, complete with a status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Code,
    /// The message of the status, without secrets.
    pub(super) text: String,
    details: Bytes,
    data: Bytes,
    headers: HeaderMap,
    trailers: HeaderMap,
}

impl GrpcChannel {
    pub(super) fn new(settings: WireSettings) -> Self {
        let mut headers = settings.headers;
        headers.insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // tonic puts its own name after the exporter's.
        let endpoint = Endpoint::from(plain(&settings.uri)).origin(settings.uri);
        let endpoint = endpoint
            .clone()
            .user_agent(settings.user_agent)
            .unwrap_or(endpoint)
            .executor(SuppressedExecutor)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW);
        Self {
            endpoint,
            connector: settings.connector,
            headers,
            secrets: settings.secrets,
            max_response_bytes: settings.max_response_bytes,
            channel: Home::new(),
        }
    }

    /// Calls `method` with one message, and reads one message and the status.
    ///
    /// An answer with an error status is an answer. An error is what kept the status from coming.
    pub(super) async fn unary(
        &self,
        method: &'static str,
        body: Frames,
        encoding: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<Answer, ExportError> {
        let mut channel = self.ready().await?;
        let mut request = Request::new(Body::new(body));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = PathAndQuery::from_static(method).into();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(
            GRPC_TIMEOUT,
            grpc_timeout(deadline.saturating_duration_since(Instant::now())),
        );
        if let Some(encoding) = encoding {
            headers.insert(GRPC_ENCODING, encoding);
        }
        let response = channel.call(request).await.map_err(local::transport)?;
        self.read(response).await
    }

    /// A channel that takes a request now. One whose worker has ended (with a runtime, or by a panic) is replaced, once.
    async fn ready(&self) -> Result<Channel, ExportError> {
        let connect = || {
            self.endpoint
                .connect_with_connector_lazy(Gathering(self.connector.clone()))
        };
        let mut channel = self.channel.client(connect)?;
        if poll_fn(|cx| channel.poll_ready(cx)).await.is_ok() {
            return Ok(channel);
        }
        self.channel.forget();
        let mut channel = self.channel.client(connect)?;
        poll_fn(|cx| channel.poll_ready(cx)).await.map_err(local::transport)?;
        Ok(channel)
    }

    async fn read(&self, response: Response<Body>) -> Result<Answer, ExportError> {
        let (head, mut body) = response.into_parts();
        // An answer that is an error from the start has its status among the headers, and no body.
        if head.headers.contains_key(GRPC_STATUS) {
            return Ok(self.answer(Bytes::new(), HeaderMap::new(), head.headers));
        }
        let content_type = head.headers.get(CONTENT_TYPE);
        let is_grpc = content_type.is_some_and(|value| value.as_bytes().starts_with(CONTENT_TYPE_GRPC.as_bytes()));
        if head.status != StatusCode::OK || !is_grpc {
            return Err(grpc::not_grpc(head.status));
        }
        let mut data = BytesMut::new();
        while let Some(frame) = body.frame().await {
            match frame.map_err(local::transport)?.into_data() {
                Ok(bytes) if data.len() + bytes.len() > self.max_response_bytes.saturating_add(PREFIX_LEN) => {
                    return Err(local::response_too_large(self.max_response_bytes));
                }
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Ok(self.answer(data.freeze(), head.headers, trailers));
                    }
                }
            }
        }
        // hyper gives the same end to a stream that something on the way has reset.
        Err(local::transport("the answer ended without a status"))
    }

    fn answer(&self, data: Bytes, headers: HeaderMap, trailers: HeaderMap) -> Answer {
        let code = trailers
            .get(GRPC_STATUS)
            .map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
        let text = trailers
            .get(GRPC_MESSAGE)
            .map(|text| percent::decode(text.as_bytes()))
            .unwrap_or_default();
        Answer {
            code,
            text: self.secrets.redact(String::from_utf8_lossy(&text).into_owned()),
            details: details(&trailers),
            data,
            headers,
            trailers,
        }
    }
}

impl Answer {
    /// What the status means.
    pub(super) fn status(&self) -> Result<(), ExportError> {
        // Details that cannot be read are as good as none: the code says what happened.
        let details = answer::rpc_status(&self.details).unwrap_or_default();
        grpc::status(self.code, self.text.clone(), details.retry_delay)
    }

    /// The message, unless it is missing, broken, or under an encoding that we did not offer to read.
    pub(super) fn message(&self) -> Option<&[u8]> {
        let (prefix, message) = self.data.split_first_chunk::<PREFIX_LEN>()?;
        let [0, length @ ..] = prefix else {
            return None;
        };
        (u32::from_be_bytes(*length) as usize == message.len()).then_some(message)
    }

    /// What the receiver says of the encodings that it takes.
    pub(super) fn accepted_encodings(&self) -> impl Iterator<Item = &HeaderValue> {
        let headers = self.headers.get_all(GRPC_ACCEPT_ENCODING);
        headers.into_iter().chain(self.trailers.get_all(GRPC_ACCEPT_ENCODING))
    }
}

/// The details of a status, which are base64. `Status::from_header_map` would panic at some that are not.
fn details(trailers: &HeaderMap) -> Bytes {
    let Some(value) = trailers.get(GRPC_STATUS_DETAILS) else {
        return Bytes::new();
    };
    let mut only = HeaderMap::with_capacity(1);
    only.insert(HeaderName::from_static(GRPC_STATUS_DETAILS), value.clone());
    let only = MetadataMap::from_headers(only);
    only.get_bin(GRPC_STATUS_DETAILS)
        .and_then(|value| value.to_bytes().ok())
        .unwrap_or_default()
}

/// The URI for tonic: without TLS, which is the [`Connector`]'s. The scheme that requests show is that of the origin.
fn plain(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// At most eight digits and a unit. A little more than is left: neither the receiver nor tonic, which times the request by this
/// header as well, is to give up before us.
fn grpc_timeout(left: Duration) -> HeaderValue {
    const MAX: u128 = 99_999_999;
    let millis = left.as_micros().div_ceil(1_000) + 1;
    let text = if millis <= MAX {
        format!("{millis}m")
    } else {
        format!("{}S", millis.div_ceil(1_000).min(MAX))
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("1H"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Dial, Names};

    #[test]
    fn the_timeout_in_the_header_is_later_than_ours_and_never_too_long_for_it() {
        for (timeout, header) in [
            (Duration::ZERO, "1m"),
            (Duration::from_micros(10_001), "12m"),
            (Duration::from_secs(10), "10001m"),
            (Duration::from_secs(3_600), "3600001m"),
            (Duration::from_secs(1_000_000), "1000001S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(grpc_timeout(timeout), header);
        }
    }

    #[test]
    fn details_that_are_not_base64_are_none() {
        let details = |value: &'static str| {
            details(&HeaderMap::from_iter([(
                HeaderName::from_static(GRPC_STATUS_DETAILS),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(details("CAgSCXNsb3cgZG93bg"), &b"\x08\x08\x12\x09slow down"[..]);
        assert_eq!(details("CAgSCXNsb3cgZG93bg=="), &b"\x08\x08\x12\x09slow down"[..]);
        assert_eq!(details("*"), &b""[..]);
    }

    #[test]
    fn a_message_is_read_only_where_it_is_whole_and_plain() {
        let message = |data: &'static [u8]| {
            let answer = Answer {
                code: Code::Ok,
                text: String::new(),
                details: Bytes::new(),
                data: Bytes::from_static(data),
                headers: HeaderMap::new(),
                trailers: HeaderMap::new(),
            };
            answer.message().map(<[u8]>::to_vec)
        };
        assert_eq!(message(b"\0\0\0\0\x02ab"), Some(b"ab".to_vec()));
        assert_eq!(message(b"\0\0\0\0\0"), Some(Vec::new()));
        for broken in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02ab",
            b"\0\0\0\0\x03ab",
            b"\0\0\0\0\x01ab",
        ] {
            assert_eq!(message(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn tonic_sees_no_https() {
        assert_eq!(plain(&Uri::from_static("https://host:4317/")), "http://host:4317/");
    }

    fn wire(uri: &'static str, names: Names) -> GrpcChannel {
        let (uri, tcp) = (Uri::from_static(uri), Dial::new(names, None));
        GrpcChannel::new(WireSettings {
            connector: Connector::new(uri.clone(), tcp, &crate::OtlpConfig::default(), b"h2").unwrap(),
            uri,
            headers: HeaderMap::new(),
            user_agent: HeaderValue::from_static("test"),
            secrets: Secrets::default(),
            max_response_bytes: 1 << 20,
            #[cfg(feature = "http")]
            clock: std::sync::Arc::new(spanwright_core::SystemClock),
        })
    }

    #[test]
    fn a_channel_whose_worker_has_ended_is_replaced() {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
        };
        let wire = wire("http://127.0.0.1:1/", Names::system());
        let connect = || {
            wire.endpoint
                .connect_with_connector_lazy(Gathering(wire.connector.clone()))
        };
        let dead = runtime().block_on(async { connect() });
        runtime().block_on(async {
            wire.channel.client(|| dead).unwrap();
            assert!(wire.ready().await.is_ok());
        });
    }

    #[tokio::test]
    async fn each_connection_resolves_the_name_anew() {
        crate::transport::moving::follows(|names| wire("http://collector.test/", names), |it| it.grpc_address()).await;
    }
}
