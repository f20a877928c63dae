//! The sampler whose strategy comes from a server.

use std::sync::Arc;

use super::active::Active;
use super::builder::JaegerRemoteSamplerBuilder;
use crate::remote::error::RemoteError;
use crate::remote::running::Running;
use crate::remote::stats::RemoteStats;
use crate::sampler::{Decision, Sampler};
use crate::span::StartingSpan;

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
    running: Arc<Running<Active>>,
}

impl JaegerRemoteSampler {
    /// Starts with the defaults; a service name is needed.
    #[must_use]
    pub fn builder() -> JaegerRemoteSamplerBuilder {
        JaegerRemoteSamplerBuilder::new()
    }

    pub(super) fn new(running: Running<Active>) -> Self {
        Self {
            running: Arc::new(running),
        }
    }

    /// What it has done so far. Under a strategy that tells operations apart, each of them is a rule.
    #[must_use]
    pub fn stats(&self) -> RemoteStats {
        self.running.stats()
    }

    /// Asks the server now, and waits for the answer, at most as long as a poll may take. Not for a task that must not block.
    ///
    /// # Errors
    ///
    /// There is no strategy that can be used, or the sampler was shut down. The one in force stays.
    pub fn poll_now(&self) -> Result<(), RemoteError> {
        self.running.poll_now()
    }

    /// Stops asking. Decisions go on by the strategy in force. Returns when the thread has ended, which takes no time to speak of.
    pub fn shutdown(&self) {
        self.running.stop();
    }
}

impl Sampler for JaegerRemoteSampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        self.running.decide(span)
    }

    fn description(&self) -> String {
        format!("JaegerRemoteSampler{{{}}}", self.running.description())
    }
}
