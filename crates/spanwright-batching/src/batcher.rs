//! Batches of anything.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use spanwright_core::{BuildError, ErrorKind, ExportError, LossReason, NoopObserver, Observer, Pressure, Receipt};

use crate::collect::Items;
use crate::config::BatchConfig;
use crate::engine::Destination;
use crate::handle::{Handle, Parts};
use crate::monitor::QueueMonitor;
use crate::report::{FlushError, Report, Stats};
use crate::sizer::BatchSizer;
use crate::worker::{Sink, SinkFuture};

/// Collects items of any type and hands them to an async function, when there are enough of them or the oldest has waited long
/// enough: the engine of the span processor, for everything else.
///
/// Clones push into the same queue. Pushing never blocks and never awaits; the function runs on a thread and runtime of the
/// batcher's own, several calls at a time if [`BatchConfig::with_max_concurrent_exports`] says so. When the last clone goes,
/// what is left is handed over, within five seconds.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
/// use spanwright_batching::{BatchConfig, Batcher};
///
/// let (sender, batches) = mpsc::channel();
/// let config = BatchConfig::default().with_max_export_batch_size(2).with_max_concurrent_exports(1);
/// let batcher = Batcher::builder().with_config(config).spawn(move |items: Vec<String>| {
///     let sender = sender.clone();
///     async move { sender.send(items) }
/// })?;
/// for word in ["one", "two", "three"] {
///     batcher.push(word.to_owned())?;
/// }
/// assert_eq!(batches.recv()?, ["one", "two"]); // by size
/// let report = batcher.flush(Duration::from_secs(5))?;
/// assert_eq!(batches.recv()?, ["three"]);
/// assert!(report.is_complete());
/// batcher.stats().ledger().check()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
///
/// [`push`](Self::push): one uncontended lock of the thread's own, one atomic addition, no allocation beside the growth of the
/// batch itself.
pub struct Batcher<T: Send + 'static> {
    handle: Handle<Items<T>>,
}

/// Settings of a [`Batcher`].
pub struct BatcherBuilder<T> {
    parts: Parts,
    size: fn(&T) -> usize,
}

impl<T: Send + 'static> Batcher<T> {
    /// Starts with the default [`BatchConfig`].
    #[must_use]
    pub fn builder() -> BatcherBuilder<T> {
        BatcherBuilder {
            parts: Parts {
                config: BatchConfig::default(),
                sizer: None,
                observer: Arc::new(NoopObserver),
                pressure: Pressure::new(),
                around: |run| run(),
            },
            size: |_| size_of::<T>(),
        }
    }

    /// Takes an item in.
    ///
    /// # Errors
    ///
    /// There is no room, or the batcher is shut down. The item comes back; it is counted as lost.
    pub fn push(&self, item: T) -> Result<(), PushError<T>> {
        let mut item = Some(item);
        self.handle.push(&mut item).map_err(|reason| PushError { item, reason })
    }

    /// Hands over everything that was pushed before, and waits for that, for at most `timeout`.
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

    /// As [`flush`](Self::flush), and the end: nothing is taken in any more, and what is left after `timeout` is lost.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub fn shutdown(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.handle.shutdown(timeout)
    }

    /// As [`shutdown`](Self::shutdown), without blocking. Works under every runtime.
    ///
    /// # Errors
    ///
    /// See [`FlushError`].
    pub async fn shutdown_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.handle.shutdown_async(timeout).await
    }

    /// Everything that can be counted, at one moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Shows how full the queue is.
    #[must_use]
    pub fn queue(&self) -> QueueMonitor {
        self.handle.queue()
    }
}

impl<T: Send + 'static> BatcherBuilder<T> {
    /// Sizes, delays and the bound. `max_export_batch_size` and `scheduled_delay` are what makes a batch leave.
    #[must_use]
    pub fn with_config(mut self, config: BatchConfig) -> Self {
        self.parts.config = config;
        self
    }

    /// How many bytes an item stands for, against `max_queue_bytes` and `max_export_batch_bytes`. Default: its size in memory
    /// without what it points to.
    #[must_use]
    pub fn with_item_size(mut self, size: fn(&T) -> usize) -> Self {
        self.size = size;
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

    /// Checks the settings, and starts the thread that calls `sink` with each batch.
    ///
    /// A batch whose call fails or panics is lost (the items went into the call), and counted as such.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used, or a thread that cannot be started.
    pub fn spawn<F, R, E>(self, sink: F) -> Result<Batcher<T>, BuildError>
    where
        F: FnMut(Vec<T>) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let sinks = vec![(Destination::new("sink"), FunctionSink(sink))];
        Ok(Batcher {
            handle: Handle::spawn(Items::new(self.size), sinks, self.parts)?,
        })
    }
}

struct FunctionSink<F>(F);

impl<T, F, R, E> Sink<Vec<T>> for FunctionSink<F>
where
    F: FnMut(Vec<T>) -> R + Send + 'static,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, items: Vec<T>) -> SinkFuture {
        let call = (self.0)(items);
        Box::pin(async move {
            let failed = |error: E| {
                let error = error.into();
                ExportError::new(ErrorKind::Permanent, "sink", error.to_string()).with_source(error)
            };
            call.await.map(|()| Receipt::accepted()).map_err(failed)
        })
    }
}

impl<T: Send + 'static> Clone for Batcher<T> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Batcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batcher").field(&self.handle).finish()
    }
}

impl<T> fmt::Debug for BatcherBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}

/// An item that was not taken.
pub struct PushError<T> {
    item: Option<T>,
    reason: LossReason,
}

impl<T> PushError<T> {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> LossReason {
        self.reason
    }

    /// The item.
    #[must_use]
    pub fn into_item(self) -> Option<T> {
        self.item
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item not taken: {}", self.reason)
    }
}

impl<T> std::error::Error for PushError<T> {}
