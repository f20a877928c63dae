//! An exporter whose requests are tried again.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use spanwright_core::{EncodedBatch, ExportError, Exporter, Receipt};
use tower_service::Service;

use super::policy::RetryAdvice;
use super::strategy::AdaptiveRetryStrategy;
use crate::receipts::join;

/// An exporter whose requests are tried again when they fail for a reason that may pass.
///
/// What is sent again is the same bytes, by reference; of a request that was taken in part, only the
/// [rest](ExportError::rest). A partial success is a success: what a receiver has rejected is never sent again.
#[derive(Clone, Debug)]
pub struct RetryService<S> {
    exporter: S,
    strategy: AdaptiveRetryStrategy,
}

impl<S> RetryService<S> {
    pub(super) const fn new(exporter: S, strategy: AdaptiveRetryStrategy) -> Self {
        Self { exporter, strategy }
    }

    /// By what its requests are tried again.
    pub const fn strategy(&self) -> &AdaptiveRetryStrategy {
        &self.strategy
    }
}

impl<S: Exporter + Clone> Service<EncodedBatch> for RetryService<S> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        self.exporter.poll_ready(cx)
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        // The one that is ready goes with the request, and a fresh one stays.
        let fresh = self.exporter.clone();
        let mut ready = Some(std::mem::replace(&mut self.exporter, fresh.clone()));
        let strategy = self.strategy.clone();
        let progress = Arc::new(Mutex::new(Progress {
            left: batch,
            settled: None,
        }));
        let so_far = Arc::clone(&progress);
        let attempt = move || {
            let (is_ready, mut exporter) = match ready.take() {
                Some(exporter) => (true, exporter),
                None => (false, fresh.clone()),
            };
            let so_far = Arc::clone(&so_far);
            async move {
                if !is_ready {
                    poll_fn(|cx| exporter.poll_ready(cx)).await?;
                }
                let batch = so_far.lock().left.clone();
                let mut result = exporter.call(batch).await;
                if let Err(error) = &mut result {
                    so_far.lock().note(error);
                }
                result
            }
        };
        Box::pin(async move {
            let result = strategy.run(attempt, |error| RetryAdvice::from(error)).await;
            let Progress { left, settled } = progress.lock().clone();
            match (result, settled) {
                (result, None) => result,
                (Ok(receipt), Some(settled)) => Ok(join(settled, receipt)),
                (Err(error), Some(settled)) => Err(error.with_rest(settled, left)),
            }
        })
    }
}

/// How far a request is.
#[derive(Clone)]
struct Progress {
    left: EncodedBatch,
    /// What was said of the items that are not left; `None` while all are.
    settled: Option<Receipt>,
}

impl Progress {
    /// Takes the rest out of an error.
    fn note(&mut self, error: &mut ExportError) {
        let Some((receipt, rest)) = error.take_rest() else {
            return;
        };
        self.left = rest;
        self.settled = Some(join(self.settled.take().unwrap_or_default(), receipt));
    }
}
