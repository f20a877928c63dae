//! The less loaded of two.
//!
//! # Source
//!
//! M. Mitzenmacher: *The power of two choices in randomized load balancing*, 2001; `tower::balance::p2c` does the same for services that
//! come and go.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use spanwright_core::{BoxExporter, BuildError, EncodedBatch, ErrorKind, ExportError, Receipt};
use tower_service::Service;

use super::failover::sooner;
use crate::random::{Random, ThreadRandom};

/// Spreads requests over several exporters: of two that are drawn by chance, the one with fewer requests under way gets the next.
///
/// One that cannot be used (its `poll_ready` is an error or not yet ready) is passed over.
pub struct Balance<R = ThreadRandom> {
    endpoints: Box<[Endpoint]>,
    ready: Option<usize>,
    random: R,
}

struct Endpoint {
    name: Arc<str>,
    exporter: BoxExporter,
    in_flight: Arc<AtomicUsize>,
    is_ready: bool,
}

/// Counts a request as under way for as long as it lives.
struct UnderWay(Arc<AtomicUsize>);

impl Balance {
    /// Over these, each with a name.
    ///
    /// # Errors
    ///
    /// None.
    pub fn new(exporters: impl IntoIterator<Item = (Arc<str>, BoxExporter)>) -> Result<Self, BuildError> {
        Self::with_random(exporters, ThreadRandom)
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
        let endpoints: Box<[_]> = exporters.into_iter().map(Endpoint::new).collect();
        if endpoints.is_empty() {
            return Err(BuildError::new("endpoints", "none", "at least one"));
        }
        Ok(Self {
            endpoints,
            ready: None,
            random,
        })
    }

    /// How many requests are under way to each.
    pub fn in_flight(&self) -> impl Iterator<Item = (&str, usize)> {
        self.endpoints.iter().map(|endpoint| (&*endpoint.name, endpoint.load()))
    }

    /// Of the ready ones, the less loaded of two.
    fn choose(&mut self) -> Option<usize> {
        let ready: Vec<_> = (0..self.endpoints.len())
            .filter(|index| self.endpoints[*index].is_ready)
            .collect();
        let mut draw = |below: usize| ((self.random.unit() * below as f64) as usize).min(below - 1);
        match ready.len() {
            0 => None,
            1 => Some(ready[0]),
            count => {
                let first = draw(count);
                let second = (first + 1 + draw(count - 1)) % count;
                let [first, second] = [ready[first], ready[second]];
                let is_lighter = self.endpoints[second].load() < self.endpoints[first].load();
                Some(if is_lighter { second } else { first })
            }
        }
    }
}

impl Endpoint {
    fn new((name, exporter): (Arc<str>, BoxExporter)) -> Self {
        Self {
            name,
            exporter,
            in_flight: Arc::default(),
            is_ready: false,
        }
    }

    fn load(&self) -> usize {
        // Relaxed: a guess that is a moment old is as good.
        self.in_flight.load(Ordering::Relaxed)
    }
}

impl<R: Random + Send + 'static> Service<EncodedBatch> for Balance<R> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        let (mut soonest, mut is_pending) = (None, false);
        for endpoint in &mut self.endpoints {
            // A layer that has given a place already may not be asked for another.
            if endpoint.is_ready {
                continue;
            }
            match endpoint.exporter.poll_ready(cx) {
                Poll::Pending => is_pending = true,
                Poll::Ready(Ok(())) => endpoint.is_ready = true,
                Poll::Ready(Err(error)) => soonest = Some(sooner(soonest, error)),
            }
        }
        self.ready = self.choose();
        match (self.ready, soonest) {
            (Some(_), _) => Poll::Ready(Ok(())),
            (None, Some(error)) if !is_pending => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        let Some(index) = self.ready.take() else {
            let error = ExportError::new(ErrorKind::Retryable, "not_ready", "called before it was ready");
            return Box::pin(std::future::ready(Err(error)));
        };
        let endpoint = &mut self.endpoints[index];
        endpoint.is_ready = false;
        let under_way = UnderWay::new(&endpoint.in_flight);
        let export = endpoint.exporter.call(batch);
        Box::pin(async move {
            let _under_way = under_way;
            export.await
        })
    }
}

impl UnderWay {
    fn new(in_flight: &Arc<AtomicUsize>) -> Self {
        // Relaxed, as every look at it: see `Endpoint::load`.
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(in_flight))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<R> fmt::Debug for Balance<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loads = self.endpoints.iter().map(|endpoint| (&endpoint.name, endpoint.load()));
        f.debug_map().entries(loads).finish()
    }
}
