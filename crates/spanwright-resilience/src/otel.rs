//! Where this crate meets the SDK: an exporter of its kind, made resilient.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use spanwright_core::{Backoff, BuildError, Ledger, LossReason};
use tokio::sync::RwLock;

use crate::breaker::{BreakerConfig, BreakerCounts, BreakerState, CircuitBreaker};
use crate::parking::{Parked, Settings, Worker};
use crate::retry::RetryAdvice;

/// An exporter of the SDK that loses nothing while its receiver is away, for those who keep the SDK's processor.
///
/// What cannot be sent is parked, within a bound, and sent again: after delays that grow, past a circuit breaker, on a thread of its
/// own. `export` only hands a batch over, so that the processor's own queue never fills because of a receiver. Set the exporter's own
/// retries to none, or both try again.
///
/// ```no_run
/// # fn exporter() -> opentelemetry_sdk::trace::InMemorySpanExporter { unimplemented!() }
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use spanwright_resilience::ResilientExporter;
///
/// let exporter = ResilientExporter::builder(exporter()).spawn()?;
/// let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// # What it cannot know
///
/// An error of the SDK has no code: whether it may pass is guessed by [`with_advice`](ResilientExporterBuilder::with_advice), and by
/// default everything but a shutdown may. A batch is cloned for each attempt, deeply, because an exporter takes it by value. Both are
/// why `spanwright-pipeline` has an exporter of its own.
pub struct ResilientExporter {
    worker: Worker<SpanData>,
    breaker: CircuitBreaker,
    inner: Arc<dyn Inner>,
    flush_timeout: Duration,
}

/// Makes a [`ResilientExporter`].
pub struct ResilientExporterBuilder<E> {
    exporter: E,
    backoff: Backoff,
    breaker: BreakerConfig,
    export_timeout: Duration,
    max_parked_spans: u64,
    advice: Advice,
}

/// What a [`ResilientExporter`] has done, and where its spans are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResilientExporterStats {
    /// `ended == exported + lost + pending`. A receiver's partial rejections do not reach us.
    pub ledger: Ledger,
    /// The breaker's state.
    pub breaker: BreakerState,
    /// What the breaker has done.
    pub breaker_counts: BreakerCounts,
}

type Advice = fn(&OTelSdkError) -> RetryAdvice;

/// What is asked of the exporter besides exporting.
trait Inner: Send + Sync {
    fn shutdown(&self, timeout: Duration) -> OTelSdkResult;
    fn set_resource(&self, resource: &Resource);
}

impl ResilientExporter {
    /// Around this exporter.
    pub fn builder<E: SpanExporter + 'static>(exporter: E) -> ResilientExporterBuilder<E> {
        ResilientExporterBuilder {
            exporter,
            backoff: Backoff::default(),
            breaker: BreakerConfig::default(),
            export_timeout: Duration::from_secs(30),
            max_parked_spans: 100_000,
            advice,
        }
    }

    /// Where its spans are.
    #[must_use]
    pub fn stats(&self) -> ResilientExporterStats {
        ResilientExporterStats {
            ledger: self.worker.ledger(),
            breaker: self.breaker.state(),
            breaker_counts: self.breaker.counts(),
        }
    }
}

impl<E: SpanExporter + 'static> ResilientExporterBuilder<E> {
    /// The delays between attempts. Default: full jitter, 100 ms to 5 s.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// When the exporter is left alone.
    #[must_use]
    pub fn with_breaker(mut self, config: BreakerConfig) -> Self {
        self.breaker = config;
        self
    }

    /// How long one export may take, and a flush. Default: 30 s, as `OTEL_BSP_EXPORT_TIMEOUT`. 1 ms to 1 h.
    #[must_use]
    pub fn with_export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = timeout;
        self
    }

    /// How many spans may be parked. Default: 100 000, which are some 100 MB and 50 s at 2 000 spans/s. 1 and more.
    #[must_use]
    pub fn with_max_parked_spans(mut self, max: u64) -> Self {
        self.max_parked_spans = max;
        self
    }

    /// What an error of the exporter says of trying again. Default: that it may pass, but for a shutdown.
    #[must_use]
    pub fn with_advice(mut self, advice: fn(&OTelSdkError) -> RetryAdvice) -> Self {
        self.advice = advice;
        self
    }

    /// Checks the settings, and starts the thread.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used, or a thread that cannot be started.
    pub fn spawn(self) -> Result<ResilientExporter, BuildError> {
        let hour = Duration::from_secs(3600);
        BuildError::check_range("export_timeout", self.export_timeout, Duration::from_millis(1)..=hour)?;
        BuildError::check_range("max_parked_spans", self.max_parked_spans, 1..=u64::MAX)?;
        let breaker = CircuitBreaker::new(self.breaker)?;
        let settings = Settings {
            backoff: self.backoff,
            breaker: breaker.clone(),
            export_timeout: self.export_timeout,
            max_parked: self.max_parked_spans,
        };
        let exporter = Arc::new(RwLock::new(self.exporter));
        let advice = self.advice;
        let export = {
            let exporter = Arc::clone(&exporter);
            move |batch| {
                let exporter = Arc::clone(&exporter);
                async move {
                    exporter
                        .read()
                        .await
                        .export(batch)
                        .await
                        .map_err(|error| advice(&error))
                }
            }
        };
        Ok(ResilientExporter {
            worker: Worker::spawn(settings, suppressed, export)?,
            breaker,
            inner: exporter,
            flush_timeout: self.export_timeout,
        })
    }
}

impl SpanExporter for ResilientExporter {
    /// Parks the batch, to be sent at once if it can be. An error says that there was no room, or that it is too late.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self.worker.push(batch) {
            Parked::In => Ok(()),
            Parked::Cut(taken) => Err(lost(&format!("room for {taken} spans of the batch only"))),
            Parked::Refused(LossReason::AlreadyShutdown) => Err(OTelSdkError::AlreadyShutdown),
            Parked::Refused(reason) => Err(lost(reason.as_str())),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        match self.worker.flush(self.flush_timeout).pending {
            0 => Ok(()),
            _ => Err(OTelSdkError::Timeout(self.flush_timeout)),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let before = self.worker.ledger().lost[LossReason::ShutdownTimeout];
        let ledger = self.worker.shutdown(timeout);
        let inner = self.inner.shutdown(timeout);
        match ledger.lost[LossReason::ShutdownTimeout] - before {
            0 => inner,
            spans => Err(lost(&format!("{spans} could not be delivered before the deadline"))),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter + 'static> Inner for RwLock<E> {
    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        // If an export is under way still, the deadline is over and the exporter is gone with its thread.
        self.try_read().map_or(Err(OTelSdkError::Timeout(timeout)), |exporter| {
            exporter.shutdown_with_timeout(timeout)
        })
    }

    fn set_resource(&self, resource: &Resource) {
        // The SDK calls this while it builds the provider, before there is a span.
        if let Ok(mut exporter) = self.try_write() {
            exporter.set_resource(resource);
        }
    }
}

fn advice(error: &OTelSdkError) -> RetryAdvice {
    match error {
        OTelSdkError::AlreadyShutdown => RetryAdvice::Never,
        OTelSdkError::Timeout(_) | OTelSdkError::InternalFailure(_) => RetryAdvice::Retry { server_delay: None },
    }
}

fn lost(why: &str) -> OTelSdkError {
    OTelSdkError::InternalFailure(format!("spans are lost: {why}"))
}

/// What the exporter does makes no spans.
fn suppressed(run: &mut dyn FnMut()) {
    let _guard = Context::enter_telemetry_suppressed_scope();
    run();
}

impl fmt::Debug for ResilientExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilientExporter")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for ResilientExporterBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilientExporterBuilder")
            .field("backoff", &self.backoff)
            .field("breaker", &self.breaker)
            .field("export_timeout", &self.export_timeout)
            .field("max_parked_spans", &self.max_parked_spans)
            .finish_non_exhaustive()
    }
}
