//! Keeps our own requests out of the traces that they carry.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use opentelemetry::Context;

/// Runs a future with telemetry suppressed, so that an instrumented part below (a connector, a resolver) makes no span about
/// the delivery of spans, which would be delivered in turn.
///
/// The scope belongs to the thread and must not be kept across polls, so it is entered anew for each.
#[derive(Debug)]
pub(crate) struct Suppressed<F>(pub(crate) F);

impl<F: Future + Unpin> Future for Suppressed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let _scope = Context::enter_telemetry_suppressed_scope();
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Spawns what drives a connection, on the current runtime, [`Suppressed`] as the request is that opened it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuppressedExecutor;

impl<F> hyper::rt::Executor<F> for SuppressedExecutor
where
    F: Future<Output = ()> + Send + Unpin + 'static,
{
    fn execute(&self, future: F) {
        // Detached: it ends with its connection, or with the runtime.
        drop(tokio::spawn(Suppressed(future)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_is_suppressed_during_each_poll_and_not_between_them() {
        let mut polls = 0;
        let mut future = Suppressed(std::future::poll_fn(|_| {
            assert!(Context::is_current_telemetry_suppressed());
            polls += 1;
            if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
        }));
        let mut cx = task::Context::from_waker(task::Waker::noop());
        assert!(Pin::new(&mut future).poll(&mut cx).is_pending());
        assert!(!Context::is_current_telemetry_suppressed());
        assert!(Pin::new(&mut future).poll(&mut cx).is_ready());
        assert!(!Context::is_current_telemetry_suppressed());
    }

    #[tokio::test]
    async fn the_tasks_of_connections_are_suppressed_too() {
        let (report, reported) = tokio::sync::oneshot::channel();
        let task = Box::pin(async move {
            let _ = report.send(Context::is_current_telemetry_suppressed());
        });
        hyper::rt::Executor::execute(&SuppressedExecutor, task);
        assert!(reported.await.unwrap());
    }
}
