//! The thread that sends.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use spanwright_core::{Backoff, BuildError, Clock, Ledger, LossReason, SystemClock};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::lot::{Lot, Parked};
use crate::breaker::{CallOutcome, CircuitBreaker};
use crate::random::ThreadRandom;
use crate::retry::RetryAdvice;

/// How batches are sent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) backoff: Backoff,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) export_timeout: Duration,
    pub(crate) max_parked: u64,
}

/// A lot, and the thread that empties it.
pub(crate) struct Worker<T> {
    shared: Arc<Shared<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<T> {
    lot: Mutex<Lot<T>>,
    /// The lot has changed: for who waits without a runtime.
    changed: Condvar,
    /// There is something to do: for the thread.
    work: Notify,
    /// When the thread ends, once that is known.
    deadline: Mutex<Option<Instant>>,
}

/// Runs the thread's whole life, for instance in a scope that suppresses telemetry.
pub(crate) type Around = fn(&mut dyn FnMut());

impl<T: Clone + Send + 'static> Worker<T> {
    /// Starts the thread. `export` sends one batch; its error is advice.
    pub(crate) fn spawn<F>(
        settings: Settings,
        around: Around,
        export: impl Fn(Vec<T>) -> F + Send + 'static,
    ) -> Result<Self, BuildError>
    where
        F: Future<Output = Result<(), RetryAdvice>> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            lot: Mutex::new(Lot::new(settings.max_parked)),
            changed: Condvar::new(),
            work: Notify::new(),
            deadline: Mutex::default(),
        });
        let failed = |error| {
            let accepted = "a thread and a runtime that the system can start";
            BuildError::new("thread", "not started", accepted).with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let thread = thread::Builder::new().name("spanwright-parking".to_owned());
        let thread = thread
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let mut sender = Some(Sender {
                        shared: Arc::clone(&shared),
                        settings,
                        export,
                    });
                    let run = AssertUnwindSafe(|| {
                        around(&mut || {
                            if let Some(sender) = sender.take() {
                                runtime.block_on(sender.run());
                            }
                        });
                    });
                    // The exporter's panics are caught on their own. Nothing may wait for a thread that is gone.
                    let _ = catch_unwind(run);
                    let mut lot = shared.lot.lock();
                    lot.close();
                    lot.give_up();
                    drop(lot);
                    shared.changed.notify_all();
                    runtime.shutdown_background();
                }
            })
            .map_err(failed)?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn push(&self, batch: Vec<T>) -> Parked {
        let parked = self.shared.lot.lock().push(batch);
        self.shared.work.notify_one();
        parked
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.shared.lot.lock().ledger()
    }

    /// Waits until nothing is pending, for so long at most. Blocks the calling thread.
    pub(crate) fn flush(&self, within: Duration) -> Ledger {
        self.wait(SystemClock.now() + within)
    }

    /// Sends what is there, for so long at most, and ends the thread. What is left is lost.
    pub(crate) fn shutdown(&self, within: Duration) -> Ledger {
        let deadline = SystemClock.now() + within;
        self.shared.lot.lock().close();
        *self.shared.deadline.lock() = Some(deadline);
        self.shared.work.notify_one();
        // The thread needs a moment beyond the deadline to say what it did.
        self.wait(deadline + GRACE);
        if let Some(thread) = self.thread.lock().take_if(|thread| thread.is_finished()) {
            let _ = thread.join();
        }
        self.ledger()
    }

    fn wait(&self, until: Instant) -> Ledger {
        let mut lot = self.shared.lot.lock();
        while lot.ledger().pending > 0 {
            if self.shared.changed.wait_until(&mut lot, until).timed_out() {
                break;
            }
        }
        lot.ledger()
    }
}

const GRACE: Duration = Duration::from_secs(1);

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        // Whoever wants the rest to be delivered shuts down first.
        let now = SystemClock.now();
        self.shared.deadline.lock().get_or_insert(now);
        self.shared.work.notify_one();
    }
}

/// What runs on the thread.
struct Sender<T, E> {
    shared: Arc<Shared<T>>,
    settings: Settings,
    export: E,
}

impl<T, E, F> Sender<T, E>
where
    T: Clone + Send + 'static,
    E: Fn(Vec<T>) -> F,
    F: Future<Output = Result<(), RetryAdvice>> + Send + 'static,
{
    async fn run(mut self) {
        loop {
            let next = self.shared.lot.lock().take();
            let Some(batch) = next else {
                if self.deadline().is_some() {
                    return;
                }
                self.shared.work.notified().await;
                continue;
            };
            let is_over = self.deadline().is_some_and(|deadline| SystemClock.now() >= deadline);
            if is_over {
                self.shared.lot.lock().put_back(batch);
                return;
            }
            self.send(batch).await;
        }
    }

    /// Sends a batch, or puts it back and waits for a while.
    async fn send(&mut self, batch: Vec<T>) {
        let permit = match self.settings.breaker.try_acquire() {
            Ok(permit) => permit,
            Err(closed_for) => {
                self.shared.lot.lock().put_back(batch);
                return self.pause(closed_for).await;
            }
        };
        let items = batch.len() as u64;
        let limit = self.settings.export_timeout;
        // In a task of its own, so that a panic is only its own.
        let export = tokio::spawn(timeout(limit, (self.export)(batch.clone())));
        let result = match export.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(RetryAdvice::Retry { server_delay: None }),
            Err(_) => {
                drop(permit);
                return self.settle(items, Some(LossReason::ExporterPanicked));
            }
        };
        match result {
            Ok(()) => {
                let elapsed = permit.elapsed();
                permit.record(CallOutcome::Success { elapsed });
                self.settings.backoff.reset();
                self.settle(items, None);
            }
            Err(RetryAdvice::Never) => {
                permit.record(CallOutcome::Neutral);
                self.settle(items, Some(LossReason::Permanent));
            }
            Err(RetryAdvice::Retry { server_delay }) => {
                permit.record(CallOutcome::Unavailable { server_delay });
                self.shared.lot.lock().put_back(batch);
                let delay = self.settings.backoff.next_delay(server_delay, &mut ThreadRandom);
                self.pause(delay).await;
            }
        }
    }

    fn settle(&self, items: u64, lost: Option<LossReason>) {
        self.shared.lot.lock().settle(items, lost);
        self.shared.changed.notify_all();
    }

    /// New batches are no reason to come back earlier; a shutdown is.
    async fn pause(&self, delay: Duration) {
        let mut wait = std::pin::pin!(sleep(delay));
        loop {
            let deadline = self.deadline();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(SystemClock.now()));
            tokio::select! {
                () = &mut wait => return,
                () = sleep(left.unwrap_or(delay)), if left.is_some() => return,
                () = self.shared.work.notified() => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        *self.shared.deadline.lock()
    }
}
