//! Knows the threads that deliver, whose own spans are not to be delivered.
//!
//! The pipeline's thread runs with OpenTelemetry's telemetry suppressed. That is not enough. The suppression is a part of the
//! current context, and a span of `tracing` without a parent does not have that context: h2 makes one for each connection, and
//! makes all its other spans inside of it. At the level TRACE, under `tracing-opentelemetry`, each request would so make dozens of
//! spans, and these the next request. So a pipeline samples nothing that begins on such a thread, whatever the context says.

use std::cell::Cell;
use std::task::{Context, Poll};

use spanwright_core::{EncodedBatch, ExportError, Exporter, Receipt};
use tower_service::Service;

thread_local! {
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is one that delivers.
///
/// # Cost
///
/// One read of the thread's own storage.
pub(crate) fn delivers() -> bool {
    DELIVERS.get()
}

/// An exporter by which a thread is known: only a pipeline's own thread ever asks it whether it is ready.
pub(crate) struct OwnThread<S>(pub(crate) S);

impl<S: Exporter> Service<EncodedBatch> for OwnThread<S> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        DELIVERS.set(true);
        self.0.poll_ready(cx)
    }

    fn call(&mut self, batch: EncodedBatch) -> S::Future {
        self.0.call(batch)
    }
}
