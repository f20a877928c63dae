//! Ctrl-C.

use std::future::pending;
use std::process;

use tokio::runtime::Runtime;
use tokio::signal::ctrl_c;
use tokio::sync::watch;

/// Knows whether the person at the terminal has had enough. The first time ends the load, the second time the process.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

/// What shells report of a program that SIGINT ended.
const EXIT_CODE: i32 = 130;

impl Interrupt {
    pub(crate) fn listen(runtime: &Runtime) -> Self {
        let (sender, receiver) = watch::channel(false);
        runtime.spawn(async move {
            if ctrl_c().await.is_ok() {
                sender.send_replace(true);
                eprintln!("\nending in good order; once more to leave at once");
                if ctrl_c().await.is_ok() {
                    process::exit(EXIT_CODE);
                }
            }
        });
        Self(receiver)
    }

    /// Done when it has happened, at once if it happened before.
    pub(crate) async fn happened(mut self) {
        if self.0.wait_for(|happened| *happened).await.is_err() {
            // Nobody listens (any more), so it cannot happen.
            pending().await
        }
    }
}
