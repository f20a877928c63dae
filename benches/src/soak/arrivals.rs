//! A receiver that remembers of every span when it had ended and when it arrived, and nothing else, for as many as there may be.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use spanwright_core::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

use crate::command::Failure;

/// The receiver.
#[derive(Debug)]
pub(super) struct Arrivals {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    /// None while it is away.
    runtime: Option<Runtime>,
}

/// What arrived.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<u64>,
    pub(super) spans: Vec<Arrival>,
}

/// One span, the first time that it arrived. Since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) ended: Duration,
    pub(super) arrived: Duration,
    /// Where it arrived more than once.
    pub(super) is_repeated: bool,
}

impl Arrivals {
    /// Listens on a free port.
    pub(super) fn spawn() -> Result<Self, Failure> {
        let mut arrivals = Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            seen: Arc::default(),
            runtime: None,
        };
        arrivals.resume()?;
        Ok(arrivals)
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes away: connections break, and new ones are refused.
    pub(super) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// Is back on the same port.
    pub(super) fn resume(&mut self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(self.address))?;
        self.address = listener.local_addr()?;
        let service = TraceServiceServer::new(Service(Arc::clone(&self.seen))).max_decoding_message_size(64 << 20);
        let server = Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        self.runtime = Some(runtime);
        Ok(())
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Service(Arc<Mutex<Seen>>);

#[async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let arrived = now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for scope in request
            .get_ref()
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
        {
            for span in &scope.spans {
                let id = span.span_id.first_chunk().map_or(0, |id| u64::from_be_bytes(*id));
                let is_repeated = !seen.ids.insert(id);
                seen.spans.push(Arrival {
                    ended: Duration::from_nanos(span.end_time_unix_nano),
                    arrived,
                    is_repeated,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Seen {
    /// How many different spans arrived, and how many of them again.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.ids.len() as u64, (self.spans.len() - self.ids.len()) as u64)
    }

    /// When the first span arrived at this time or later.
    pub(super) fn first_since(&self, time: Duration) -> Option<Duration> {
        self.spans
            .iter()
            .map(|span| span.arrived)
            .filter(|arrived| *arrived >= time)
            .min()
    }

    /// From the end of a span to its arrival: the 95th percentile of those that ended between these times.
    pub(super) fn p95(&self, from: Duration, to: Duration) -> Duration {
        let spans = self
            .spans
            .iter()
            .filter(|span| !span.is_repeated && span.ended >= from && span.ended < to);
        let mut delays: Vec<_> = spans.map(|span| span.arrived.saturating_sub(span.ended)).collect();
        delays.sort_unstable();
        delays.get(delays.len() * 95 / 100).copied().unwrap_or_default()
    }
}

/// The time of day, since 1970.
pub(super) fn now() -> Duration {
    SystemClock.system_time().duration_since(UNIX_EPOCH).unwrap_or_default()
}
