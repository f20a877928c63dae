//! The sampler whose rules come from X-Ray.

use std::sync::Arc;

use super::builder::XRaySamplerBuilder;
use super::rules::Rules;
use crate::remote::error::RemoteError;
use crate::remote::running::Running;
use crate::remote::stats::RemoteStats;
use crate::sampler::{Decision, Sampler};
use crate::span::StartingSpan;

/// Decides by the sampling rules of AWS X-Ray, which an X-Ray daemon or an OpenTelemetry Collector (`awsproxy`) passes on.
///
/// A thread of its own asks for the rules, and every ten seconds tells what each has counted and hears how much it may keep. Rules are
/// tried in the order of their priorities, by patterns in which `*`, `?` and the case of ASCII letters do not count; the one named
/// `Default` is for every span.
///
/// | of a rule | |
/// |---|---|
/// | `ServiceName`, `ServiceType`, `ResourceARN` | the service's name, `cloud.platform` and ARN, as the builder was given them |
/// | `HTTPMethod` | `http.request.method`, `http.method` |
/// | `URLPath` | `url.path`, `http.target`, the path of `url.full` or `http.url` |
/// | `Host` | `server.address`, `net.host.name`, `http.host` |
/// | `Attributes` | those of the span by name, all of them |
///
/// Attributes that are set after a span has started are seen by no sampler.
///
/// # Reservoirs
///
/// A rule keeps so many traces per second, its *reservoir*, and of the others a *fixed rate*. The server divides the reservoir among
/// those who report; until it has, and when its quota has expired, the rule borrows one trace a second. Before there are rules, and
/// where none fits, it is one a second and 5 %.
///
/// A reservoir is a threshold and never a token bucket: it follows the rate of what is offered, as a
/// [`RateLimiting`](crate::RateLimiting) does, and leaves in the trace state of each kept span how many it stands for, which X-Ray's own
/// clients do not. In return it holds on average: a second may keep some more or fewer, and the first trace after a start under load is
/// not kept for certain. `BorrowCount` is the expected number.
///
/// Spans with a parent follow it, unless told otherwise. While the server does not answer, or with something that cannot be used, the
/// last rules stay in force.
///
/// Clones are the same sampler. The thread ends with the last of them, or on [`shutdown`](Self::shutdown).
///
/// ```no_run
/// use spanwright_sampling::XRaySampler;
///
/// let sampler = XRaySampler::builder()
///     .with_service_name("checkout")
///     .with_cloud_platform("aws_ecs")
///     .with_endpoint("http://collector:2000")
///     .spawn()?;
/// // SdkTracerProvider::builder().with_sampler(sampler.clone())
/// println!("{:?}", sampler.stats());
/// # Ok::<(), spanwright_core::BuildError>(())
/// ```
///
/// # Cost
///
/// A decision takes no lock, reads no clock and allocates nothing, but for the trace state of a sampled span. It tries one rule after
/// another, each with a search of the span's attributes for what it asks. A rule takes 16 KiB.
///
/// # Source
///
/// [X-Ray, using sampling rules with the API](https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sampling.html).
#[derive(Clone, Debug)]
pub struct XRaySampler {
    running: Arc<Running<Rules>>,
}

impl XRaySampler {
    /// Starts with the defaults; a service name is needed.
    #[must_use]
    pub fn builder() -> XRaySamplerBuilder {
        XRaySamplerBuilder::new()
    }

    pub(super) fn new(running: Running<Rules>) -> Self {
        Self {
            running: Arc::new(running),
        }
    }

    /// What it has done so far. A poll is a question for rules, or a report.
    #[must_use]
    pub fn stats(&self) -> RemoteStats {
        self.running.stats()
    }

    /// Asks for the rules now and then reports what they have counted, and waits for the answers. Not for a task
    /// that must not block.
    ///
    /// # Errors
    ///
    /// One of the answers cannot be used, or the sampler was shut down. What is in force stays.
    pub fn poll_now(&self) -> Result<(), RemoteError> {
        self.running.poll_now()
    }

    /// Stops asking. Decisions go on by the rules in force, and quotas expire. Returns when the thread has ended, which takes no time to
    /// speak of.
    pub fn shutdown(&self) {
        self.running.stop();
    }
}

impl Sampler for XRaySampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        self.running.decide(span)
    }

    fn description(&self) -> String {
        format!("XRaySampler{{{}}}", self.running.description())
    }
}
