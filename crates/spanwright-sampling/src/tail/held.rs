//! Traces that are not decided about, and what a shard keeps of them.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use spanwright_core::{Class, Priority, ScopeId};

use super::cache::Decisions;
use super::id::{Hasher, TraceKey};
use super::memory::Buffers;
use super::policies::Reasons;
use super::table::TraceTable;
use super::verdict::{Head, Rewriter, Verdict};

/// A part of all traces, behind a lock that is held for a look and a copy. Nothing is released under it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    state: Mutex<ShardState>,
    /// Spans in it, to be read without the lock.
    spans: AtomicU64,
}

#[derive(Debug)]
pub(super) struct ShardState {
    /// The oldest first.
    pub(super) traces: TraceTable<HeldTrace>,
    pub(super) decisions: Decisions,
    pub(super) buffers: Buffers,
    rewriters: Vec<Rewriter>,
}

/// How much a shard remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardSizes {
    pub(super) traces: usize,
    pub(super) kept_decisions: usize,
    pub(super) dropped_decisions: usize,
}

/// How many threads' rewriters a shard keeps.
const MAX_REWRITERS: usize = 2;

impl Shard {
    pub(super) fn new(sizes: ShardSizes, max_idle_bytes: usize, hasher: Hasher) -> Self {
        Self {
            state: Mutex::new(ShardState {
                traces: TraceTable::new(sizes.traces, hasher),
                decisions: Decisions::new(sizes.kept_decisions, sizes.dropped_decisions, hasher),
                buffers: Buffers::new(max_idle_bytes),
                rewriters: std::iter::repeat_with(Rewriter::new).take(MAX_REWRITERS).collect(),
            }),
            spans: AtomicU64::new(0),
        }
    }

    /// The memory that it takes for good.
    pub(super) fn bytes(sizes: ShardSizes) -> usize {
        size_of::<Self>()
            + TraceTable::<HeldTrace>::bytes(sizes.traces)
            + Decisions::bytes(sizes.kept_decisions, sizes.dropped_decisions)
            + Buffers::bytes()
            + MAX_REWRITERS * Rewriter::BYTES
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ShardState> {
        self.state.lock()
    }

    pub(super) fn spans(&self) -> u64 {
        // Relaxed: who needs it exact has stopped all who change it, by locks of theirs.
        self.spans.load(Ordering::Relaxed)
    }

    pub(super) fn add_span(&self) {
        self.spans.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_spans(&self, spans: u32) {
        self.spans.fetch_sub(spans.into(), Ordering::Relaxed);
    }
}

impl ShardState {
    pub(super) fn take_rewriter(&mut self) -> Rewriter {
        self.rewriters.pop().unwrap_or_else(Rewriter::new)
    }

    pub(super) fn give_rewriter(&mut self, rewriter: Rewriter) {
        if self.rewriters.len() < MAX_REWRITERS {
            self.rewriters.push(rewriter);
        }
    }
}

/// The spans of a trace so far, and what they say about it.
#[derive(Debug, Default)]
pub(super) struct HeldTrace {
    pub(super) records: Records,
    pub(super) reasons: Reasons,
    pub(super) head: Head,
    /// When its first span ended, in milliseconds of the sampler's clock.
    pub(super) since: u64,
    pub(super) affinity: u32,
    /// Its local root has ended, and it waits for the end of the budget's window.
    pub(super) is_candidate: bool,
}

/// A trace that is decided about, on its way out.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) key: TraceKey,
    pub(super) verdict: Verdict,
    pub(super) records: Records,
    pub(super) affinity: u32,
}

/// Encoded spans one behind the other, each with its length, lane and scope in front.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) bytes: Vec<u8>,
    pub(super) spans: u32,
}

/// The highest bit of the length says the lane.
const HIGH: u32 = 1 << 31;

impl Records {
    /// What a record takes besides itself.
    pub(super) const HEADER: usize = 2 * size_of::<u32>();

    /// The longest record.
    pub(super) const MAX_LEN: usize = (HIGH - 1) as usize;

    /// Appends a record. There must be room in `bytes` and in the length.
    pub(super) fn push(&mut self, record: &[u8], scope: ScopeId, priority: Priority) {
        let lane = if priority == Priority::High { HIGH } else { 0 };
        let len = record.len() as u32 | lane;
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&(scope.index() as u32).to_ne_bytes());
        self.bytes.extend_from_slice(record);
        self.spans += 1;
    }

    pub(super) fn iter(&self, affinity: u32) -> impl Iterator<Item = (&[u8], ScopeId, Class)> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk()?;
            let (scope, behind) = behind.split_first_chunk()?;
            let len = u32::from_ne_bytes(*len);
            let (record, behind) = behind.split_at_checked((len & !HIGH) as usize)?;
            rest = behind;
            let priority = if len & HIGH != 0 {
                Priority::High
            } else {
                Priority::Normal
            };
            let scope = ScopeId::new(u32::from_ne_bytes(*scope));
            Some((record, scope, Class { priority, affinity }))
        })
    }
}
