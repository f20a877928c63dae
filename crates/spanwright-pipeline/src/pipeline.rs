//! The running pipeline.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::{InstrumentationScope, global};
use spanwright_batching::{FlushError, QueueMonitor, Report};
use spanwright_core::IgnoredVariable;
use spanwright_sampling::StatsPublisher;

use crate::builder::PipelineBuilder;
#[cfg(any(feature = "grpc", feature = "http"))]
use crate::endpoints::Endpoints;
use crate::guard::PipelineGuard;
use crate::otel::{Processor, Resource, SdkTracer, SdkTracerProvider, propagator};
use crate::settings::Propagator;
use crate::spool::Spools;
use crate::stats::PipelineStats;

/// A tracing pipeline: the SDK's provider, our processor under it, and a thread that delivers.
///
/// Clones are the same pipeline. It lives as long as one of them, its provider, or a tracer does; when the last is gone, it is
/// shut down within five seconds. A global provider is never gone: there, call [`shutdown`](Self::shutdown) or hold a
/// [`guard`](Self::guard), or what is in the queue at the end of the process is lost.
///
/// # Shutting down
///
/// Call [`shutdown`](Self::shutdown) here, and never `SdkTracerProvider::shutdown`. Both deliver what is there. But after the
/// latter the SDK throws every span that ends away without a word, while after the former such spans still come here, and are
/// counted as lost ([`already_shutdown`](spanwright_core::LossReason::AlreadyShutdown)): the law holds to the end of the process.
///
/// # A pipeline that exports nothing
///
/// With `OTEL_SDK_DISABLED=true` no span is recorded; with `OTEL_TRACES_EXPORTER=none`, and no exporter given in code, spans are
/// recorded for nobody. Neither has a thread, all of [`stats`](Self::stats) is zero, and flush and shutdown answer at once with an
/// empty report.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) processor: Processor,
    #[cfg(any(feature = "grpc", feature = "http"))]
    pub(crate) endpoints: Endpoints,
    pub(crate) spools: Spools,
    pub(crate) publishers: Arc<[StatsPublisher]>,
    pub(crate) provider: SdkTracerProvider,
    pub(crate) resource: Resource,
    pub(crate) state: State,
    pub(crate) propagators: Vec<Propagator>,
    pub(crate) ignored: Vec<IgnoredVariable>,
}

/// What a pipeline does with spans.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Nothing: there are none.
    Disabled,
    /// Delivers them.
    Exporting,
    /// Nothing: there is nobody to deliver them to.
    Idle,
}

impl Pipeline {
    /// The settings of a pipeline.
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::new()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The provider, to give to whoever asks for one.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.inner.provider
    }

    /// A tracer whose instrumentation scope has this name. For a scope with a version or attributes, ask the
    /// [`provider`](Self::provider).
    #[must_use]
    pub fn tracer(&self, name: impl Into<Cow<'static, str>>) -> SdkTracer {
        let scope = InstrumentationScope::builder(name).build();
        self.inner.provider.tracer_with_scope(scope)
    }

    /// What the spans are said to come from. Give it to the providers of metrics and logs as well, so that a reader can put the
    /// three together.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.inner.resource
    }

    /// Makes this pipeline the one that `opentelemetry::global` gives tracers of, and sets the global propagators:
    /// those of `OTEL_PROPAGATORS`, or W3C Trace Context and W3C Baggage.
    ///
    /// A pipeline disabled by `OTEL_SDK_DISABLED` sets the API's no-op provider, which hands a caller's context on as it came. The
    /// propagators are set all the same, as the specification says.
    pub fn install_global(&self) -> &Self {
        match self.inner.state {
            State::Disabled => global::set_tracer_provider(NoopTracerProvider::new()),
            State::Exporting | State::Idle => global::set_tracer_provider(self.inner.provider.clone()),
        }
        global::set_text_map_propagator(propagator(&self.inner.propagators));
        self
    }

    /// Everything that can be counted: for each destination its ledger and what is under way, at one moment; and how the endpoints and
    /// the spools are.
    ///
    /// # Cost
    ///
    /// Holds up every thread that ends a span for as long as it takes to add up their counts: some microseconds.
    #[must_use]
    pub fn stats(&self) -> PipelineStats {
        PipelineStats {
            delivery: self.inner.processor.stats(),
            #[cfg(any(feature = "grpc", feature = "http"))]
            endpoints: self.inner.endpoints.stats(),
            spools: self.inner.spools.stats(),
        }
    }

    /// Shows how full the queue is, at the cost of a relaxed load.
    #[must_use]
    pub fn queue(&self) -> QueueMonitor {
        self.inner.processor.queue()
    }

    /// The variables of the environment that could not be used. The default is in the place of each. They were told when the
    /// pipeline was built, see [`PipelineBuilder::build`].
    #[must_use]
    pub fn ignored_variables(&self) -> &[IgnoredVariable] {
        &self.inner.ignored
    }

    /// Delivers every span that ended before the call, on any thread, and waits for that, for at most `timeout`. The report says
    /// for every destination what became of those that it did not have yet. What was settled before is in [`stats`](Self::stats).
    ///
    /// Blocks the calling thread but needs nothing of it: it may be a runtime's only one. In async code
    /// [`flush_async`](Self::flush_async) lets others run meanwhile.
    ///
    /// # Errors
    ///
    /// See [`FlushError`]. That the time was over is no error: the report has what is pending.
    pub fn flush(&self, timeout: Duration) -> Result<Report, FlushError> {
        match self.inner.state {
            State::Exporting => self.hurried(timeout).flush(timeout),
            State::Disabled | State::Idle => Ok(Report::default()),
        }
    }

    /// As [`flush`](Self::flush), without blocking. Works under every runtime.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub async fn flush_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        match self.inner.state {
            State::Exporting => self.hurried(timeout).flush_async(timeout).await,
            State::Disabled | State::Idle => Ok(Report::default()),
        }
    }

    /// As [`flush`](Self::flush), and the end. One deadline holds for everything that has to be done before: exports under way are
    /// cancelled when it comes, and what is not delivered is lost as
    /// [`shutdown_timeout`](spanwright_core::LossReason::ShutdownTimeout). With a spool it goes there instead: at once where the receiver is
    /// away, and in the last quarter of the time (the last second at most) where it is only slow.
    ///
    /// Tracers may go on making spans. Those that end from now on are counted as lost.
    ///
    /// # Errors
    ///
    /// See [`FlushError`]. That the time was over is no error: the report has what was lost.
    pub fn shutdown(&self, timeout: Duration) -> Result<Report, FlushError> {
        match self.inner.state {
            State::Exporting => self.told(self.hurried(timeout).shutdown_within(timeout)),
            State::Disabled | State::Idle => Ok(Report::default()),
        }
    }

    /// As [`shutdown`](Self::shutdown), without blocking. Works under every runtime.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub async fn shutdown_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        match self.inner.state {
            State::Exporting => self.told(self.hurried(timeout).shutdown_within_async(timeout).await),
            State::Disabled | State::Idle => Ok(Report::default()),
        }
    }

    /// The processor, with its receivers about to be asked once more whether they are there.
    fn hurried(&self, waits: Duration) -> &Processor {
        #[cfg(any(feature = "grpc", feature = "http"))]
        self.inner.endpoints.hurry(waits);
        #[cfg(not(any(feature = "grpc", feature = "http")))]
        let _ = waits;
        &self.inner.processor
    }

    /// With what samplers have counted told: a global provider is never dropped.
    fn told<T>(&self, shut_down: T) -> T {
        self.inner.publishers.iter().for_each(StatsPublisher::publish);
        shut_down
    }

    /// Shuts the pipeline down when it is dropped, within five seconds unless
    /// [another deadline](PipelineGuard::with_timeout) is set.
    pub fn guard(&self) -> PipelineGuard {
        PipelineGuard::new(self.clone())
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("state", &self.inner.state)
            .field("stats", &self.stats())
            .field("propagators", &self.inner.propagators)
            .field("ignored_variables", &self.inner.ignored)
            .finish_non_exhaustive()
    }
}
