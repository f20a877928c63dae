//! An exporter behind a breaker.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use spanwright_core::{EncodedBatch, ErrorKind, ExportError, Exporter, Receipt};
use tower_service::Service;

use super::{CallOutcome, CircuitBreaker, Permit};

/// An exporter that is left alone while it does not answer.
///
/// While the breaker is open, `poll_ready` is an error that says how long: so whoever sends keeps its requests instead of waiting for
/// a place, and the first one that it sends afterwards, the oldest that it has, is the probe.
#[derive(Clone, Debug)]
pub struct BreakerService<S> {
    exporter: S,
    breaker: CircuitBreaker,
}

impl<S> BreakerService<S> {
    pub(super) const fn new(exporter: S, breaker: CircuitBreaker) -> Self {
        Self { exporter, breaker }
    }

    /// The breaker in front of it.
    pub const fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}

impl<S: Exporter> Service<EncodedBatch> for BreakerService<S> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        match self.breaker.closed_for() {
            Some(retry_after) => Poll::Ready(Err(is_open(retry_after))),
            None => self.exporter.poll_ready(cx),
        }
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        // Between readiness and the call another clone may have become the probe.
        let permit = match self.breaker.try_acquire() {
            Ok(permit) => permit,
            Err(retry_after) => return Box::pin(std::future::ready(Err(is_open(retry_after)))),
        };
        let export = self.exporter.call(batch);
        Box::pin(async move {
            let result = export.await;
            let outcome = outcome(&result, &permit);
            permit.record(outcome);
            result
        })
    }
}

/// What a result says of whether the receiver is there.
///
/// # Source
///
/// gRPC's UNAVAILABLE and DEADLINE_EXCEEDED, HTTP's 502, 503 and 504, and no connection. RESOURCE_EXHAUSTED and 429 are answers.
fn outcome(result: &Result<Receipt, ExportError>, permit: &Permit) -> CallOutcome {
    let error = match result {
        Ok(_) => {
            let elapsed = permit.elapsed();
            return CallOutcome::Success { elapsed };
        }
        Err(error) => error,
    };
    let is_unavailable = match error.kind() {
        ErrorKind::Connect => true,
        ErrorKind::Retryable => matches!(
            error.error_type(),
            "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "timeout" | "502" | "503" | "504"
        ),
        _ => false,
    };
    if is_unavailable {
        CallOutcome::Unavailable {
            server_delay: error.retry_after(),
        }
    } else {
        CallOutcome::Neutral
    }
}

fn is_open(retry_after: Duration) -> ExportError {
    ExportError::new(
        ErrorKind::Retryable,
        "circuit_breaker_open",
        "the receiver is left alone",
    )
    .with_retry_after(Some(retry_after))
}
