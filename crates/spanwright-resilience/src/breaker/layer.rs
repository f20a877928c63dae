//! The breaker as a layer.

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

    /// The breaker in front of this exporter.
    pub fn layer<S>(&self, exporter: S) -> BreakerService<S> {
        BreakerService::new(exporter, self.breaker.clone())
    }
}
