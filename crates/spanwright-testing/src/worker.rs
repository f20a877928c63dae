//! A thread with a runtime of its own, so that a test needs none.

use std::io;
use std::sync::mpsc as sync;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

/// A thread that runs one future, and takes commands of type `C` until it is dropped.
#[derive(Debug)]
pub(crate) struct Worker<C> {
    commands: Option<mpsc::UnboundedSender<Call<C>>>,
    thread: Option<JoinHandle<()>>,
}

/// The receiving end. It closes when the worker is dropped, which is the signal to end.
pub(crate) type Calls<C> = mpsc::UnboundedReceiver<Call<C>>;

/// A command whose caller waits for the result.
#[derive(Debug)]
pub(crate) struct Call<C> {
    pub(crate) command: C,
    done: sync::Sender<io::Result<()>>,
}

impl<C> Call<C> {
    pub(crate) fn finish(self, result: io::Result<()>) {
        // A caller that has gone does not need the result.
        let _ = self.done.send(result);
    }
}

impl<C: Send + 'static> Worker<C> {
    /// Starts the thread. `main` runs on it, in a current-thread runtime; what it spawned ends with it.
    pub(crate) fn spawn<F: Future<Output = ()>>(
        name: &str,
        main: impl FnOnce(Calls<C>) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, calls) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || runtime.block_on(main(calls)))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Has the thread do `command`, and waits until it is done.
    pub(crate) fn call(&self, command: C) -> io::Result<()> {
        let (done, result) = sync::channel();
        let sent = self
            .commands
            .as_ref()
            .map(|commands| commands.send(Call { command, done }));
        match sent {
            Some(Ok(())) => result.recv().unwrap_or_else(|_| Err(ended())),
            _ => Err(ended()),
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the thread has ended")
}

impl<C> Drop for Worker<C> {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // Its panic, if it had one, was printed when it happened.
            let _ = thread.join();
        }
    }
}
