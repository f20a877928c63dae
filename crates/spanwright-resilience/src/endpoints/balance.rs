//! The less loaded of two.
//!
//! # Source
//!
//! M. Mitzenmacher: *The power of two choices in randomized load balancing*, 2001; `tower::balance::p2c` does the same for services that
//! come and go.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use spanwright_core::{BoxExporter, BuildError, EncodedBatch, ErrorKind, ExportError, Receipt};
use tower_service::Service;

use super::discover::Discover;
use super::set::{Export, Set};
use crate::random::ThreadRandom;
use spanwright_core::Random;

/// Spreads requests over several exporters: of two that are drawn by chance, the one with fewer requests under way gets the next.
///
/// One that cannot be used (its `poll_ready` is an error or not yet ready) is passed over.
pub struct Balance<R = ThreadRandom> {
    set: Set,
    ready: Option<usize>,
    random: R,
}

impl Balance {
    /// Over these, each with a name.
    ///
    /// # Errors
    ///
    /// None.
    pub fn new(exporters: impl IntoIterator<Item = (Arc<str>, BoxExporter)>) -> Result<Self, BuildError> {
        Self::with_random(exporters, ThreadRandom)
    }

    /// Over those that `source` says, as they come and go. One that went gets no more requests; those under way to it are finished.
    ///
    /// Until the first is there, it is not ready.
    pub fn over(source: impl Discover) -> Self {
        Self {
            set: Set::over(source),
            ready: None,
            random: ThreadRandom,
        }
    }
}

impl<R: Random> Balance<R> {
    /// The same, drawn by this generator.
    ///
    /// # Errors
    ///
    /// None.
    pub fn with_random(
        exporters: impl IntoIterator<Item = (Arc<str>, BoxExporter)>,
        random: R,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            set: Set::fixed(exporters)?,
            ready: None,
            random,
        })
    }

    /// How many requests are under way to each.
    pub fn in_flight(&self) -> impl Iterator<Item = (&str, usize)> {
        self.set.loads()
    }

    /// Of the ready ones, the less loaded of two.
    fn choose(&mut self) -> Option<usize> {
        let ready: Vec<_> = self.set.ready().collect();
        let load = |index: usize| self.set.endpoints()[index].load();
        let mut draw = |below: usize| ((self.random.unit() * below as f64) as usize).min(below - 1);
        match ready.len() {
            0 => None,
            1 => Some(ready[0]),
            count => {
                let first = draw(count);
                let second = (first + 1 + draw(count - 1)) % count;
                let [first, second] = [ready[first], ready[second]];
                let is_lighter = load(second) < load(first);
                Some(if is_lighter { second } else { first })
            }
        }
    }
}

impl<R: Random + Send + 'static> Service<EncodedBatch> for Balance<R> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Export;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        let others = self.set.poll(cx);
        self.ready = self.choose();
        match (self.ready, others.soonest) {
            (Some(_), _) => Poll::Ready(Ok(())),
            (None, Some(error)) if !others.is_pending => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    fn call(&mut self, batch: EncodedBatch) -> Export {
        match self.ready.take() {
            Some(index) => self.set.call(index, batch),
            None => {
                let error = ExportError::new(ErrorKind::Retryable, "not_ready", "called before it was ready");
                Box::pin(std::future::ready(Err(error)))
            }
        }
    }
}

impl<R> fmt::Debug for Balance<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.set.loads()).finish()
    }
}
