//! A circuit breaker: leaves alone who is not there.
//!
//! ```text
//!            half of the calls in the window fail
//!   Closed ───────────────────────────────────────► Open
//!     ▲                                            │    ▲
//!     │ the probe succeeds           time is over  ▼    │ the probe fails: twice as long
//!     └──────────────────────────────────────── HalfOpen
//! ```
//!
//! # Source
//!
//! M. Nygard, *Release It!*, "Circuit Breaker"; resilience4j for the sliding window.

mod config;
mod engine;
mod error;
mod layer;
#[cfg(all(test, spanwright_loom))]
mod model;
mod service;
#[cfg(all(test, not(spanwright_loom)))]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::{BuildError, Clock, SystemClock};

pub use self::config::BreakerConfig;
pub use self::engine::{BreakerCounts, BreakerState, CallOutcome};
use self::engine::{Engine, Ticket};
pub use self::error::CallError;
pub use self::layer::CircuitBreakerLayer;
pub use self::service::BreakerService;
use crate::random::ThreadRandom;
use crate::sync::Mutex;

/// Lets calls through while the other side is there, one to see whether it is back, and none between.
///
/// Clones are the same breaker. For an exporter take it as a layer, [`CircuitBreakerLayer`]; for calls of your own,
/// [`call`](Self::call) and [`call_async`](Self::call_async).
///
/// # Cost
///
/// A lock for some nanoseconds, twice a call.
#[derive(Clone)]
pub struct CircuitBreaker {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Mutex<Engine>,
    clock: Box<dyn Clock>,
}

/// A call that was let through. Dropped without a word it counts as given up: if it was the probe, the next call may be it.
#[derive(Debug)]
pub struct Permit {
    breaker: CircuitBreaker,
    ticket: Option<Ticket>,
    began: Instant,
}

impl CircuitBreaker {
    /// A closed breaker.
    ///
    /// # Errors
    ///
    /// A setting outside of its range.
    pub fn new(config: BreakerConfig) -> Result<Self, BuildError> {
        Self::with_clock(config, SystemClock)
    }

    /// The same by this clock.
    ///
    /// # Errors
    ///
    /// A setting outside of its range.
    pub fn with_clock(config: BreakerConfig, clock: impl Clock) -> Result<Self, BuildError> {
        config.validate()?;
        let shared = Shared {
            engine: Mutex::new(Engine::new(config)),
            clock: Box::new(clock),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Lets a call through, to be told what became of it.
    ///
    /// # Errors
    ///
    /// It is open: for how long still. Zero means until the probe that is under way comes back.
    pub fn try_acquire(&self) -> Result<Permit, Duration> {
        let now = self.shared.clock.now();
        let ticket = self.shared.engine.lock().admit(now)?;
        Ok(Permit {
            breaker: self.clone(),
            ticket: Some(ticket),
            began: now,
        })
    }

    /// Calls `function`, unless the breaker is open. An error counts as a failure.
    ///
    /// # Errors
    ///
    /// [`CallError::Open`] if it was not called, [`CallError::Inner`] if it failed.
    pub fn call<T, E>(&self, function: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        let permit = self.try_acquire().map_err(CallError::open)?;
        permit.settle(function())
    }

    /// Awaits `future`, unless the breaker is open. An error counts as a failure; dropped half way it counts as given up.
    ///
    /// # Errors
    ///
    /// [`CallError::Open`] if it was not awaited, [`CallError::Inner`] if it failed.
    pub async fn call_async<T, E>(&self, future: impl Future<Output = Result<T, E>>) -> Result<T, CallError<E>> {
        let permit = self.try_acquire().map_err(CallError::open)?;
        permit.settle(future.await)
    }

    /// Somebody waits for an answer, for so long (a flush, a shutdown): the next call may be the probe, however long it was to stay open
    /// still, and until then it opens for no longer than the first time; unless the other side has asked for that.
    pub fn hurry(&self, waits: Duration) {
        let now = self.shared.clock.now();
        let until = now.checked_add(waits).unwrap_or(now);
        self.shared.engine.lock().hurry(now, until);
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.shared.engine.lock().state()
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> BreakerCounts {
        self.shared.engine.lock().counts()
    }

    /// How long no call would be let through; `None` if one would be.
    fn closed_for(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        self.shared.engine.lock().closed_for(now)
    }
}

impl Permit {
    /// Says what became of the call.
    pub fn record(mut self, outcome: CallOutcome) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.breaker.shared.clock.now();
            let mut engine = self.breaker.shared.engine.lock();
            engine.record(now, ticket, outcome, &mut ThreadRandom);
        }
    }

    /// How long the call has taken so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.breaker.shared.clock.now().saturating_duration_since(self.began)
    }

    fn settle<T, E>(self, result: Result<T, E>) -> Result<T, CallError<E>> {
        let elapsed = self.elapsed();
        self.record(match result {
            Ok(_) => CallOutcome::Success { elapsed },
            Err(_) => CallOutcome::Unavailable { server_delay: None },
        });
        result.map_err(CallError::Inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.shared.engine.lock().release(ticket);
        }
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("state", &self.state())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
