//! An exporter whose requests are tried again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use spanwright_core::{EncodedBatch, ExportError, Exporter, Receipt};
use tower_service::Service;

use super::policy::RetryAdvice;
use super::strategy::AdaptiveRetryStrategy;

/// An exporter whose requests are tried again when they fail for a reason that may pass.
///
/// What is sent again is the same bytes, by reference. A partial success is a success: what a receiver has rejected is never sent
/// again.
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
        let attempt = move || {
            let (is_ready, mut exporter) = match ready.take() {
                Some(exporter) => (true, exporter),
                None => (false, fresh.clone()),
            };
            let batch = batch.clone();
            async move {
                if !is_ready {
                    poll_fn(|cx| exporter.poll_ready(cx)).await?;
                }
                exporter.call(batch).await
            }
        };
        Box::pin(async move { strategy.run(attempt, |error| RetryAdvice::from(error)).await })
    }
}
