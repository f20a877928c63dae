//! Clients that are not ours: the official gRPC client, and plain hyper.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spanwright_testing::Receiver;
use tonic::transport::Channel;

/// Long enough for the slowest machine; nothing waits this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What `future` answers; fails where it hangs.
pub(crate) async fn patiently<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

pub(crate) fn request(spans: usize) -> ExportTraceServiceRequest {
    let span = |index: usize| Span {
        name: format!("span {index}"),
        trace_id: vec![1; 16],
        span_id: (index as u64 + 1).to_be_bytes().to_vec(),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..spans).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

pub(crate) fn encoded(spans: usize) -> Bytes {
    request(spans).encode_to_vec().into()
}

pub(crate) async fn grpc_client(receiver: &Receiver) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(receiver.grpc_endpoint()).await.unwrap()
}

/// What came back over HTTP.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) headers: ::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl HttpAnswer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> ::http::Request<Full<Bytes>> {
    ::http::Request::post(path)
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf")
        .body(Full::new(body.into()))
        .unwrap()
}

/// Sends over a new HTTP/1.1 connection.
pub(crate) async fn http1(receiver: &Receiver, request: ::http::Request<Full<Bytes>>) -> hyper::Result<HttpAnswer> {
    http1_at(receiver.http_address(), request).await
}

pub(crate) async fn http1_at(address: SocketAddr, request: ::http::Request<Full<Bytes>>) -> hyper::Result<HttpAnswer> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = answer(sender.send_request(request).await?).await;
    connection.abort();
    answer
}

/// Sends over a new HTTP/2 connection, without an upgrade.
pub(crate) async fn http2(receiver: &Receiver, request: ::http::Request<Full<Bytes>>) -> hyper::Result<HttpAnswer> {
    http2_at(receiver.http_address(), request).await
}

pub(crate) async fn http2_at(
    address: SocketAddr,
    mut request: ::http::Request<Full<Bytes>>,
) -> hyper::Result<HttpAnswer> {
    let url = format!("http://{address}{}", request.uri());
    *request.uri_mut() = url.parse().unwrap();
    request.headers_mut().remove("host");
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = answer(sender.send_request(request).await?).await;
    connection.abort();
    answer
}

async fn answer(response: ::http::Response<hyper::body::Incoming>) -> hyper::Result<HttpAnswer> {
    let (parts, body) = response.into_parts();
    Ok(HttpAnswer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.collect().await?.to_bytes(),
    })
}
