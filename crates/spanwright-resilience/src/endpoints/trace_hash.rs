//! Each trace to the exporter that it belongs to.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use spanwright_core::{BoxExporter, BuildError, EncodedBatch, ErrorKind, ExportError, Receipt};
use tower_service::Service;

use super::discover::Discover;
use super::rendezvous::{choose, seed};
use super::set::{Export, Set};
use super::settle::settle;

/// Sends the spans of each trace to one of several exporters, always the same: for receivers that sample by tail, and have to see a
/// trace whole.
///
/// This is consistent hashing over the exporters' names, by rendezvous. Everybody who sends spans of a trace chooses alike, if the
/// names are alike: give the receivers' addresses. An exporter whose `poll_ready` is an error is left out, so give each a
/// [breaker](crate::CircuitBreakerLayer): then its traces, and no others, go elsewhere, and return when it is back. One that is busy is
/// waited for, because to pass it over would move its traces.
///
/// A request is cut into a part for each exporter, by a function that whoever knows the encoding has: `split(request, parts, part_of)`
/// makes `parts` requests of it, by what `part_of` says of a trace id. For OTLP that is `spanwright_otlp::split_by_trace`. The parts
/// are sent at the same time. A request that it does not cut (`None`, or not as many parts or items as asked for) goes to one exporter
/// as it is, whose receiver may know what it is.
///
/// # Errors
///
/// Where all parts were taken, there is one receipt. Where parts failed, the error is about the failed ones, and they are its
/// [rest](ExportError::rest), as one request. Of parts that failed for different reasons, those that may be sent again (or in halves)
/// are the rest, and those that a receiver refused for good count as rejected in the receipt, with the receiver's words.
///
/// # Cost
///
/// A draw (a dozen instructions) for each exporter and trace, what the split costs, and an allocation or two for each part.
///
/// # Source
///
/// D. G. Thaler, C. V. Ravishankar: *Using name-based mappings to increase hit rates*, IEEE/ACM Transactions on Networking 6(1),
/// 1998; the Collector's load-balancing exporter is for the same purpose.
pub struct TraceHash {
    set: Set,
    split: Box<Split>,
}

type Split = dyn Fn(&EncodedBatch, usize, &mut dyn FnMut([u8; 16]) -> usize) -> Option<Vec<EncodedBatch>> + Send;

impl TraceHash {
    /// Over these, each with a name of its own, by which it is chosen.
    ///
    /// # Errors
    ///
    /// None, or two of the same name.
    pub fn new<S>(exporters: impl IntoIterator<Item = (Arc<str>, BoxExporter)>, split: S) -> Result<Self, BuildError>
    where
        S: Fn(&EncodedBatch, usize, &mut dyn FnMut([u8; 16]) -> usize) -> Option<Vec<EncodedBatch>> + Send + 'static,
    {
        let set = Set::fixed(exporters)?;
        let mut names = BTreeSet::new();
        if let Some(twice) = set.names().find(|name| !names.insert(*name)) {
            return Err(BuildError::new(
                "endpoints",
                twice,
                "names that differ: traces are divided by them",
            ));
        }
        Ok(Self {
            split: Box::new(split),
            set,
        })
    }

    /// Over those that `source` says, as they come and go. With one that comes or goes, only its share of the traces moves; one that went
    /// gets no more requests, and those under way to it are finished.
    ///
    /// Until the first is there, it is not ready.
    pub fn over<S>(source: impl Discover, split: S) -> Self
    where
        S: Fn(&EncodedBatch, usize, &mut dyn FnMut([u8; 16]) -> usize) -> Option<Vec<EncodedBatch>> + Send + 'static,
    {
        Self {
            split: Box::new(split),
            set: Set::over(source),
        }
    }

    /// How many requests, or parts of such, are under way to each.
    pub fn in_flight(&self) -> impl Iterator<Item = (&str, usize)> {
        self.set.loads()
    }

    /// The parts, each with the index of its exporter. There is at least one exporter.
    fn divide(&self, usable: &[usize], batch: &EncodedBatch) -> Vec<(usize, EncodedBatch)> {
        let names = self.set.endpoints();
        let seeds: Vec<_> = usable.iter().map(|index| seed(names[*index].name())).collect();
        // Spans of one trace often stand together.
        let mut last = ([0; 16], choose(&seeds, [0; 16]));
        let whole = || vec![(usable[choose(&seeds, [0; 16])], batch.clone())];
        if usable.len() == 1 {
            return whole();
        }
        let mut part_of = |trace_id| {
            if last.0 != trace_id {
                last = (trace_id, choose(&seeds, trace_id));
            }
            last.1
        };
        let parts = (self.split)(batch, usable.len(), &mut part_of).filter(|parts| {
            let items: usize = parts.iter().map(EncodedBatch::item_count).sum();
            parts.len() == usable.len() && items == batch.item_count() && items > 0
        });
        let Some(parts) = parts else {
            return whole();
        };
        let indexed = usable.iter().copied().zip(parts);
        indexed.filter(|(_, part)| part.item_count() > 0).collect()
    }
}

impl Service<EncodedBatch> for TraceHash {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Export;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        let others = self.set.poll(cx);
        if others.is_pending {
            return Poll::Pending;
        }
        match (self.set.ready().next(), others.soonest) {
            (None, Some(error)) => Poll::Ready(Err(error)),
            (None, None) => Poll::Pending,
            (Some(_), _) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, batch: EncodedBatch) -> Export {
        let usable: Vec<_> = self.set.ready().collect();
        if usable.is_empty() {
            let error = ExportError::new(ErrorKind::Retryable, "not_ready", "called before it was ready");
            return Box::pin(std::future::ready(Err(error)));
        }
        let mut parts = self.divide(&usable, &batch);
        if parts.len() == 1
            && let Some((index, part)) = parts.pop()
        {
            return self.set.call(index, part);
        }
        let sent = parts.into_iter().map(|(index, part)| Part {
            batch: part.clone(),
            state: State::UnderWay(self.set.call(index, part)),
        });
        Box::pin(Parts {
            parts: sent.collect(),
            whole: batch,
        })
    }
}

/// The parts of a request, all under way.
struct Parts {
    whole: EncodedBatch,
    parts: Vec<Part>,
}

struct Part {
    batch: EncodedBatch,
    state: State,
}

enum State {
    UnderWay(Export),
    Done(Result<Receipt, ExportError>),
}

impl Future for Parts {
    type Output = Result<Receipt, ExportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut is_pending = false;
        for part in &mut self.parts {
            if let State::UnderWay(export) = &mut part.state {
                match export.as_mut().poll(cx) {
                    Poll::Ready(result) => part.state = State::Done(result),
                    Poll::Pending => is_pending = true,
                }
            }
        }
        if is_pending {
            return Poll::Pending;
        }
        let parts = std::mem::take(&mut self.parts).into_iter();
        let done = parts.filter_map(|part| match part.state {
            State::Done(result) => Some((part.batch, result)),
            State::UnderWay(_) => None,
        });
        Poll::Ready(settle(self.whole.clone(), done.collect()))
    }
}

impl fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.set.loads()).finish()
    }
}
