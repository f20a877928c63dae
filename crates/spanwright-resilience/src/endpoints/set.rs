//! Named exporters, some of which can be used now.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use spanwright_core::{BoxExporter, BuildError, EncodedBatch, ErrorKind, ExportError, Receipt};
use tower_service::Service;

use super::discover::{Change, Discover};

pub(super) type Export = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

/// The exporters, and which of them have said that they are ready.
pub(super) struct Set {
    endpoints: Vec<Endpoint>,
    /// Who says which there are, where that changes.
    source: Option<Box<dyn Discover>>,
    /// A connection has failed, and the source was not told yet.
    connection_failed: Arc<AtomicBool>,
}

pub(super) struct Endpoint {
    name: Arc<str>,
    exporter: BoxExporter,
    in_flight: Arc<AtomicUsize>,
    is_ready: bool,
}

/// What those that are not ready said.
pub(super) struct Others {
    /// One will wake whoever asked.
    pub(super) is_pending: bool,
    /// Of the errors, that of the one that can be used again first.
    pub(super) soonest: Option<ExportError>,
}

/// Counts a request as under way for as long as it lives.
struct UnderWay(Arc<AtomicUsize>);

impl Set {
    /// These and no others.
    pub(super) fn fixed(exporters: impl IntoIterator<Item = (Arc<str>, BoxExporter)>) -> Result<Self, BuildError> {
        let endpoints: Vec<_> = exporters.into_iter().map(Endpoint::new).collect();
        if endpoints.is_empty() {
            return Err(BuildError::new("endpoints", "none", "at least one"));
        }
        Ok(Self {
            endpoints,
            source: None,
            connection_failed: Arc::default(),
        })
    }

    /// Those that `source` says, whenever.
    pub(super) fn over(source: impl Discover) -> Self {
        Self {
            endpoints: Vec::new(),
            source: Some(Box::new(source)),
            connection_failed: Arc::default(),
        }
    }

    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(Endpoint::name)
    }

    /// Their names, and how many requests are under way to each.
    pub(super) fn loads(&self) -> impl Iterator<Item = (&str, usize)> {
        self.endpoints.iter().map(|endpoint| (endpoint.name(), endpoint.load()))
    }

    /// The indices of those that are ready. They hold until the next [`poll`](Self::poll).
    pub(super) fn ready(&self) -> impl Iterator<Item = usize> {
        (0..self.endpoints.len()).filter(|index| self.endpoints[*index].is_ready)
    }

    /// Lets those come and go that do, and asks all that are not ready yet.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Others {
        let mut others = Others {
            is_pending: false,
            soonest: None,
        };
        if let Some(mut source) = self.source.take() {
            if self.connection_failed.swap(false, Ordering::Relaxed) {
                source.connection_failed();
            }
            while let Poll::Ready(change) = source.poll_change(cx) {
                self.apply(change);
            }
            if self.endpoints.is_empty() {
                others.soonest = source.absence();
                others.is_pending = others.soonest.is_none();
            }
            self.source = Some(source);
        }
        for endpoint in &mut self.endpoints {
            // A layer that has given a place already may not be asked for another.
            if endpoint.is_ready {
                continue;
            }
            match endpoint.exporter.poll_ready(cx) {
                Poll::Pending => others.is_pending = true,
                Poll::Ready(Ok(())) => endpoint.is_ready = true,
                Poll::Ready(Err(error)) => others.soonest = Some(sooner(others.soonest, error)),
            }
        }
        others
    }

    /// Sends to the one of this index, which is ready.
    pub(super) fn call(&mut self, index: usize, batch: EncodedBatch) -> Export {
        let endpoint = &mut self.endpoints[index];
        endpoint.is_ready = false;
        let under_way = UnderWay::new(&endpoint.in_flight);
        let export = endpoint.exporter.call(batch);
        let connection_failed = self.source.is_some().then(|| Arc::clone(&self.connection_failed));
        Box::pin(async move {
            let _under_way = under_way;
            let result = export.await;
            if let (Err(error), Some(failed)) = (&result, connection_failed)
                && is_of_the_connection(error)
            {
                // Relaxed: it says that something is to be asked again, and nothing else is read by it.
                failed.store(true, Ordering::Relaxed);
            }
            result
        })
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Insert(name, exporter) => {
                let endpoint = Endpoint::new((name, exporter));
                match self.endpoints.iter_mut().find(|known| known.name == endpoint.name) {
                    Some(known) => *known = endpoint,
                    None => self.endpoints.push(endpoint),
                }
            }
            // What is under way has all that it needs.
            Change::Remove(name) => self.endpoints.retain(|known| known.name != name),
        }
    }
}

/// Whether an address may stand for nobody any more: no connection could be made, or it broke.
fn is_of_the_connection(error: &ExportError) -> bool {
    error.kind() == ErrorKind::Connect || (error.kind() == ErrorKind::Retryable && error.error_type() == "transport")
}

impl Endpoint {
    fn new((name, exporter): (Arc<str>, BoxExporter)) -> Self {
        Self {
            name,
            exporter,
            in_flight: Arc::default(),
            is_ready: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many requests are under way to it.
    pub(super) fn load(&self) -> usize {
        // Relaxed: a guess that is a moment old is as good.
        self.in_flight.load(Ordering::Relaxed)
    }
}

impl UnderWay {
    fn new(in_flight: &Arc<AtomicUsize>) -> Self {
        // Relaxed, as every look at it: see `Endpoint::load`.
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(in_flight))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Of two that cannot be used, the one that can be again first.
pub(super) fn sooner(known: Option<ExportError>, error: ExportError) -> ExportError {
    let wait = |error: &ExportError| error.retry_after().unwrap_or(Duration::MAX);
    match known {
        Some(known) if wait(&known) <= wait(&error) => known,
        _ => error,
    }
}
