//! The segment log: an engine without threads and without a clock.

mod claim;
mod maintain;
mod open;
mod room;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::{EncodedBatch, LossCounts, LossReason, StoreCounts};

use crate::config::SpoolConfig;
use crate::format::Range;
use crate::fs::Fs;
use crate::notice::Notice;
use crate::now::{Now, time_of};
use crate::stats::SpoolStats;
use crate::volume::{DamageTotal, Survey, Volume};

/// The segment log: what [`Spool`](crate::Spool) runs on a thread of its own, for those who have one already.
///
/// It does what it is told when it is told: writing and reading take place in the call; what is slow (syncs, the cursor,
/// removals, taking over what dead processes left) is prepared by [`poll`](Self::poll) as a [`Commit`](crate::Commit), which runs
/// wherever it may wait, and comes back to [`committed`](Self::committed).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use spanwright_core::{EncodedBatch, Priority, SystemClock};
/// use spanwright_spool::{DiskFs, Log, Now, SpoolConfig};
///
/// # let directory = std::env::temp_dir().join(format!("spanwright-log-{}", std::process::id()));
/// let now = || Now::of(&SystemClock);
/// let mut log = Log::open(SpoolConfig::new(&directory), Arc::new(DiskFs), now())?;
/// log.write(now(), EncodedBatch::new([Bytes::from_static(b"request")], 3, Priority::Normal))?;
///
/// let record = log.claim(now()).expect("what was written");
/// assert_eq!(record.batch.to_bytes(), "request");
/// log.ack(now(), record.id);
/// assert_eq!(log.stats(now()).pending, 0);
/// # let commit = log.close(now()).run();
/// # log.committed(now(), commit);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
pub struct Log {
    config: SpoolConfig,
    fs: Arc<dyn Fs>,
    volumes: BTreeMap<VolumeId, Volume>,
    /// The one that is written to.
    own: Option<VolumeId>,
    next_volume: u32,
    claims: BTreeMap<Position, Claimed>,
    /// Claims that were given back.
    released: BTreeSet<Position>,
    trouble: Option<Trouble>,
    is_closed: bool,

    counts: Counts,
    used: u64,
    /// Requests that this process wrote, and those of them that are durable.
    written: u64,
    durable: u64,

    is_committing: bool,
    /// Since when there is something that is not durable.
    dirty_since: Option<Instant>,
    is_flush_wanted: bool,
    commit_not_before: Option<Instant>,
    adopt_at: Instant,
    /// Directories that we emptied and that stay, for something in them is not ours.
    left: BTreeSet<u32>,
    last_write: Instant,
    notices: Vec<Notice>,
    buffer: Vec<u8>,
}

/// One directory, within this process.
pub(crate) type VolumeId = u32;

/// Where a record is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Position {
    volume: VolumeId,
    seq: u64,
    at: u64,
}

/// Names a claim.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ClaimId(Position);

/// A request that was read, and is claimed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// The claim: to be acknowledged or released.
    pub id: ClaimId,
    /// The request, of one segment.
    pub batch: EncodedBatch,
    /// When it was written, by the time of day.
    pub written_at: std::time::SystemTime,
}

/// That a request was written.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Written(u64);

impl Written {
    /// Its number among what this process wrote, from 1. It is safe from the end of the machine once
    /// [`Log::durable`] is no less.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

#[derive(Clone, Copy, Debug)]
struct Claimed {
    end: u64,
    items: u64,
    /// Its segment was dropped. If it is given back, it is lost.
    is_detached: bool,
}

/// The disk takes nothing.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    retry_at: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    written: u64,
    recovered: u64,
    acked: u64,
    lost: LossCounts,
    pending: u64,
    pending_records: u64,
    refused: u64,
    damage: DamageTotal,
    foreign: u64,
}

/// How long a segment whose every record is settled stays open for more.
const IDLE: Duration = Duration::from_secs(10);

impl Log {
    /// The number of requests up to which everything that this process wrote is safe from the end of the machine.
    ///
    /// It stands still while the sync of a segment has failed and something of that segment is pending.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// The number of requests that this process wrote. All of them are safe from its own end.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Everything that can be counted.
    ///
    /// # Cost
    ///
    /// A look at every segment.
    #[must_use]
    pub fn stats(&self, now: Now) -> SpoolStats {
        let segments = || self.volumes.values().flat_map(|volume| volume.segments.values());
        let waiting = segments().filter(|segment| segment.pending.records > 0);
        let oldest = waiting.map(|segment| segment.order()).min();
        let age = oldest.and_then(|oldest| now.time.duration_since(time_of(oldest)).ok());
        SpoolStats {
            written: self.counts.written,
            recovered: self.counts.recovered,
            acked: self.counts.acked,
            lost: self.counts.lost,
            pending: self.counts.pending,
            pending_records: self.counts.pending_records,
            claimed: self.claims.len() as u64,
            claimed_items: self.claimed_items(),
            refused: self.counts.refused,
            written_requests: self.written,
            durable_requests: self.durable,
            bytes: self.used,
            max_bytes: self.config.max_bytes,
            segments: segments().count() as u64,
            directories: self.volumes.len() as u64,
            oldest_age: age.unwrap_or_default(),
            damage: self.counts.damage,
            foreign_files: self.counts.foreign,
            unreadable_segments: self
                .volumes
                .values()
                .map(|volume| volume.unreadable().count() as u64)
                .sum(),
            is_healthy: self.trouble.is_none(),
        }
    }

    /// What a processor keeps its books by.
    pub(crate) fn store_counts(&self) -> StoreCounts {
        StoreCounts {
            recovered: self.counts.recovered,
            lost: self.counts.lost,
            waiting: self.counts.pending.saturating_sub(self.claimed_items()),
            waiting_requests: self.counts.pending_records.saturating_sub(self.claims.len() as u64),
        }
    }

    fn claimed_items(&self) -> u64 {
        self.claims.values().map(|claimed| claimed.items).sum()
    }

    /// What there is to tell since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Takes a directory with what was found in it.
    fn add(&mut self, volume: Volume, survey: &Survey) -> VolumeId {
        let id = self.next_volume;
        self.next_volume += 1;
        self.volumes.insert(id, volume);
        self.book(survey);
        id
    }

    fn book(&mut self, survey: &Survey) {
        self.used += survey.bytes;
        self.counts.recovered += survey.pending.items + survey.damage.items;
        self.counts.pending += survey.pending.items;
        self.counts.pending_records += survey.pending.records;
        self.counts.foreign += survey.foreign;
        self.damaged(survey.damage);
        if let Some(first) = survey.unreadable.first() {
            self.notices.push(Notice::Unreadable {
                segments: survey.unreadable.len() as u64,
                error: Arc::clone(first),
            });
        }
    }

    fn damaged(&mut self, damage: DamageTotal) {
        if damage == DamageTotal::default() {
            return;
        }
        self.counts.damage.records += damage.records;
        self.counts.damage.items += damage.items;
        self.counts.damage.bytes += damage.bytes;
        self.notices.push(Notice::Damaged(damage));
        self.lost(LossReason::Corrupt, damage.items);
    }

    fn lost(&mut self, reason: LossReason, items: u64) {
        if items > 0 {
            self.counts.lost.add(reason, items);
            self.notices.push(Notice::Lost { reason, items });
        }
    }

    /// The disk failed: nothing is written to it for a while.
    fn degrade(&mut self, now: Now, error: io::Error) {
        let retry_at = now.instant + self.config.retry_interval;
        match &mut self.trouble {
            Some(trouble) => trouble.retry_at = retry_at,
            None => {
                self.trouble = Some(Trouble {
                    since: now.instant,
                    retry_at,
                });
                self.notices.push(Notice::Degraded(Arc::new(error)));
            }
        }
        self.seal_active();
    }

    /// Nothing more is written to the segments that are being written to.
    fn seal_active(&mut self) {
        for volume in self.volumes.values_mut() {
            for seq in volume.active.iter_mut().filter_map(Option::take) {
                if let Some(segment) = volume.segments.get_mut(&seq) {
                    segment.is_sealed = true;
                }
            }
        }
    }

    fn touch(&mut self, now: Instant) {
        self.dirty_since.get_or_insert(now);
    }

    /// Marks a stretch of a segment as settled.
    fn settle(&mut self, now: Instant, position: Position, end: u64, records: u64, items: u64) {
        self.counts.pending -= items;
        self.counts.pending_records -= records;
        if let Some(volume) = self.volumes.get_mut(&position.volume)
            && let Some(segment) = volume.segments.get_mut(&position.seq)
        {
            segment.pending.records -= records;
            segment.pending.items -= items;
            segment.settled.insert(position.at, end);
            let range = Range {
                seq: position.seq,
                start: position.at,
                end,
            };
            volume.settled(&*self.fs, range);
        }
        self.touch(now);
        self.count_unaccounted(position);
    }

    /// Where everything in a segment is settled, nothing is pending. What the books have all the same was in records that were
    /// damaged after they had been counted.
    fn count_unaccounted(&mut self, position: Position) {
        let volume = self.volumes.get_mut(&position.volume);
        let segment = volume.and_then(|volume| volume.segments.get_mut(&position.seq));
        let Some(segment) = segment.filter(|segment| segment.pending.records > 0 && segment.is_settled()) else {
            return;
        };
        let left = std::mem::take(&mut segment.pending);
        self.counts.pending -= left.items;
        self.counts.pending_records -= left.records;
        self.counts.damage.items += left.items;
        self.lost(LossReason::Corrupt, left.items);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("config", &self.config)
            .field("pending", &self.counts.pending)
            .field("bytes", &self.used)
            .field("written", &self.written)
            .field("durable", &self.durable)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}
