//! What monitoring listens to.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::semconv::Metric;
use crate::{BuildError, ContentEncoding, ExportError, IgnoredVariable, LossReason};

/// Hears what a pipeline does: measurements and events.
///
/// Every method does nothing by default. What happens to each single item is not told here but counted where it happens, and
/// read from the ledger; an observer is called once per request, per change of state, or per loss of many, from the thread
/// on which it happened. It must not block.
///
/// # Cost
///
/// None per item. With [`NoopObserver`] an indirect call that returns.
pub trait Observer: Send + Sync + 'static {
    /// A counter or up-down counter changed by `delta`.
    fn count(&self, metric: &'static Metric, delta: i64, attributes: &[(&'static str, &str)]) {
        let _ = (metric, delta, attributes);
    }

    /// A histogram got a value, or a gauge changed to it.
    fn record(&self, metric: &'static Metric, value: f64, attributes: &[(&'static str, &str)]) {
        let _ = (metric, value, attributes);
    }

    /// Something happened that a person may want to know.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }
}

/// An observer that hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoopObserver;

impl Observer for NoopObserver {}

/// Something that a person may want to know about. Each is sent on a change, not while it lasts.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The receiver refused a compressed request; from now on requests go out under `fallback`.
    EncodingRefused {
        /// What it refused.
        refused: ContentEncoding,
        /// What is sent instead.
        fallback: ContentEncoding,
    },
    /// An export failed. Retryable ones are told once, when the receiver becomes unreachable.
    ExportFailed {
        /// What went wrong.
        error: &'a ExportError,
        /// The items of the request.
        items: u64,
    },
    /// The exporter panicked; the worker goes on.
    ExporterPanicked {
        /// The message of the panic.
        message: &'a str,
        /// The items that it had in its hands.
        items: u64,
    },
    /// Items were lost. Sent once per request or sweep, not per item.
    Lost {
        /// Why.
        reason: LossReason,
        /// How many.
        items: u64,
    },
    /// The receiver took a request in part, or with a warning (`rejected` of 0).
    PartialSuccess {
        /// The items that it refused.
        rejected: u64,
        /// What it wrote.
        message: &'a str,
    },
    /// The queue came back under the low watermark.
    QueueRecovered {
        /// The share of the bound in use, 0 to 1.
        utilization: f64,
    },
    /// The queue went over the high watermark.
    QueueHigh {
        /// The share of the bound in use, 0 to 1.
        utilization: f64,
    },
    /// The receiver takes requests again.
    ReceiverRecovered {
        /// How long it did not.
        outage: Duration,
    },
    /// A request was too large for the receiver and goes out in halves.
    RequestSplit {
        /// The items of the request.
        items: u64,
    },
    /// A configuration of a sampler could not be used, and the sampler that there is goes on.
    SamplerRejected {
        /// What is wrong with it.
        error: &'a BuildError,
    },
    /// A sampler was replaced by another one.
    SamplerReplaced {
        /// The number of the one that decides from now on.
        generation: u64,
    },
    /// A sampler applied another strategy that it was sent.
    SamplingStrategyApplied {
        /// How many it has applied, with this one.
        generation: u64,
        /// The strategy in words.
        strategy: &'a str,
    },
    /// A sampler does not get a strategy that it could apply, and stays with the one that it has. Told once, when that begins.
    SamplingStrategyFailed {
        /// What went wrong.
        error: &'a (dyn Error + 'static),
    },
    /// A sampler gets strategies again.
    SamplingStrategyRecovered {
        /// How long it did not.
        outage: Duration,
    },
    /// Requests on disk were found damaged. What can be told of them is counted as lost; the bytes are kept for a person to see.
    SpoolDamaged {
        /// The requests, as far as they can be told apart.
        records: u64,
        /// Their items, by their headers.
        items: u64,
        /// The bytes that cannot be read.
        bytes: u64,
    },
    /// The disk takes no more requests for now; they stay in memory. Told once, until it recovers.
    SpoolDegraded {
        /// What the disk said.
        error: &'a io::Error,
    },
    /// The disk takes requests again.
    SpoolRecovered {
        /// How long it did not.
        outage: Duration,
    },
    /// Files of requests on disk cannot be read. They are left as they are, and tried again.
    SpoolUnreadable {
        /// How many files.
        segments: u64,
        /// What the disk said of the first.
        error: &'a io::Error,
    },
    /// A variable of the environment could not be used.
    VariableIgnored(&'a IgnoredVariable),
}
