//! Settings of a receiver.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::ContentEncoding;

use super::connection::Service;
use super::server::{Command, Server};
use super::settings::{Dialect, Health, Mode, Settings};
use super::state::Shared;
use super::{DEFAULT_HTTP_PATH, DEFAULT_WINDOW_BYTES, Receiver};
use crate::port::Port;
use crate::worker::Worker;

/// Makes a [`Receiver`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct ReceiverBuilder {
    grpc_address: SocketAddr,
    http_address: SocketAddr,
    http_path: String,
    max_concurrent_streams: Option<u32>,
    window_bytes: u32,
    settings: Settings,
    #[cfg(feature = "tls")]
    tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
}

impl ReceiverBuilder {
    pub(super) fn new() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            grpc_address: any_port,
            http_address: any_port,
            http_path: DEFAULT_HTTP_PATH.into(),
            max_concurrent_streams: None,
            window_bytes: DEFAULT_WINDOW_BYTES,
            settings: Settings::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Where gRPC is served. Default: a free port of 127.0.0.1.
    pub fn with_grpc_address(mut self, address: SocketAddr) -> Self {
        self.grpc_address = address;
        self
    }

    /// Where HTTP is served. Default: a free port of 127.0.0.1.
    pub fn with_http_address(mut self, address: SocketAddr) -> Self {
        self.http_address = address;
        self
    }

    /// The path that takes exports over HTTP. Default: `/v1/traces`. Others are answered 404.
    pub fn with_http_path(mut self, path: impl Into<String>) -> Self {
        self.http_path = path.into();
        self
    }

    /// What is kept of a request. Default: [`Mode::Keep`].
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// Whose refusals are imitated. Default: [`Dialect::Collector`].
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.settings.dialect = dialect;
        self
    }

    /// Which compressions are understood. Default: all that core names. Identity is always understood.
    pub fn with_accepted_encodings(mut self, encodings: impl Into<Arc<[ContentEncoding]>>) -> Self {
        self.settings.accepted_encodings = encodings.into();
        self
    }

    /// The largest message in bytes, on the wire and decompressed. Default: 64 MiB, OTLP's own limit; grpc-go and tonic have 4 MiB.
    pub fn with_max_request_bytes(mut self, max_bytes: usize) -> Self {
        self.settings.max_request_bytes = max_bytes;
        self
    }

    /// How long every answer takes. Default: not at all. The resolution is a millisecond.
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// What a health check is answered. Default: [`Health::Unimplemented`].
    pub fn with_health(mut self, health: Health) -> Self {
        self.settings.health = health;
        self
    }

    /// How many requests a client may have open on one HTTP/2 connection. Default: hyper's, 200.
    pub fn with_max_concurrent_streams(mut self, streams: u32) -> Self {
        self.max_concurrent_streams = Some(streams);
        self
    }

    /// The bytes that a client may send ahead, per stream and per connection, over HTTP/2. Default: 4 MiB, so that the window of
    /// the receiver is not what a test measures. The protocol's own default is 65 535.
    pub fn with_window_bytes(mut self, window_bytes: u32) -> Self {
        self.window_bytes = window_bytes;
        self
    }

    /// Serves both protocols over TLS with the server's certificate of `certificates`.
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, certificates: &crate::TestCertificates) -> Self {
        self.tls = Some(certificates.server_config());
        self
    }

    /// The same, and lets in only clients that show a certificate signed by the authority of `certificates`.
    #[cfg(feature = "tls")]
    pub fn with_mutual_tls(mut self, certificates: &crate::TestCertificates) -> Self {
        self.tls = Some(certificates.mutual_server_config());
        self
    }

    /// Binds the ports and starts the thread. When this returns, connections are accepted.
    ///
    /// # Errors
    ///
    /// An address cannot be bound, or the thread cannot be started.
    pub fn spawn(self) -> io::Result<Receiver> {
        let grpc = Port::reserve(self.grpc_address)?;
        let http = Port::reserve(self.http_address)?;
        let (grpc_address, http_address) = (grpc.address(), http.address());
        let shared = Arc::new(Shared::new(self.settings));
        #[cfg(feature = "tls")]
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        #[cfg(not(feature = "tls"))]
        let scheme = "http";
        let service = Arc::new(Service {
            shared: Arc::clone(&shared),
            http_path: self.http_path,
            max_concurrent_streams: self.max_concurrent_streams,
            window_bytes: self.window_bytes,
            #[cfg(feature = "tls")]
            tls: self.tls.map(tokio_rustls::TlsAcceptor::from),
        });
        let worker = Worker::spawn("otlp-receiver", |calls| Server::new(service, grpc, http).run(calls))?;
        worker.call(Command::Listen)?;
        Ok(Receiver {
            worker,
            shared,
            scheme,
            grpc_address,
            http_address,
        })
    }
}
