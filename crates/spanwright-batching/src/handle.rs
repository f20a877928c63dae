//! What holds a running queue: for the processor and the batcher alike.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use spanwright_core::{BuildError, Clock, LossReason, Observer, Pressure, SeededRandom, SystemClock};
use tokio::sync::oneshot;

use crate::collect::Collect;
use crate::config::BatchConfig;
use crate::engine::{Destination, Engine};
use crate::intake::Intake;
use crate::monitor::QueueMonitor;
use crate::report::{DestinationStats, FlushError, Report, Stats};
use crate::sizer::{BatchSizer, Fixed};
use crate::worker::{Around, Command, Commands, Sink, Worker};

/// A running queue. Clones are the same one; when the last goes, it is shut down within [`DROP_TIMEOUT`].
pub(crate) struct Handle<C: Collect> {
    shared: Arc<Shared<C>>,
}

/// How long dropping the last handle may take. The SDK's own shutdown default.
pub(crate) const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// How much longer than asked a caller waits for the thread's answer, which comes at the deadline and not before it.
const GRACE: Duration = Duration::from_secs(1);

/// How long an item waits at most before it is written, where each is before it is sent: half of what the end of the process may
/// cost, the other half for the way to the disk.
const WRITE_AHEAD_DELAY: Duration = Duration::from_millis(50);

struct Shared<C: Collect> {
    intake: Arc<Intake<C>>,
    commands: Arc<Commands>,
    monitor: QueueMonitor,
    names: Vec<Arc<str>>,
    thread: ThreadId,
    is_shutdown: AtomicBool,
}

/// What a queue is made of, beside what it collects and where that goes.
pub(crate) struct Parts {
    pub(crate) config: BatchConfig,
    pub(crate) sizer: Option<Box<dyn BatchSizer>>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) pressure: Pressure,
    pub(crate) around: Around,
}

impl<C: Collect> Handle<C> {
    /// Checks the settings and starts the pipeline thread.
    pub(crate) fn spawn<S>(collect: C, sinks: Vec<(Destination, S)>, parts: Parts) -> Result<Self, BuildError>
    where
        S: Sink<C::Request>,
    {
        let Parts {
            config,
            sizer,
            observer,
            pressure,
            around,
        } = parts;
        config.validate()?;
        if sinks.is_empty() {
            return Err(BuildError::new("exporters", "none", "at least one"));
        }
        let (destinations, sinks): (Vec<_>, Vec<_>) = sinks.into_iter().unzip();
        let names: Vec<_> = destinations
            .iter()
            .map(|it: &Destination| Arc::clone(&it.name))
            .collect();
        let mut limits = config.limits();
        if destinations.iter().any(Destination::writes_ahead) {
            limits.scheduled_delay = limits.scheduled_delay.min(WRITE_AHEAD_DELAY);
        }
        let (high, low) = (limits.high_watermark, limits.low_watermark());
        let intake = Arc::new(Intake::new(collect, limits, names.len(), pressure));
        let monitor = QueueMonitor::new(Arc::clone(&intake.bound), high, low);
        let sizer = sizer.unwrap_or_else(|| Box::new(Fixed::new(config.max_export_batch_size())));
        let random = SeededRandom::new(seed(&intake));
        let engine = Engine::new(
            Arc::clone(&intake),
            destinations,
            sizer,
            observer,
            monitor.clone(),
            random,
        );
        let commands = Arc::new(Commands::new());
        let worker = Worker {
            engine,
            intake: Arc::clone(&intake),
            sinks,
            commands: Arc::clone(&commands),
            export_timeout: config.export_timeout(),
        };
        let thread = worker.spawn("spanwright", around).map_err(|error| {
            BuildError::new(
                "pipeline thread",
                "not started",
                "a thread and a runtime that the system can start",
            )
            .with_source(error)
        })?;
        let thread = thread.thread().id();
        let is_shutdown = AtomicBool::new(false);
        Ok(Self {
            shared: Arc::new(Shared {
                intake,
                commands,
                monitor,
                names,
                thread,
                is_shutdown,
            }),
        })
    }

    pub(crate) fn push(&self, item: C::Input<'_>) -> Result<(), LossReason> {
        self.shared.intake.push(item)
    }

    /// As [`push`](Self::push), by way of the stage in front of the queue.
    pub(crate) fn hold(&self, item: C::Input<'_>) -> Result<(), LossReason> {
        self.shared.intake.hold(item)
    }

    pub(crate) fn count_unsampled(&self) {
        self.shared.intake.count_unsampled();
    }

    pub(crate) fn collect(&self) -> &C {
        &self.shared.intake.collect
    }

    pub(crate) fn queue(&self) -> QueueMonitor {
        self.shared.monitor.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        let snapshot = self.shared.intake.snapshot();
        let destination = |(index, name): (usize, &Arc<str>)| {
            let books = snapshot.outlets.get(index).cloned().unwrap_or_default();
            DestinationStats {
                name: Arc::clone(name),
                ledger: snapshot.ledger(index),
                requests_in_flight: books.requests_in_flight,
                waiting: books.waiting_items,
                parked: books.parked_items,
                parked_bytes: books.parked_bytes,
                spooled: books.spooled_items,
                replayed: books.replayed,
                is_reachable: books.is_reachable,
            }
        };
        Stats {
            destinations: self.shared.names.iter().enumerate().map(destination).collect(),
            queue_size: snapshot.used.items as usize,
            queue_bytes: snapshot.used.bytes as usize,
            queue_utilization: self.shared.monitor.utilization(),
            threads: snapshot.threads,
            unsampled: snapshot.unsampled(),
            tail: snapshot.tail(),
        }
    }

    pub(crate) fn flush(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.shared.wait(timeout, false)
    }

    pub(crate) async fn flush_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.shared.wait_async(timeout, false).await
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.shared.begin_shutdown()?;
        self.shared.wait(timeout, true)
    }

    pub(crate) async fn shutdown_async(&self, timeout: Duration) -> Result<Report, FlushError> {
        self.shared.begin_shutdown()?;
        self.shared.wait_async(timeout, true).await
    }
}

impl<C: Collect> Shared<C> {
    fn begin_shutdown(&self) -> Result<(), FlushError> {
        if self.is_shutdown.swap(true, Ordering::Relaxed) {
            Err(FlushError::AlreadyShutdown)
        } else {
            Ok(())
        }
    }

    /// Blocks the calling thread, which is never the one that does the work: that one refuses.
    fn wait(&self, timeout: Duration, is_shutdown: bool) -> Result<Report, FlushError> {
        let (sender, receiver) = sync_channel(1);
        let reply = Box::new(move |report| _ = sender.try_send(report));
        self.command(Command {
            timeout,
            is_shutdown,
            reply,
        })?;
        let patience = timeout.saturating_add(GRACE);
        receiver.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => FlushError::Unresponsive(patience),
            RecvTimeoutError::Disconnected => FlushError::AlreadyShutdown,
        })
    }

    async fn wait_async(&self, timeout: Duration, is_shutdown: bool) -> Result<Report, FlushError> {
        let (sender, receiver) = oneshot::channel();
        let reply = Box::new(move |report| _ = sender.send(report));
        self.command(Command {
            timeout,
            is_shutdown,
            reply,
        })?;
        receiver.await.map_err(|_| FlushError::AlreadyShutdown)
    }

    fn command(&self, command: Command) -> Result<(), FlushError> {
        if thread::current().id() == self.thread {
            return Err(FlushError::OnPipelineThread);
        }
        self.commands.put(command).map_err(|_| FlushError::AlreadyShutdown)?;
        self.intake.bell.ring_always();
        Ok(())
    }
}

impl<C: Collect> Drop for Shared<C> {
    fn drop(&mut self) {
        if self.begin_shutdown().is_ok() {
            // Whoever wants to know what became of the rest calls `shutdown`.
            let _ = self.wait(DROP_TIMEOUT, true);
        }
    }
}

impl<C: Collect> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Collect> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Differs between processes and queues, which is all that spreading retries needs.
fn seed<C: Collect>(intake: &Arc<Intake<C>>) -> u64 {
    let since_epoch = SystemClock
        .system_time()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32) ^ Arc::as_ptr(intake) as usize as u64
}
