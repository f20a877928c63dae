//! The half of the queue that application threads touch.
//!
//! ```text
//! push ─► this thread's Slot (own lock): append to the open chunk ── full? ──► Books (shared lock): ready queue
//!             ▲                                                                   │
//!             └──────────────── sweep: seals what lingers, retires the dead ──────┴──► Engine
//! ```
//!
//! Locks are taken in one order: registry, slots, books. The bound is reserved per item, before the lock of the slot is given
//! back, so that it holds exactly; see [`Bound`] for what was tried instead.

mod bell;
mod books;
mod bound;
mod door;
mod local;
mod slot;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{Held, Ledger, LossCounts, LossReason, Pressure, Priority, TailLedger};

pub(crate) use self::bell::{Bell, Call};
use self::books::Books;
pub(crate) use self::books::{Epoch, OutletBooks};
use self::bound::Full;
pub(crate) use self::bound::{Bound, Used};
pub(crate) use self::door::Door;
use self::local::LocalSlots;
use self::slot::{Counts, Slot, SlotState};
use crate::collect::{Chunk, Class, Collect};
use crate::config::Limits;
use crate::overflow::OverflowPolicy;
use crate::sync::{AtomicBool, AtomicU32, Mutex, MutexGuard, Ordering};

pub(crate) struct Intake<C: Collect> {
    pub(crate) collect: C,
    pub(crate) limits: Limits,
    pub(crate) bound: Arc<Bound>,
    pub(crate) bell: Bell,
    pressure: Pressure,
    registry: Mutex<Vec<Arc<Slot<C>>>>,
    /// For threads that are so far gone that they have no thread-locals any more.
    shared_slot: Arc<Slot<C>>,
    books: Mutex<Books<C>>,
    closed: AtomicBool,
    sweep_wanted: AtomicBool,
    /// The share of traces that [`OverflowPolicy::DropTraces`] drops, as an upper bound on their affinity.
    shed_below: AtomicU32,
    id: u64,
}

impl<C: Collect> Intake<C> {
    pub(crate) fn new(collect: C, limits: Limits, outlets: usize, pressure: Pressure) -> Self {
        let shared_slot = Arc::new(Slot::new());
        Self {
            collect,
            bound: Arc::new(Bound::new(
                limits.max_queue_items,
                limits.max_queue_bytes,
                limits.high_watermark,
            )),
            limits,
            bell: Bell::new(),
            pressure,
            registry: Mutex::new(vec![Arc::clone(&shared_slot)]),
            shared_slot,
            books: Mutex::new(Books::new(outlets)),
            closed: AtomicBool::new(false),
            sweep_wanted: AtomicBool::new(false),
            shed_below: AtomicU32::new(0),
            id: local::next_id(),
        }
    }

    /// Takes an item in on the calling thread. Never blocks for longer than a sweep of this thread's slot takes.
    pub(crate) fn push(&self, mut item: C::Input<'_>) -> Result<(), LossReason> {
        LocalSlots::with(
            self.id,
            || self.register(),
            |slot| self.push_to(slot.unwrap_or(&self.shared_slot), &mut item),
        )
    }

    /// Takes an item that has ended to the stage in front of the queue, which gives it back when it has decided.
    pub(crate) fn hold(&self, item: C::Input<'_>) -> Result<(), LossReason> {
        LocalSlots::with(
            self.id,
            || self.register(),
            |slot| {
                let mut state = slot.unwrap_or(&self.shared_slot).lock();
                self.collect.hold(item, &mut Door::new(self, &mut state, false))
            },
        )
    }

    /// Counts an item that was recorded but not sampled: it is not ours to deliver.
    pub(crate) fn count_unsampled(&self) {
        LocalSlots::with(
            self.id,
            || self.register(),
            |slot| {
                slot.unwrap_or(&self.shared_slot).lock().counts.unsampled += 1;
            },
        );
    }

    fn register(&self) -> Arc<Slot<C>> {
        // Nobody sweeps a closed queue: threads that come and go now would leave their slots behind.
        if self.is_closed() {
            return Arc::clone(&self.shared_slot);
        }
        let slot = Arc::new(Slot::new());
        self.registry.lock().push(Arc::clone(&slot));
        slot
    }

    fn push_to(&self, slot: &Slot<C>, item: &mut C::Input<'_>) -> Result<(), LossReason> {
        let class = self.collect.class(item);
        let mut state = slot.lock();
        if self.is_closed() {
            state.counts.ended += 1;
            state.lose(LossReason::AlreadyShutdown);
            return Err(LossReason::AlreadyShutdown);
        }
        self.put(&mut state, class, item)
    }

    fn is_closed(&self) -> bool {
        // Relaxed: whoever closes sweeps afterwards, and the sweep takes the lock of the slot under which this is asked.
        self.closed.load(Ordering::Relaxed)
    }

    fn put(&self, state: &mut SlotState<C>, class: Class, item: &mut C::Input<'_>) -> Result<(), LossReason> {
        state.counts.ended += 1;
        let admitted = self.admit(state, class, item);
        state.is_short_of_room = admitted == Err(LossReason::QueueFull);
        if let Err(reason) = admitted {
            state.lose(reason);
        }
        admitted
    }

    fn admit(&self, state: &mut SlotState<C>, class: Class, item: &mut C::Input<'_>) -> Result<(), LossReason> {
        if self.is_shed(class) || (state.is_short_of_room && self.bound.is_full() && !self.make_room(class.priority)) {
            self.want_sweep(Call::Batch);
            return Err(LossReason::QueueFull);
        }
        let SlotState { open, scratch, .. } = state;
        let chunk = open[class.priority.index()].get_or_insert_with(|| self.collect.open_chunk());
        let mark = chunk.mark();
        // An encoder that panics costs one item, not the application's thread.
        let appended = catch_unwind(AssertUnwindSafe(|| self.collect.append(item, scratch, chunk)));
        let refused = match appended {
            Err(_) => LossReason::Encode,
            Ok(bytes) if bytes > self.limits.max_item_bytes => LossReason::TooLarge,
            Ok(bytes) => match self.reserve(bytes, class.priority) {
                Ok(crossed_mark) => {
                    if chunk.is_full() || chunk.item_count() >= self.limits.chunk_items {
                        self.seal(class.priority, &mut open[class.priority.index()]);
                    }
                    if crossed_mark {
                        self.want_sweep(Call::Watermark);
                    }
                    return Ok(());
                }
                Err(Full) => {
                    self.want_sweep(Call::Batch);
                    LossReason::QueueFull
                }
            },
        };
        self.collect.undo(item, chunk, mark);
        Err(refused)
    }

    /// Takes room for an item that is in its chunk already, at the expense of others where the policy says so.
    fn reserve(&self, bytes: usize, priority: Priority) -> Result<bool, Full> {
        loop {
            match self.bound.reserve(bytes) {
                Err(Full) if self.make_room(priority) => {}
                reserved => return reserved,
            }
        }
    }

    fn seal(&self, priority: Priority, open: &mut Option<C::Chunk>) {
        let Some(chunk) = open.take() else { return };
        let mut books = self.books.lock();
        books.push(priority, chunk);
        let is_batch = books.lane_items(priority) >= self.limits.wake_items;
        self.publish_level(&books);
        drop(books);
        if is_batch {
            self.bell.ring(Call::Batch);
        }
    }

    /// Drops what the policy says, until the bound has room again or there is nothing left to drop.
    fn make_room(&self, priority: Priority) -> bool {
        let mut books = self.books.lock();
        let evicted = books.evict(self.limits.overflow, priority, self.limits.reserved_items);
        // Given back under the lock: a reader of the ledger who sees the loss sees the room too.
        if let Some((items, bytes)) = evicted {
            self.bound.release_items(items as usize);
            self.bound.release_bytes(bytes);
        }
        evicted.is_some()
    }

    fn is_shed(&self, class: Class) -> bool {
        // Relaxed: the threshold stands alone.
        class.priority == Priority::Normal && class.affinity < self.shed_below.load(Ordering::Relaxed)
    }

    fn want_sweep(&self, call: Call) {
        // Relaxed: the sweep takes every slot's lock, this one's included.
        self.sweep_wanted.store(true, Ordering::Relaxed);
        self.bell.ring(call);
    }
}

/// What the pipeline thread does with it.
impl<C: Collect> Intake<C> {
    /// Whether a thread asked for a sweep since the last one.
    pub(crate) fn take_sweep_wish(&self) -> bool {
        self.sweep_wanted.load(Ordering::Relaxed) && self.sweep_wanted.swap(false, Ordering::Relaxed)
    }

    /// Seals every open chunk, and forgets threads that are no more. Everything pushed before the call is ready after it.
    ///
    pub(crate) fn sweep(&self) -> Swept {
        let mut lost = LossCounts::default();
        let mut registry = self.registry.lock();
        registry.retain(|slot| {
            let mut state = slot.lock();
            for priority in Priority::ALL {
                // One whose only item was taken back stays: an empty request is not to be sent.
                if let Some(chunk) = state.open[priority.index()].take_if(|chunk| chunk.item_count() > 0) {
                    self.books.lock().push_joined(priority, chunk);
                }
            }
            // Only the registry has it: its thread is gone and cannot come back.
            let abandoned = Arc::strong_count(slot) == 1;
            if abandoned {
                self.books.lock().retired += state.counts;
            } else {
                lost += state.counts.lost;
            }
            !abandoned
        });
        drop(registry);
        let mut books = self.books.lock();
        lost += books.retired.lost;
        lost += books.evicted;
        let epoch = books.epoch;
        books.epoch += 1;
        Swept { epoch, lost }
    }

    /// Lets the stage in front of the queue decide what is due; when it wants to be asked again.
    pub(crate) fn poll_tail(&self, now: Instant) -> Option<Instant> {
        let mut state = self.shared_slot.lock();
        let due = self.collect.poll_tail(now, &mut Door::new(self, &mut state, false));
        drop(state);
        if due.is_some_and(|due| due <= now) {
            self.want_sweep(Call::Batch); // what it left for want of room waits for that
        }
        due
    }

    /// Lets the stage decide about all that it holds, once the queue is closed; whether it did, and how many of the items that it
    /// released came too late because the deadline `is_over`.
    pub(crate) fn drain_tail(&self, is_over: bool) -> (bool, u64) {
        let mut state = self.shared_slot.lock();
        let mut door = Door::new(self, &mut state, is_over);
        let is_done = self.collect.drain_tail(&mut door);
        let too_late = door.too_late();
        drop(state);
        if !is_done {
            self.want_sweep(Call::Batch);
        }
        (is_done, too_late)
    }

    /// Whether more than a few items fit without anybody being told of it.
    pub(crate) fn has_room(&self) -> bool {
        self.bound.utilization() < self.limits.high_watermark
    }

    /// Waits until every thread that was in here has left, some microseconds; after [`close`](Self::close) nothing comes in behind it.
    pub(crate) fn await_threads(&self) {
        self.registry.lock().iter().for_each(|slot| drop(slot.lock()));
    }

    /// Refuses everything from now on; what came before is still there, see [`sweep`](Self::sweep).
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books<C>> {
        self.books.lock()
    }

    /// Publishes how full the bound is: to samplers, and to the policy that drops whole traces. Under the lock of the books,
    /// so that of two threads that publish the later one is not the one that looked earlier.
    pub(crate) fn publish_level(&self, _: &Books<C>) {
        let utilization = self.bound.utilization();
        let high = self.limits.high_watermark;
        let pressure = ((utilization - high) / (1.0 - high)).clamp(0.0, 1.0);
        self.pressure.set(pressure as f32);
        if self.limits.overflow == OverflowPolicy::DropTraces {
            if utilization < self.limits.low_watermark() {
                self.shed_below.store(0, Ordering::Relaxed);
            } else {
                self.shed_below
                    .fetch_max((pressure * f64::from(u32::MAX)) as u32, Ordering::Relaxed);
            }
        }
    }

    /// The accounts of every destination, at one moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let registry = self.registry.lock();
        let slots: Vec<_> = registry.iter().map(|slot| slot.lock()).collect();
        let books = self.books.lock();
        let mut counts = books.retired;
        let mut waiting = books.ready_items();
        for slot in &slots {
            counts += slot.counts;
            waiting += slot.open_items();
        }
        counts.lost += books.evicted;
        Snapshot {
            counts,
            // Under the locks of all slots: nobody is with the stage.
            held: self.collect.has_tail().then(|| self.collect.held()),
            waiting,
            outlets: books.outlets.clone(),
            used: self.bound.used(),
            threads: slots.len() - 1,
        }
    }
}

/// What a sweep found.
pub(crate) struct Swept {
    /// What was pushed before belongs to this epoch at the latest; what is pushed afterwards belongs to a later one.
    pub(crate) epoch: Epoch,
    /// All that was ever lost before a request was made of it.
    pub(crate) lost: LossCounts,
}

/// Every count at one moment.
pub(crate) struct Snapshot {
    counts: Counts,
    held: Option<Held>,
    /// Items in open chunks and in the ready queue.
    waiting: u64,
    pub(crate) outlets: Vec<OutletBooks>,
    pub(crate) used: Used,
    pub(crate) threads: usize,
}

impl Snapshot {
    /// The ledger of one destination.
    pub(crate) fn ledger(&self, outlet: usize) -> Ledger {
        let Counts { ended, mut lost, .. } = self.counts;
        let Some(outlet) = self.outlets.get(outlet) else {
            return Ledger {
                ended,
                lost,
                pending: self.waiting,
                ..Ledger::default()
            };
        };
        lost += outlet.lost;
        Ledger {
            ended: ended + outlet.recovered,
            recovered: outlet.recovered,
            exported: outlet.exported,
            rejected: outlet.rejected,
            lost,
            pending: self.waiting + outlet.pending,
        }
    }

    /// The ledger of the stage in front of the queue, if there is one.
    pub(crate) fn tail(&self) -> Option<TailLedger> {
        let Held { items, bytes } = self.held?;
        let counts = self.counts.tail;
        Some(TailLedger {
            ended: counts.ended,
            kept: counts.kept,
            dropped: counts.dropped,
            lost: counts.lost,
            held: items,
            held_bytes: bytes,
        })
    }

    pub(crate) fn unsampled(&self) -> u64 {
        self.counts.unsampled
    }
}

#[cfg(test)]
#[cfg(spanwright_loom)]
mod model;
#[cfg(test)]
#[cfg(not(spanwright_loom))]
mod tests;
