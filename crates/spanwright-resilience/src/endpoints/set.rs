//! Named exporters, some of which can be used now.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use spanwright_core::{BoxExporter, BuildError, EncodedBatch, ExportError, Receipt};
use tower_service::Service;

pub(super) type Export = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

/// The exporters, and which of them have said that they are ready.
pub(super) struct Set {
    endpoints: Vec<Endpoint>,
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
        Ok(Self { endpoints })
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

    /// Asks all that are not ready yet.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Others {
        let mut others = Others {
            is_pending: false,
            soonest: None,
        };
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
        Box::pin(async move {
            let _under_way = under_way;
            export.await
        })
    }
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
