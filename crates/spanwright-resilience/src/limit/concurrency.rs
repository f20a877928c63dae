//! Places for requests: as many as a limit says.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;
use spanwright_core::{Clock, SystemClock};

use super::{Limit, LimitOutcome, LimitSample};

/// How many requests are under way, and how many may be. Clones are the same places.
///
/// # Cost
///
/// A lock for some nanoseconds, twice a request.
#[derive(Clone)]
pub struct Concurrency {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    clock: Box<dyn Clock>,
}

struct State {
    limit: Box<dyn Limit>,
    in_flight: usize,
    waiting: Vec<Waker>,
}

/// A place. Dropped without a word it says nothing to the limit.
#[derive(Debug)]
pub(super) struct Place {
    concurrency: Concurrency,
    began: Instant,
    in_flight: usize,
}

impl Concurrency {
    /// As many as `limit` says.
    pub fn new(limit: impl Limit) -> Self {
        Self::with_clock(limit, SystemClock)
    }

    /// The same by this clock.
    pub fn with_clock(limit: impl Limit, clock: impl Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    limit: Box::new(limit),
                    in_flight: 0,
                    waiting: Vec::new(),
                }),
                clock: Box::new(clock),
            }),
        }
    }

    /// How many may be under way now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.state.lock().limit.limit()
    }

    /// How many are under way now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.state.lock().in_flight
    }

    pub(super) fn poll_place(&self, cx: &Context<'_>) -> Poll<Place> {
        let mut state = self.shared.state.lock();
        if state.in_flight < state.limit.limit() {
            state.in_flight += 1;
            return Poll::Ready(Place {
                concurrency: self.clone(),
                began: self.shared.clock.now(),
                in_flight: state.in_flight,
            });
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Place {
    /// The request begins only now.
    pub(super) fn begin(&mut self) {
        self.began = self.concurrency.shared.clock.now();
    }

    /// The request has ended so.
    pub(super) fn end(self, outcome: LimitOutcome) {
        let now = self.concurrency.shared.clock.now();
        let rtt = now.saturating_duration_since(self.began);
        let sample = LimitSample::new(now, rtt, self.in_flight, outcome);
        self.concurrency.shared.state.lock().limit.on_sample(&sample);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.concurrency.shared.state.lock();
            state.in_flight -= 1;
            std::mem::take(&mut state.waiting)
        };
        // Few wait, one for each clone of the service, and the limit may have grown by more than one.
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("Concurrency")
            .field("limit", &state.limit)
            .field("in_flight", &state.in_flight)
            .finish_non_exhaustive()
    }
}
