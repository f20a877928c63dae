//! Retrying as a layer.

use tower_layer::Layer;

use super::service::RetryService;
use super::strategy::AdaptiveRetryStrategy;

/// Tries requests of an exporter again, by one strategy.
///
/// A request that waits for its next attempt holds what it got from the layers outside of this one, and nothing of those inside.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    strategy: AdaptiveRetryStrategy,
}

impl RetryLayer {
    /// By this strategy.
    #[must_use]
    pub const fn new(strategy: AdaptiveRetryStrategy) -> Self {
        Self { strategy }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = RetryService<S>;

    fn layer(&self, exporter: S) -> RetryService<S> {
        RetryService::new(exporter, self.strategy.clone())
    }
}
