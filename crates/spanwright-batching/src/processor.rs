//! The processor: items that are encoded when they end.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use spanwright_core::{
    BoxExporter, BuildError, Encode, ExportError, Exporter, LossReason, NoopObserver, Observer, Pressure, Store,
    TailStage,
};
use tower_service::Service;

use crate::collect::{Class, Collect as _, Encoded, EncodedInput, EncodedRequest};
use crate::config::BatchConfig;
use crate::engine::Destination;
use crate::handle::{Handle, Parts};
use crate::monitor::QueueMonitor;
use crate::otel::{ResourceHook, suppressed};
use crate::report::{FlushError, Report, Stats};
use crate::sizer::BatchSizer;
use crate::worker::{Sink, SinkFuture};

/// Encodes each item when it ends, on the thread that ended it, and delivers the bytes in batches from a thread of its own.
///
/// For spans it is [`BatchSpanProcessor`](crate::BatchSpanProcessor). Clones are the same processor; when the last goes, it is
/// shut down within five seconds.
///
/// # Cost
///
/// Per item: the encoding, one uncontended lock of the thread's own, one atomic addition. No allocation in steady state, no
/// system call but one wake-up per batch, and never a wait for the receiver.
pub struct BatchProcessor<T: 'static, E: Encode<T>> {
    handle: Handle<Encoded<T, E, Classify<T>>>,
    pub(crate) export_timeout: Duration,
    pub(crate) resource_hook: Option<ResourceHook<E>>,
}

pub(crate) type Classify<T> = fn(&T) -> Class;

/// Settings of a [`BatchProcessor`].
pub struct BatchProcessorBuilder<T, E> {
    encoder: E,
    classify: Classify<T>,
    exporters: Vec<(Destination, BoxExporter)>,
    tail: Option<Arc<dyn TailStage<T>>>,
    parts: Parts,
    pub(crate) resource_hook: Option<ResourceHook<E>>,
}

impl<T: 'static, E: Encode<T>> BatchProcessor<T, E> {
    pub(crate) fn builder_with(encoder: E, classify: Classify<T>) -> BatchProcessorBuilder<T, E> {
        BatchProcessorBuilder {
            encoder,
            classify,
            exporters: Vec::new(),
            tail: None,
            parts: Parts {
                config: BatchConfig::default(),
                sizer: None,
                observer: Arc::new(NoopObserver),
                pressure: Pressure::new(),
                around: suppressed,
            },
            resource_hook: None,
        }
    }

    /// Takes an item that has ended. Never blocks. What cannot be taken is counted as lost.
    ///
    /// With a [tail stage](BatchProcessorBuilder::with_tail) it is held, kept or dropped as that decides, and with it what the stage
    /// had waited to decide about until this item ended. None of that is an error of this item.
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub fn end(&self, item: &T) -> Result<(), LossReason> {
        if self.has_tail() {
            return self.handle.hold(EncodedInput::Item(item));
        }
        self.handle.push(EncodedInput::Item(item))
    }

    pub(crate) fn has_tail(&self) -> bool {
        self.handle.collect().has_tail()
    }

    /// Delivers everything that ended before the call, and waits for that, for at most `timeout`.
    ///
    /// Blocks the calling thread, but needs nothing of it: it may be a runtime's only one.
    ///
    /// # Errors
    ///
    /// See [`FlushError`]. That the time was over is no error: the report has what is pending.
    pub fn flush(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.handle.flush(timeout)
    }

    /// As [`flush`](Self::flush), without blocking. Works under every runtime.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub async fn flush_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.handle.flush_async(timeout).await
    }

    /// As [`flush`](Self::flush), and the end: items that end later are counted as lost, and what is not delivered after
    /// `timeout` is cancelled and lost. One deadline, whatever has to be done before it.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub fn shutdown_within(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.handle.shutdown(timeout)
    }

    /// As [`shutdown_within`](Self::shutdown_within), without blocking. Works under every runtime.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub async fn shutdown_within_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.handle.shutdown_async(timeout).await
    }

    /// Everything that can be counted, at one moment.
    ///
    /// # Cost
    ///
    /// Holds up every thread that ends an item for as long as it takes to add up their counts: some microseconds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Shows how full the queue is.
    #[must_use]
    pub fn queue(&self) -> QueueMonitor {
        self.handle.queue()
    }

    pub(crate) fn encoder(&self) -> &E {
        &self.handle.collect().encoder
    }

    pub(crate) fn count_unsampled(&self) {
        self.handle.count_unsampled();
    }
}

impl<T: 'static, E: Encode<T>> BatchProcessorBuilder<T, E> {
    /// Sizes, delays, the bound, and what happens at it.
    #[must_use]
    pub fn with_config(mut self, config: BatchConfig) -> Self {
        self.parts.config = config;
        self
    }

    /// Where batches go. With several, each gets every batch, by reference, with a queue and an account of its own; none waits
    /// for another. Together they hold at most `max_queue_bytes`, each an equal share.
    #[must_use]
    pub fn with_exporter(mut self, name: impl Into<Arc<str>>, exporter: impl Exporter) -> Self {
        self.exporters
            .push((Destination::new(name), BoxExporter::new(exporter)));
        self
    }

    /// As [`with_exporter`](Self::with_exporter), with a place outside of memory for what this exporter cannot deliver now: a spool.
    ///
    /// Requests go there, the oldest first, while the bound is used up to the high watermark, and at the shutdown. From there they
    /// are delivered beside live ones, three of these for each, whenever the exporter takes requests. Where the store
    /// [writes ahead](Store::writes_ahead), each request is written before it is sent, at the latest 50 ms after its first item ended.
    ///
    /// Items on disk are pending in the ledger; those that earlier processes left enter it as [recovered](spanwright_core::Ledger::recovered).
    #[must_use]
    pub fn with_stored_exporter(
        mut self,
        name: impl Into<Arc<str>>,
        exporter: impl Exporter,
        store: Arc<dyn Store>,
    ) -> Self {
        let destination = Destination {
            name: name.into(),
            store: Some(store),
        };
        self.exporters.push((destination, BoxExporter::new(exporter)));
        self
    }

    /// What decides later, when more is known of an item's trace, whether it goes into the queue at all. Default: nothing, every
    /// item does.
    ///
    /// With one, items come to it that were only recorded, too: it takes the place of the flag that says whether they were sampled.
    /// Its ledger is [`Stats::tail`]. A flush makes it decide nothing early, a shutdown everything, within its deadline.
    #[must_use]
    pub fn with_tail(mut self, tail: Arc<dyn TailStage<T>>) -> Self {
        self.tail = Some(tail);
        self
    }

    /// Chooses the size of each batch. Default: always `max_export_batch_size`.
    #[must_use]
    pub fn with_sizer(mut self, sizer: impl BatchSizer) -> Self {
        self.parts.sizer = Some(Box::new(sizer));
        self
    }

    /// Hears what happens. Default: nobody.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.parts.observer = observer;
        self
    }

    /// Is told how close the queue is to dropping.
    #[must_use]
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.parts.pressure = pressure;
        self
    }

    pub(crate) fn with_classify(mut self, classify: Classify<T>) -> Self {
        self.classify = classify;
        self
    }

    /// Checks the settings, and starts the pipeline thread.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used, no exporter, or a thread that cannot be started.
    pub fn spawn(self) -> Result<BatchProcessor<T, E>, BuildError> {
        let Self {
            encoder,
            classify,
            exporters,
            tail,
            parts,
            resource_hook,
        } = self;
        let export_timeout = parts.config.export_timeout();
        let handle = Handle::spawn(Encoded::new(encoder, classify).with_tail(tail), exporters, parts)?;
        Ok(BatchProcessor {
            handle,
            export_timeout,
            resource_hook,
        })
    }
}

impl Sink<EncodedRequest> for BoxExporter {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Service::poll_ready(self, cx)
    }

    fn call(&mut self, request: EncodedRequest) -> SinkFuture {
        Service::call(self, request.batch)
    }
}

impl<T: 'static, E: Encode<T>> Clone for BatchProcessor<T, E> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            export_timeout: self.export_timeout,
            resource_hook: self.resource_hook,
        }
    }
}

impl<T: 'static, E: Encode<T>> fmt::Debug for BatchProcessor<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BatchProcessor").field(&self.handle).finish()
    }
}

impl<T, E> fmt::Debug for BatchProcessorBuilder<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessorBuilder")
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}
