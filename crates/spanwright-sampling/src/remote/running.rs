//! A sampler with a server, at work.

use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{BuildError, Clock, SystemClock};

use super::error::RemoteError;
use super::poller::{Errand, Poller};
use super::state::{Active, State};
use super::stats::RemoteStats;
use crate::sampler::Decision;
use crate::span::StartingSpan;
use crate::ticker::Ticker;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What decides, and the thread that asks. The thread ends with it.
#[derive(Debug)]
pub(super) struct Running<A: Active> {
    state: Arc<State<A>>,
    poller: Poller,
}

impl<A: Active> Running<A> {
    /// Starts the thread.
    pub(super) fn spawn(state: Arc<State<A>>, errand: impl Errand) -> Result<Self, BuildError> {
        Ticker::shared().drive(&state)?;
        let poller = Poller::spawn(errand).map_err(|error| {
            BuildError::new("poller", "not started", "a thread that the system can start").with_source(error)
        })?;
        Ok(Self { state, poller })
    }

    pub(super) fn stats(&self) -> RemoteStats {
        let books = self.state.books();
        RemoteStats {
            polls: books.polls,
            failures: books.failures,
            last_success_age: books.success_age(SystemClock.now()),
            last_error: books.last_error,
            generation: books.generation,
            strategy: books.words,
            decisions: self.state.decisions(),
        }
    }

    pub(super) fn poll_now(&self) -> Result<(), RemoteError> {
        self.poller.poll_now()
    }

    pub(super) fn stop(&self) {
        self.poller.stop();
    }

    /// Decides by the strategy in force; that a span of our own making is not sampled.
    pub(super) fn decide(&self, span: &StartingSpan<'_>) -> Decision {
        if Poller::is_calling() {
            return self.state.refuse(span);
        }
        self.state.decide(span)
    }

    pub(super) fn description(&self) -> String {
        self.state.description()
    }
}

/// Checks the settings that all of these samplers have.
pub(super) fn check(service_name: &str, durations: &[(&'static str, Duration)]) -> Result<(), BuildError> {
    if service_name.is_empty() {
        return Err(BuildError::new(
            "service_name",
            "",
            "the name that the service has in its resource",
        ));
    }
    for (field, duration) in durations {
        BuildError::check_range(field, *duration, Duration::from_millis(1)..=DAY)?;
    }
    Ok(())
}
