//! What the threads share: the ready chunks and the accounts.

use std::collections::VecDeque;

use spanwright_core::{LossCounts, LossReason, Priority};

use super::slot::Counts;
use crate::collect::{Chunk, Collect};
use crate::overflow::OverflowPolicy;

/// Numbers the cuts: everything sealed before a cut leaves before it, in requests of its own.
pub(crate) type Epoch = u64;

/// The ready queue and every count that is not a thread's own, under one lock that is taken once per chunk or request.
///
/// That an item moves from one column of the ledger to the next is one critical section, so a reader who holds this lock and
/// the slots' sees each item in exactly one place.
pub(crate) struct Books<C: Collect> {
    lanes: [VecDeque<Ready<C::Chunk>>; Priority::ALL.len()],
    lane_items: [u64; Priority::ALL.len()],
    pub(crate) epoch: Epoch,
    /// Of threads that are no more.
    pub(super) retired: Counts,
    /// Ready items that the overflow policy dropped for the sake of others.
    pub(super) evicted: LossCounts,
    pub(crate) outlets: Vec<OutletBooks>,
}

/// A sealed chunk that waits.
pub(crate) struct Ready<K> {
    pub(crate) chunk: K,
    pub(crate) epoch: Epoch,
}

/// The account of one destination, from the moment that items are taken for it, or found on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutletBooks {
    pub(crate) pending: u64,
    pub(crate) exported: u64,
    pub(crate) rejected: u64,
    pub(crate) lost: LossCounts,
    /// Found on disk.
    pub(crate) recovered: u64,
    /// Delivered from there, of those that were exported or rejected.
    pub(crate) replayed: u64,
    /// On disk only, of those that are pending.
    pub(crate) spooled_items: u64,
    pub(crate) requests_in_flight: usize,
    pub(crate) waiting_items: u64,
    pub(crate) parked_items: u64,
    pub(crate) parked_bytes: u64,
    pub(crate) is_reachable: bool,
}

impl<C: Collect> Books<C> {
    pub(super) fn new(outlets: usize) -> Self {
        let outlet = OutletBooks {
            is_reachable: true,
            ..OutletBooks::default()
        };
        Self {
            // Sealing must not allocate in steady state.
            lanes: [VecDeque::with_capacity(64), VecDeque::with_capacity(16)],
            lane_items: [0; Priority::ALL.len()],
            epoch: 0,
            retired: Counts::default(),
            evicted: LossCounts::default(),
            outlets: vec![outlet; outlets],
        }
    }

    pub(super) fn push(&mut self, priority: Priority, chunk: C::Chunk) {
        self.lane_items[priority.index()] += chunk.item_count() as u64;
        self.lanes[priority.index()].push_back(Ready {
            chunk,
            epoch: self.epoch,
        });
    }

    /// As [`push`](Self::push), but joins small chunks: idle threads leave many.
    pub(super) fn push_joined(&mut self, priority: Priority, chunk: C::Chunk) {
        let items = chunk.item_count() as u64;
        let epoch = self.epoch;
        match self.lanes[priority.index()].back_mut() {
            Some(last) if last.epoch == epoch => match last.chunk.absorb(chunk) {
                Ok(()) => self.lane_items[priority.index()] += items,
                Err(chunk) => self.push(priority, chunk),
            },
            _ => self.push(priority, chunk),
        }
    }

    /// Takes the chunk that waits longest in the lane, and books its items as pending with every destination.
    pub(crate) fn take(&mut self, priority: Priority) -> Option<Ready<C::Chunk>> {
        let ready = self.lanes[priority.index()].pop_front()?;
        let items = ready.chunk.item_count() as u64;
        self.lane_items[priority.index()] -= items;
        self.outlets.iter_mut().for_each(|outlet| outlet.pending += items);
        Some(ready)
    }

    pub(crate) fn front_epoch(&self, priority: Priority) -> Option<Epoch> {
        self.lanes[priority.index()].front().map(|ready| ready.epoch)
    }

    pub(crate) fn ready_items(&self) -> u64 {
        self.lane_items.iter().sum()
    }

    pub(crate) fn lane_items(&self, priority: Priority) -> u64 {
        self.lane_items[priority.index()]
    }

    /// Bytes of the lane's chunks, as far as that is worth knowing: up to `enough`.
    pub(crate) fn lane_bytes(&self, priority: Priority, enough: usize) -> usize {
        let mut sum = 0;
        for ready in &self.lanes[priority.index()] {
            sum += ready.chunk.bytes();
            if sum >= enough {
                break;
            }
        }
        sum
    }

    /// Items in the queue of this epoch and those before.
    pub(crate) fn items_until(&self, epoch: Epoch) -> u64 {
        let ready = self
            .lanes
            .iter()
            .flat_map(|lane| lane.iter().take_while(|ready| ready.epoch <= epoch));
        ready.map(|ready| ready.chunk.item_count() as u64).sum()
    }

    /// All that the overflow policy dropped for the sake of others.
    pub(crate) fn evicted_total(&self) -> u64 {
        self.evicted.total()
    }

    /// Drops one ready chunk to make room for an item of `priority`; the room that it gives back. `reserved` is how many
    /// high items may displace normal ones.
    pub(super) fn evict(&mut self, policy: OverflowPolicy, priority: Priority, reserved: u64) -> Option<(u64, usize)> {
        let displaces = priority == Priority::High && self.lane_items(Priority::High) < reserved;
        let ready = match policy {
            OverflowPolicy::DropOldest if priority == Priority::High => self
                .pop(Priority::Normal, VecDeque::pop_front)
                .or_else(|| self.pop(Priority::High, VecDeque::pop_front)),
            OverflowPolicy::DropOldest => self.pop(Priority::Normal, VecDeque::pop_front),
            _ if displaces => self.pop(Priority::Normal, VecDeque::pop_back),
            _ => None,
        }?;
        let items = ready.chunk.item_count() as u64;
        self.evicted.add(LossReason::QueueFull, items);
        Some((items, ready.chunk.bytes()))
    }

    fn pop(
        &mut self,
        priority: Priority,
        pop: impl FnOnce(&mut VecDeque<Ready<C::Chunk>>) -> Option<Ready<C::Chunk>>,
    ) -> Option<Ready<C::Chunk>> {
        let ready = pop(&mut self.lanes[priority.index()])?;
        self.lane_items[priority.index()] -= ready.chunk.item_count() as u64;
        Some(ready)
    }
}
