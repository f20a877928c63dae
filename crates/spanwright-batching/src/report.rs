//! What flush and shutdown answer, and what can be read at any time.

use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

use spanwright_core::{Ledger, LossCounts, TailLedger};

/// What became of the items that a flush or a shutdown waited for: those that had ended before it was called and were still
/// ours. What was settled earlier is in the ledger ([`Stats`]).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// One for each destination, the first one's first.
    pub destinations: Vec<Delivery>,
    /// Items that had ended and that the stage in front of the queue holds: it has not decided about them, and a flush does not make
    /// it. 0 without one, and after a shutdown.
    pub held: u64,
}

/// What one destination got of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The destination's name.
    pub name: Arc<str>,
    /// Taken by the receiver.
    pub exported: u64,
    /// Refused by the receiver in a request that it otherwise took.
    pub rejected: u64,
    /// Given up, by reason.
    pub lost: LossCounts,
    /// Put on disk, from where they are delivered later, by this process or by the next one. They are no more waited for.
    pub spooled: u64,
    /// Not yet delivered when the time was over. After a shutdown 0: what cannot be delivered by then is on disk, or lost.
    pub pending: u64,
}

impl Report {
    /// Whether every item arrived at every destination.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.destinations
            .iter()
            .all(|delivery| delivery.pending + delivery.spooled + delivery.rejected + delivery.lost.total() == 0)
    }

    /// Whether something was still under way when the time was over.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.destinations
            .iter()
            .any(|delivery| delivery.pending > 0 || delivery.lost[spanwright_core::LossReason::ShutdownTimeout] > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, delivery) in self.destinations.iter().enumerate() {
            let Delivery {
                name,
                exported,
                rejected,
                lost,
                spooled,
                pending,
            } = delivery;
            let separator = if index > 0 { "; " } else { "" };
            write!(
                f,
                "{separator}{name}: exported {exported}, rejected {rejected}, lost {lost:?}, pending {pending}"
            )?;
            if *spooled > 0 {
                write!(f, ", spooled {spooled}")?;
            }
        }
        if self.held > 0 {
            write!(f, "; held {}", self.held)?;
        }
        Ok(())
    }
}

/// Why a flush or a shutdown has no report.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FlushError {
    /// `shutdown` was called before.
    AlreadyShutdown,
    /// It was called on the pipeline's own thread (from within an exporter), which cannot wait for itself.
    OnPipelineThread,
    /// The pipeline thread did not answer in time: an exporter blocks it.
    Unresponsive(Duration),
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyShutdown => f.write_str("already shut down"),
            Self::OnPipelineThread => f.write_str("called on the pipeline's own thread, which cannot wait for itself"),
            Self::Unresponsive(waited) => write!(f, "the pipeline thread did not answer within {waited:?}"),
        }
    }
}

impl error::Error for FlushError {}

/// Everything that can be counted, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// One for each destination, the first one's first.
    pub destinations: Vec<DestinationStats>,
    /// Items that wait to be put into a request.
    pub queue_size: usize,
    /// Bytes of all items that are held.
    pub queue_bytes: usize,
    /// The share of the fuller bound in use, 0 to 1.
    pub queue_utilization: f64,
    /// Threads that hold items now or did not long ago.
    pub threads: usize,
    /// Items that were recorded but not sampled: seen, and by the specification not to be exported. Not a part of any ledger. 0 with
    /// a tail stage, which decides about those too.
    pub unsampled: u64,
    /// Where the items are that came to the tail stage, at the same moment as everything else. `None` without one.
    pub tail: Option<TailLedger>,
}

/// What can be counted of one destination.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DestinationStats {
    /// Its name.
    pub name: Arc<str>,
    /// Where every item is. The law holds in it.
    pub ledger: Ledger,
    /// Requests under way.
    pub requests_in_flight: usize,
    /// Items in requests that wait for their turn to be sent: as many are under way as may be. A part of `ledger.pending`.
    pub waiting: u64,
    /// Items that wait for the receiver to come back. A part of `ledger.pending`.
    pub parked: u64,
    /// Their encoded bytes.
    pub parked_bytes: u64,
    /// Items that are on disk only. A part of `ledger.pending`. 0 without a store.
    pub spooled: u64,
    /// Items that were delivered from there. A part of what was exported and rejected.
    pub replayed: u64,
    /// Whether the receiver answered the last request.
    pub is_reachable: bool,
}

impl Stats {
    /// The ledger of the first destination.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.destinations
            .first()
            .map(|destination| destination.ledger)
            .unwrap_or_default()
    }
}
