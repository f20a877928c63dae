//! One accepted connection.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use super::record::Protocol;
use super::state::Shared;
use super::{grpc, http as http_side};
use crate::socket::{ResetSwitch, ResettableStream};

/// What all connections of one receiver have in common.
pub(super) struct Service {
    pub(super) shared: Arc<Shared>,
    pub(super) http_path: String,
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) window_bytes: u32,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
}

/// A connection as the requests on it see it.
pub(super) struct Connection {
    peer: SocketAddr,
    aborted: Notify,
}

impl Connection {
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Ends the connection with a TCP reset, as soon as the current request lets go of the thread.
    pub(super) fn abort(&self) {
        self.aborted.notify_one();
    }
}

impl Service {
    /// Serves `stream` until either side has had enough. A change of `go_away` ends it gracefully.
    pub(super) async fn serve(
        self: Arc<Self>,
        protocol: Protocol,
        stream: ResettableStream,
        peer: SocketAddr,
        reset: ResetSwitch,
        go_away: watch::Receiver<()>,
    ) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            // A failed handshake is the client's to report.
            if let Ok(stream) = tls.accept(stream).await {
                self.serve_stream(protocol, stream, peer, reset, go_away).await;
            }
            return;
        }
        self.serve_stream(protocol, stream, peer, reset, go_away).await;
    }

    async fn serve_stream(
        &self,
        protocol: Protocol,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
        reset: ResetSwitch,
        mut go_away: watch::Receiver<()>,
    ) {
        let connection = Arc::new(Connection {
            peer,
            aborted: Notify::new(),
        });
        let service = service_fn(|request: Request<Incoming>| {
            let (shared, connection) = (Arc::clone(&self.shared), Arc::clone(&connection));
            let http_path = self.http_path.clone();
            async move {
                match protocol {
                    Protocol::Grpc => grpc::serve(&shared, &connection, request).await,
                    Protocol::Http => http_side::serve(&shared, &http_path, &connection, request).await,
                }
            }
        });
        let builder = self.builder(protocol);
        let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        loop {
            tokio::select! {
                biased;
                () = connection.aborted.notified() => return reset.turn_on(),
                changed = go_away.changed() => match changed {
                    Ok(()) => serving.as_mut().graceful_shutdown(),
                    Err(_) => return,
                },
                // A broken connection is the client's to report.
                _ = serving.as_mut() => return,
            }
        }
    }

    fn builder(&self, protocol: Protocol) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let mut http2 = builder.http2();
        http2
            .initial_stream_window_size(self.window_bytes)
            .initial_connection_window_size(self.window_bytes);
        if let Some(streams) = self.max_concurrent_streams {
            http2.max_concurrent_streams(streams);
        }
        match protocol {
            Protocol::Grpc => builder.http2_only(),
            Protocol::Http => builder,
        }
    }
}
