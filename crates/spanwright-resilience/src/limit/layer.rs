//! The limit as a layer.

use tower_layer::Layer;

use super::concurrency::Concurrency;
use super::service::LimitService;

/// Lets an exporter have as many requests under way as a [`Limit`](super::Limit) says.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimitLayer {
    concurrency: Concurrency,
}

impl ConcurrencyLimitLayer {
    /// In front of each exporter the same places.
    #[must_use]
    pub const fn new(concurrency: Concurrency) -> Self {
        Self { concurrency }
    }
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = LimitService<S>;

    fn layer(&self, exporter: S) -> LimitService<S> {
        LimitService::new(exporter, self.concurrency.clone())
    }
}
