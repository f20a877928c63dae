//! The breaker as a layer.

use tower_layer::Layer;

use super::CircuitBreaker;
use super::service::BreakerService;

/// Puts a breaker in front of an exporter.
///
/// Only what says that the receiver is not there opens it: no connection, no answer in time, UNAVAILABLE and its like. That a
/// receiver refuses a request, or asks for fewer, does not: it is there.
#[derive(Clone, Debug)]
pub struct CircuitBreakerLayer {
    breaker: CircuitBreaker,
}

impl CircuitBreakerLayer {
    /// In front of each exporter the same breaker.
    #[must_use]
    pub const fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker }
    }
}

impl<S> Layer<S> for CircuitBreakerLayer {
    type Service = BreakerService<S>;

    fn layer(&self, exporter: S) -> BreakerService<S> {
        BreakerService::new(exporter, self.breaker.clone())
    }
}
