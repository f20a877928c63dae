//! What one application thread owns of the queue.

use spanwright_core::{LossCounts, LossReason, Priority};

use crate::collect::{Chunk, Collect};
use crate::sync::{CachePadded, Mutex, MutexGuard};

/// One thread's open chunks and counts, behind a lock that only that thread and the sweep ever take.
pub(super) struct Slot<C: Collect> {
    state: CachePadded<Mutex<SlotState<C>>>,
}

pub(super) struct SlotState<C: Collect> {
    pub(super) counts: Counts,
    pub(super) open: [Option<C::Chunk>; Priority::ALL.len()],
    pub(super) scratch: C::Scratch,
    /// The last item found no room: look before the next one is encoded. Until then nobody looks, because the look alone would
    /// fetch a line that other threads write.
    pub(super) is_short_of_room: bool,
}

/// What happened to items before they reached the queue.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) ended: u64,
    pub(super) lost: LossCounts,
    /// Recorded but not sampled: seen, and not ours to deliver. Not a part of `ended`.
    pub(super) unsampled: u64,
    pub(super) tail: TailCounts,
}

/// What happened to items at the stage in front of the queue, where there is one.
#[derive(Clone, Copy, Default)]
pub(super) struct TailCounts {
    pub(super) ended: u64,
    pub(super) kept: u64,
    pub(super) dropped: u64,
    pub(super) lost: u64,
}

impl<C: Collect> Slot<C> {
    pub(super) fn new() -> Self {
        Self {
            state: CachePadded(Mutex::new(SlotState {
                counts: Counts::default(),
                open: [const { None }; Priority::ALL.len()],
                scratch: C::Scratch::default(),
                is_short_of_room: false,
            })),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SlotState<C>> {
        self.state.0.lock()
    }
}

impl<C: Collect> SlotState<C> {
    pub(super) fn lose(&mut self, reason: LossReason) {
        self.counts.lost.add(reason, 1);
    }

    pub(super) fn open_items(&self) -> u64 {
        self.open.iter().flatten().map(|chunk| chunk.item_count() as u64).sum()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ended += other.ended;
        self.lost += other.lost;
        self.unsampled += other.unsampled;
        self.tail.ended += other.tail.ended;
        self.tail.kept += other.tail.kept;
        self.tail.dropped += other.tail.dropped;
        self.tail.lost += other.tail.lost;
    }
}
