//! The first that is there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use spanwright_core::{BoxExporter, BuildError, EncodedBatch, ErrorKind, ExportError};
use tower_service::Service;

use super::set::sooner;

/// Sends to the first of several exporters that can be used, in their order, and returns to an earlier one when it is back.
///
/// An exporter cannot be used while its `poll_ready` is an error: so give each a [breaker](crate::CircuitBreakerLayer), which says so
/// while its receiver does not answer, and lets one request through from time to time to see whether it is back. One that is busy
/// is not passed over: the second is for when the first is away, not for its load.
///
/// The exporters stay the same; their order would mean nothing if they were addresses that a name server lists. Where each of them
/// stands for several receivers that come and go, make each a [`Balance`](crate::Balance) [over](crate::Balance::over) those.
pub struct Failover {
    exporters: Box<[(Arc<str>, BoxExporter)]>,
    /// The one that is ready, for the next request.
    ready: Option<usize>,
    current: Arc<AtomicUsize>,
}

impl Failover {
    /// These, in this order, each with a name.
    ///
    /// # Errors
    ///
    /// None.
    pub fn new(exporters: impl IntoIterator<Item = (Arc<str>, BoxExporter)>) -> Result<Self, BuildError> {
        let exporters: Box<[_]> = exporters.into_iter().collect();
        if exporters.is_empty() {
            return Err(BuildError::new("endpoints", "none", "at least one"));
        }
        Ok(Self {
            exporters,
            ready: None,
            current: Arc::default(),
        })
    }

    /// The name of the one that the last request went to.
    #[must_use]
    pub fn current(&self) -> &str {
        // Relaxed: for people, and nothing else is read by it.
        &self.exporters[self.current.load(Ordering::Relaxed)].0
    }
}

impl Service<EncodedBatch> for Failover {
    type Response = <BoxExporter as Service<EncodedBatch>>::Response;
    type Error = ExportError;
    type Future = <BoxExporter as Service<EncodedBatch>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        let mut soonest: Option<ExportError> = None;
        for (index, (_, exporter)) in self.exporters.iter_mut().enumerate() {
            match exporter.poll_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {
                    self.ready = Some(index);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => soonest = Some(sooner(soonest, error)),
            }
        }
        let nobody = || ExportError::new(ErrorKind::Retryable, "no_endpoint", "there is no endpoint");
        Poll::Ready(Err(soonest.unwrap_or_else(nobody)))
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        // A call without readiness is the caller's mistake; the first one may know what to answer.
        let index = self.ready.take().unwrap_or(0);
        self.current.store(index, Ordering::Relaxed);
        self.exporters[index].1.call(batch)
    }
}

impl fmt::Debug for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.exporters.iter().map(|(name, _)| name);
        f.debug_struct("Failover")
            .field("current", &self.current())
            .field("exporters", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
