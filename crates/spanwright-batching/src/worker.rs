//! The pipeline thread: runs the engine against real time and real services.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use spanwright_core::{Clock, ErrorKind, ExportError, Receipt, SystemClock};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Sleep, sleep_until, timeout};

use crate::collect::Collect;
use crate::engine::{Action, Engine, FAR, Reply, RequestId};
use crate::intake::{Call, Intake};

/// Takes requests of one kind to a destination.
pub(crate) trait Sink<R>: Send + 'static {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>>;
    fn call(&mut self, request: R) -> SinkFuture;
}

pub(crate) type SinkFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

/// What handles ask of the thread.
pub(crate) struct Command {
    pub(crate) timeout: Duration,
    pub(crate) is_shutdown: bool,
    pub(crate) reply: Reply,
}

/// Where commands wait. The thread takes them whenever it is awake, and is woken for each.
#[derive(Default)]
pub(crate) struct Commands {
    waiting: Mutex<Option<Vec<Command>>>,
}

impl Commands {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::new(Some(Vec::new())),
        }
    }

    /// Puts a command in; gives it back if the thread has ended.
    pub(crate) fn put(&self, command: Command) -> Result<(), Command> {
        match &mut *self.waiting.lock() {
            Some(waiting) => {
                waiting.push(command);
                Ok(())
            }
            None => Err(command),
        }
    }

    fn take(&self) -> Vec<Command> {
        self.waiting.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whoever waits for an answer hears that there is none: the replies are dropped.
    fn close(&self) {
        self.waiting.lock().take();
    }
}

/// Everything that the thread owns.
pub(crate) struct Worker<C: Collect, S> {
    pub(crate) engine: Engine<C>,
    pub(crate) intake: Arc<Intake<C>>,
    pub(crate) sinks: Vec<S>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) export_timeout: Duration,
}

/// Wraps the thread's whole life, for instance in a scope that suppresses telemetry of its own.
pub(crate) type Around = fn(&mut dyn FnMut());

impl<C: Collect, S: Sink<C::Request>> Worker<C, S> {
    /// Starts the thread. Its runtime is its own, so that it does not matter which one the application has, or whether.
    pub(crate) fn spawn(self, name: &str, around: Around) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(name.into()).spawn(move || {
            let commands = Arc::clone(&self.commands);
            let intake = Arc::clone(&self.intake);
            let mut driver = Some(Driver::new(self));
            let run = AssertUnwindSafe(|| {
                around(&mut || {
                    if let Some(driver) = driver.take() {
                        runtime.block_on(driver.run());
                    }
                });
            });
            // A panic in here is a defect of ours (exporters are caught on their own). Nothing may hang or grow because of it.
            let _ = catch_unwind(run);
            intake.close();
            commands.close();
            // Not by dropping it: that would wait for name look-ups under way.
            runtime.shutdown_background();
        })
    }
}

/// The worker on its thread.
struct Driver<C: Collect, S> {
    worker: Worker<C, S>,
    is_ready: Vec<bool>,
    exports: JoinSet<Result<Receipt, ExportError>>,
    /// Which request a task has, for a task that panicked cannot say.
    tasks: Vec<(Id, usize, RequestId)>,
    tail: Tail,
}

/// What is to be done for the stage in front of the queue.
enum Tail {
    /// Nothing: there is none, or it is empty for ever.
    Done,
    /// Ask it again then.
    Due(Instant),
    /// Empty it, until then.
    Drain(Instant),
}

/// How long to wait before the stage is asked again that has more, while there is no room for it.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(10);

impl<C: Collect, S: Sink<C::Request>> Driver<C, S> {
    fn new(worker: Worker<C, S>) -> Self {
        let is_ready = vec![false; worker.sinks.len()];
        Self {
            worker,
            is_ready,
            exports: JoinSet::new(),
            tasks: Vec::new(),
            tail: Tail::Done,
        }
    }

    async fn run(mut self) {
        let now = SystemClock.now();
        if self.worker.intake.collect.has_tail() {
            self.tail = Tail::Due(now);
        }
        let mut timer = pin!(sleep_until(now.into()));
        poll_fn(|cx| self.poll(cx, timer.as_mut())).await;
    }

    /// Does what can be done now. Ready when shut down.
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        let intake = Arc::clone(&self.worker.intake);
        let mut armed = None;
        loop {
            let now = SystemClock.now();
            while let Poll::Ready(Some(done)) = self.exports.poll_join_next_with_id(cx) {
                self.complete(SystemClock.now(), done);
            }
            for Command {
                timeout,
                is_shutdown,
                reply,
            } in self.worker.commands.take()
            {
                let deadline = now + timeout.min(FAR);
                self.command(now, deadline, is_shutdown, reply);
            }
            self.poll_tail(now);
            // After all that may let a destination send again: who is not asked now does not wake us either.
            self.poll_readiness(now, cx);
            match self.worker.engine.poll(now, &self.is_ready) {
                Action::Export { outlet, id, request } => self.export(now, outlet, id, request),
                Action::Stop => return Poll::Ready(()),
                Action::Wait { until, is_saturated } => {
                    // Arm the bell, then look once more: what comes after that look rings it. See `Bell`. While every request
                    // that may be under way is, new items are no reason to wake up: the end of one of those is.
                    let least = if is_saturated { Call::Watermark } else { Call::Batch };
                    if armed != Some(is_saturated) {
                        intake.bell.arm(least, cx.waker());
                        armed = Some(is_saturated);
                        continue;
                    }
                    let until = match self.tail {
                        Tail::Done => until,
                        Tail::Due(at) | Tail::Drain(at) => until.min(at),
                    };
                    timer.as_mut().reset(until.into());
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn command(&mut self, now: Instant, deadline: Instant, is_shutdown: bool, reply: Reply) {
        let Worker { engine, intake, .. } = &mut self.worker;
        if !intake.collect.has_tail() {
            return match is_shutdown {
                true => engine.shutdown(now, deadline, reply),
                false => engine.flush(now, deadline, reply),
            };
        }
        let held = Arc::clone(intake);
        let reply: Reply = Box::new(move |mut report| {
            report.held = held.collect.held().items;
            reply(report);
        });
        if is_shutdown {
            intake.close();
            intake.await_threads();
            engine.shutdown_fed(now, deadline, reply);
            self.tail = Tail::Drain(deadline);
        } else {
            engine.flush(now, deadline, reply);
        }
    }

    /// Lets the stage in front of the queue go on, as far as there is room.
    fn poll_tail(&mut self, now: Instant) {
        let Worker { engine, intake, .. } = &mut self.worker;
        match self.tail {
            Tail::Due(due) if now >= due => {
                self.tail = match intake.poll_tail(now) {
                    Some(due) if due <= now && !intake.has_room() => Tail::Due(now + NO_ROOM_PAUSE),
                    Some(due) => Tail::Due(due),
                    None => Tail::Due(now + FAR),
                };
            }
            Tail::Drain(deadline) => {
                let (is_done, too_late) = intake.drain_tail(now >= deadline);
                if is_done {
                    self.tail = Tail::Done;
                    engine.fed(now, too_late);
                }
            }
            Tail::Due(_) | Tail::Done => {}
        }
    }

    fn poll_readiness(&mut self, now: Instant, cx: &mut Context<'_>) {
        for (outlet, sink) in self.worker.sinks.iter_mut().enumerate() {
            if self.is_ready[outlet] || !self.worker.engine.wants_ready(now, outlet) {
                continue;
            }
            match catch_unwind(AssertUnwindSafe(|| sink.poll_ready(cx))) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(Ok(()))) => self.is_ready[outlet] = true,
                Ok(Poll::Ready(Err(error))) => self.worker.engine.unavailable(now, outlet, &error),
                Err(panic) => {
                    let error = ExportError::new(ErrorKind::Retryable, "exporter_panicked", panic_message(&*panic));
                    self.worker.engine.unavailable(now, outlet, &error);
                }
            }
        }
    }

    fn export(&mut self, now: Instant, outlet: usize, id: RequestId, request: C::Request) {
        self.is_ready[outlet] = false;
        let sink = &mut self.worker.sinks[outlet];
        match catch_unwind(AssertUnwindSafe(|| sink.call(request))) {
            Ok(export) => {
                let limit = self.worker.export_timeout;
                let task = self.exports.spawn(async move {
                    let late = |_| {
                        let message = format!("no answer within {limit:?}");
                        ExportError::new(ErrorKind::Retryable, "timeout", message)
                    };
                    timeout(limit, export).await.map_err(late).and_then(|result| result)
                });
                self.tasks.push((task.id(), outlet, id));
            }
            Err(panic) => self.worker.engine.panicked(now, outlet, id, &panic_message(&*panic)),
        }
    }

    fn complete(&mut self, now: Instant, done: Result<(Id, Result<Receipt, ExportError>), JoinError>) {
        let task = done.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(index) = self.tasks.iter().position(|(known, ..)| *known == task) else {
            return;
        };
        let (_, outlet, id) = self.tasks.swap_remove(index);
        match done {
            Ok((_, result)) => self.worker.engine.complete(now, outlet, id, result),
            Err(error) => {
                let message = match error.try_into_panic() {
                    Ok(panic) => panic_message(&*panic),
                    Err(cancelled) => cancelled.to_string(),
                };
                self.worker.engine.panicked(now, outlet, id, &message);
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
