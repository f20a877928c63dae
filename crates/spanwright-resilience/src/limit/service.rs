//! An exporter with a limit.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use spanwright_core::{EncodedBatch, ErrorKind, ExportError, Exporter, Receipt};
use tower_service::Service;

use super::LimitOutcome;
use super::concurrency::{Concurrency, Place};

/// An exporter that is ready while it has a place for one more request.
#[derive(Debug)]
pub struct LimitService<S> {
    exporter: S,
    concurrency: Concurrency,
    place: Option<Place>,
}

impl<S> LimitService<S> {
    pub(super) const fn new(exporter: S, concurrency: Concurrency) -> Self {
        Self {
            exporter,
            concurrency,
            place: None,
        }
    }

    /// Its places.
    pub const fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }
}

impl<S: Exporter> Service<EncodedBatch> for LimitService<S> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        if self.place.is_none() {
            self.place = Some(ready!(self.concurrency.poll_place(cx)));
        }
        self.exporter.poll_ready(cx)
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        let mut place = self.place.take();
        if let Some(place) = &mut place {
            place.begin();
        }
        let export = self.exporter.call(batch);
        Box::pin(async move {
            let result = export.await;
            if let Some(place) = place {
                place.end(outcome(&result));
            }
            result
        })
    }
}

/// A clone has no place yet.
impl<S: Clone> Clone for LimitService<S> {
    fn clone(&self) -> Self {
        Self::new(self.exporter.clone(), self.concurrency.clone())
    }
}

/// Only a success says how long a round trip takes; that a receiver is not there says nothing of how much it could take.
fn outcome(result: &Result<Receipt, ExportError>) -> LimitOutcome {
    match result.as_ref().map_err(ExportError::kind) {
        Ok(_) => LimitOutcome::Success,
        Err(ErrorKind::Retryable) => LimitOutcome::Overload,
        Err(_) => LimitOutcome::Ignore,
    }
}
