//! What can be counted.

use std::time::Duration;

use spanwright_core::{Ledger, LossCounts};

use crate::volume::DamageTotal;

/// Everything that can be counted of a spool, at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Items that this process wrote.
    pub written: u64,
    /// Items that earlier processes left, damaged ones included.
    pub recovered: u64,
    /// Items of acknowledged requests.
    pub acked: u64,
    /// Items that will never be delivered, by reason.
    pub lost: LossCounts,
    /// Items that wait to be delivered, claimed ones included.
    pub pending: u64,
    /// Requests that wait to be delivered, claimed ones included.
    pub pending_records: u64,
    /// Requests that are claimed.
    pub claimed: u64,
    /// Their items.
    pub claimed_items: u64,
    /// Requests that were refused and given back. They are no part of the ledger.
    pub refused: u64,
    /// Requests that this process wrote. All of them are safe from its own end.
    pub written_requests: u64,
    /// The number of requests, of those, up to which everything is safe from the end of the machine.
    pub durable_requests: u64,
    /// The bytes of all segments.
    pub bytes: u64,
    /// The most that these may be.
    pub max_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Directories: one is our own, the others are what dead processes left.
    pub directories: u64,
    /// How long the oldest request has waited.
    pub oldest_age: Duration,
    /// What could not be read. Its items are a part of `lost`.
    pub damage: DamageTotal,
    /// Files with the name of a segment that are not ours. They are left alone.
    pub foreign_files: u64,
    /// Segments that the disk does not let us read. What is in them is not counted as pending; they are tried again every
    /// [`adopt_interval`](crate::SpoolConfig::with_adopt_interval), and at the next start.
    pub unreadable_segments: u64,
    /// Whether the disk takes requests.
    pub is_healthy: bool,
}

impl SpoolStats {
    /// Where every item is. The law holds in it: what was written and what was found is acknowledged, lost or pending.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger {
            ended: self.written + self.recovered,
            recovered: self.recovered,
            exported: self.acked,
            rejected: 0,
            lost: self.lost,
            pending: self.pending,
        }
    }
}
