//! The service: a small shop over HTTP, with a database, a cache and a payment provider behind it.

mod backends;
mod failure;
mod routes;
mod spans;

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::serve::ListenerExt;
use axum::{Router, middleware, routing};
use opentelemetry_sdk::trace::SdkTracer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::backends::Backends;
use self::spans::Tracing;
use crate::measure::EndMeter;

/// A running service on a free port of this machine.
#[derive(Debug)]
pub(crate) struct Service {
    address: SocketAddr,
    shop: Arc<Shop>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// What the handlers share.
#[derive(Debug)]
struct Shop {
    tracing: Tracing,
    backends: Backends,
    served: AtomicU64,
}

impl Service {
    /// Starts to serve in the runtime that polls this. All spans are of `tracer`, and `ends` times their ends.
    pub(crate) async fn spawn(tracer: SdkTracer, ends: Arc<EndMeter>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let tracing = Tracing::new(tracer, ends);
        let shop = Arc::new(Shop {
            backends: Backends::new(tracing.clone()),
            tracing,
            served: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let listener = listener.tap_io(|stream| {
            // A response waits for nothing. Where that cannot be set, it is slower and still right.
            let _ = stream.set_nodelay(true);
        });
        // A dropped sender means the same as a sent word.
        let serve = axum::serve(listener, router(&shop)).with_graceful_shutdown(async move { _ = stopped.await });
        let server = tokio::spawn(serve.into_future());
        Ok(Self {
            address,
            shop,
            stop,
            server,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves what has arrived, closes all connections, and says how many requests were served in all.
    ///
    /// When it returns, every span has ended.
    pub(crate) async fn shutdown(self) -> io::Result<u64> {
        // If the server has ended already, its result says why.
        let _ = self.stop.send(());
        self.server.await??;
        // Relaxed: the server's end, which was awaited, comes after all of its counting.
        Ok(self.shop.served.load(Ordering::Relaxed))
    }
}

fn router(shop: &Arc<Shop>) -> Router {
    Router::new()
        .route("/catalog/{id}", routing::get(routes::catalog))
        .route("/checkout", routing::get(routes::checkout))
        .route("/recommend", routing::get(routes::recommend))
        .route_layer(middleware::from_fn_with_state(Arc::clone(shop), spans::server_span))
        .with_state(Arc::clone(shop))
}
