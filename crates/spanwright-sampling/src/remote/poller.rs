//! The thread that asks.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use opentelemetry::Context;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout_at;

use super::error::{RemoteError, RemoteErrorKind, caught};

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Holds the thread: it ends when this is dropped.
pub(super) struct Poller {
    wishes: Mutex<Option<UnboundedSender<Wish>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread is there for.
pub(super) trait Errand: Send + 'static {
    /// When it is to be run next.
    fn due(&self) -> Instant;

    /// Asks, and books what came. `is_wished` if somebody waits for it: then everything is asked, whether it is due or not.
    ///
    /// It is dropped in the middle when nobody is interested any more.
    fn run(&mut self, is_wished: bool) -> impl Future<Output = Result<(), RemoteError>>;

    /// Books that it panicked, and returns what there is to say of it.
    fn panicked(&mut self, panic: RemoteError) -> RemoteError;
}

/// Somebody wants a poll now, and to hear how it went.
type Wish = Sender<Result<(), RemoteError>>;

impl Poller {
    /// Starts the thread. Its runtime is its own, so that it does not matter which one the application has, or whether.
    pub(super) fn spawn(errand: impl Errand) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (wishes, wished) = unbounded_channel();
        let worker = Worker {
            errand,
            wished,
            waiting: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("spanwright-remote".to_owned())
            .spawn(move || {
                // Nothing that is done here makes spans: neither those with a context, nor those that begin with one of their own.
                let _guard = Context::enter_telemetry_suppressed_scope();
                IS_OURS.set(true);
                // A panic that gets here is a defect of ours. The strategy in force stays.
                let _ = catch_unwind(AssertUnwindSafe(|| runtime.block_on(worker.run())));
                // Not by dropping it: that would wait for a name look-up under way.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            wishes: Mutex::new(Some(wishes)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Whether the calling thread is one of these.
    ///
    /// # Cost
    ///
    /// One read of the thread's own storage.
    pub(super) fn is_calling() -> bool {
        IS_OURS.get()
    }

    /// Asks now, and waits until it is through.
    pub(super) fn poll_now(&self) -> Result<(), RemoteError> {
        let stopped = || RemoteError::new(RemoteErrorKind::Stopped, "the sampler has stopped asking");
        let (wish, answer) = channel();
        let sent = match &*self.wishes.lock() {
            // On its own thread it would wait for itself.
            Some(wishes) if !Self::is_calling() => wishes.send(wish).is_ok(),
            _ => false,
        };
        if !sent {
            return Err(stopped());
        }
        answer.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// Ends the thread, and waits until it has ended.
    pub(super) fn stop(&self) {
        self.wishes.lock().take();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|_| !Self::is_calling()) {
            // It catches its panics.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_running = self.wishes.lock().is_some();
        f.debug_struct("Poller")
            .field("is_running", &is_running)
            .finish_non_exhaustive()
    }
}

/// Everything that the thread owns.
struct Worker<E> {
    errand: E,
    wished: UnboundedReceiver<Wish>,
    /// Who came while a poll was under way: its answer may be older than the wish.
    waiting: Vec<Wish>,
}

impl<E: Errand> Worker<E> {
    async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                match timeout_at(self.errand.due().into(), self.wished.recv()).await {
                    Ok(Some(wish)) => self.waiting.push(wish),
                    Ok(None) => return,
                    Err(_) => {}
                }
            }
            let served = std::mem::take(&mut self.waiting);
            let Some(ran) = self.run_errand(!served.is_empty()).await else {
                return;
            };
            let result = ran.unwrap_or_else(|panic| Err(self.errand.panicked(panic)));
            for wish in served {
                let _ = wish.send(result.clone());
            }
        }
    }

    /// Runs it once; an error if it panicked. `None` if nobody is interested any more.
    async fn run_errand(&mut self, is_wished: bool) -> Option<Result<Result<(), RemoteError>, RemoteError>> {
        let mut running = pin!(self.errand.run(is_wished));
        poll_fn(|cx| {
            while let Poll::Ready(wish) = self.wished.poll_recv(cx) {
                match wish {
                    Some(wish) => self.waiting.push(wish),
                    None => return Poll::Ready(None),
                }
            }
            match caught(|| running.as_mut().poll(cx)) {
                Ok(result) => result.map(|result| Some(Ok(result))),
                Err(panic) => Poll::Ready(Some(Err(panic))),
            }
        })
        .await
    }
}
