//! The sampler whose strategy comes from a server.

use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{Clock, SystemClock};

use super::builder::JaegerRemoteSamplerBuilder;
use super::error::RemoteError;
use super::poller::Poller;
use super::state::State;
use crate::sampler::{Decision, Sampler};
use crate::span::StartingSpan;
use crate::stats::SamplerStats;

/// Decides by the strategy that a Jaeger collector, or an OpenTelemetry Collector, has for this service.
///
/// A thread of its own asks for it, at once and then at intervals. Until the first answer comes a small share of all traces is
/// sampled; while none comes, or none that can be used, the last one stays in force.
///
/// | strategy | decision |
/// |---|---|
/// | probability | a consistent one: the same traces as in all other services with as much |
/// | rate limit | a threshold that follows the rate of what is offered |
/// | per operation | by the name of the trace's first span: its probability or the lower bound, whichever is more |
///
/// All three leave a threshold in the trace state, so that it can be told how many traces a sampled one stands for; Jaeger's own
/// limiters leave none. Spans with a parent follow it, unless told otherwise.
///
/// Clones are the same sampler. The thread ends with the last of them, or on [`shutdown`](Self::shutdown).
///
/// ```no_run
/// use spanwright_sampling::JaegerRemoteSampler;
///
/// let sampler = JaegerRemoteSampler::builder()
///     .with_service_name("checkout")
///     .with_endpoint("http://localhost:5778/sampling")
///     .spawn()?;
/// // SdkTracerProvider::builder().with_sampler(sampler.clone())
/// println!("{:?}", sampler.stats());
/// # Ok::<(), spanwright_core::BuildError>(())
/// ```
///
/// # Cost
///
/// A decision takes no lock, reads no clock and allocates nothing, but for a name that it meets for the first time, and for the trace
/// state of a sampled span.
///
/// # Source
///
/// [SDK, JaegerRemoteSampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#jaegerremotesampler).
#[derive(Clone, Debug)]
pub struct JaegerRemoteSampler {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    state: Arc<State>,
    poller: Poller,
}

/// What a [`JaegerRemoteSampler`] has done so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JaegerRemoteStats {
    /// How often the server was asked.
    pub polls: u64,
    /// How many of these polls brought no strategy that could be used.
    pub failures: u64,
    /// What was wrong with the last of those.
    pub last_error: Option<String>,
    /// How long ago the server last sent a strategy that can be used, the same one or another.
    pub last_success_age: Option<Duration>,
    /// How many strategies were applied. One that is the same as the one in force is not applied again.
    pub generation: u64,
    /// The strategy in force, in words.
    pub strategy: String,
    /// What was decided. Under a strategy that tells operations apart, each of them is a rule.
    pub decisions: SamplerStats,
}

impl JaegerRemoteSampler {
    /// Starts with the defaults; a service name is needed.
    #[must_use]
    pub fn builder() -> JaegerRemoteSamplerBuilder {
        JaegerRemoteSamplerBuilder::new()
    }

    pub(super) fn new(state: Arc<State>, poller: Poller) -> Self {
        Self {
            owner: Arc::new(Owner { state, poller }),
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> JaegerRemoteStats {
        let state = &self.owner.state;
        let books = state.books();
        JaegerRemoteStats {
            polls: books.polls,
            failures: books.failures,
            last_success_age: books.success_age(SystemClock.now()),
            last_error: books.last_error,
            generation: books.generation,
            strategy: books.words,
            decisions: state.decisions(),
        }
    }

    /// Asks the server now, and waits for the answer, at most as long as a poll may take. Not for a task that must not block.
    ///
    /// # Errors
    ///
    /// There is no strategy that can be used, or the sampler was shut down. The one in force stays.
    pub fn poll_now(&self) -> Result<(), RemoteError> {
        self.owner.poller.poll_now()
    }

    /// Stops asking. Decisions go on by the strategy in force. Returns when the thread has ended, which takes no time to speak of.
    pub fn shutdown(&self) {
        self.owner.poller.stop();
    }
}

impl Sampler for JaegerRemoteSampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        if Poller::is_calling() {
            return self.owner.state.refuse(span);
        }
        self.owner.state.decide(span)
    }

    fn description(&self) -> String {
        format!("JaegerRemoteSampler{{{}}}", self.owner.state.description())
    }
}
