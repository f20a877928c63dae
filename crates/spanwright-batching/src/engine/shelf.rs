//! What is kept of a destination's requests outside of memory.
//!
//! ```text
//! memory ── too much of it, or the shutdown ──► Store ── beside live requests, 3:1 ──► under way ──► settled
//!    └── before it is sent, where the store writes ahead ──► claimed there ── settled or put away ──┘
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::semconv::{self, attribute};
use spanwright_core::{DrainPace, DrainPermit, EncodedBatch, LossCounts, NotStored, Store, StoreCounts, Stored};

use super::Engine;
use super::request::{InFlight, Work};
use crate::collect::Collect;

/// A destination's store, and how fast it is emptied.
#[derive(Debug)]
pub(super) struct Shelf {
    store: Arc<dyn Store>,
    pace: DrainPace,
    /// What the books know of it.
    seen: StoreCounts,
    /// Nothing may be replayed before.
    not_before: Option<Instant>,
}

/// A request's place in the store. Dropped, it is given back.
#[derive(Clone)]
pub(super) struct Claim {
    stored: Arc<Box<dyn Stored>>,
    /// The request was split, and this is the place of one of its parts: the store forgets it with the last of them. It must not be
    /// given back, because others may have been settled.
    is_part: bool,
}

impl Shelf {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            pace: DrainPace::default(),
            seen: StoreCounts::default(),
            not_before: None,
        }
    }

    pub(super) fn writes_ahead(&self) -> bool {
        self.store.writes_ahead()
    }

    /// Whether there is something to replay.
    pub(super) fn has_waiting(&self) -> bool {
        self.seen.waiting_requests > 0
    }

    /// When there is something to replay that may not go out before.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.has_waiting())
    }

    /// The items that are only there.
    pub(super) fn waiting(&self) -> u64 {
        self.seen.waiting
    }

    pub(super) fn live_sent(&mut self) {
        self.pace.live_sent();
    }

    /// The oldest request, if it is its turn: it always is where the destination is asked whether it is back (`is_probe`).
    pub(super) fn take(&mut self, now: Instant, is_live_waiting: bool, is_probe: bool) -> Option<Claim> {
        if !self.has_waiting() {
            return None;
        }
        self.not_before = None;
        match self.pace.poll(now, is_live_waiting) {
            _ if is_probe => {}
            DrainPermit::Now => {}
            DrainPermit::AfterLive => return None,
            DrainPermit::NotBefore(at) => {
                self.not_before = Some(at);
                return None;
            }
        }
        let claim = Claim::new(self.store.claim()?);
        self.pace.replayed(now, claim.batch().item_count() as u64);
        Some(claim)
    }

    /// Writes a request that goes on to be delivered from memory, if it is to be and can be.
    pub(super) fn write_ahead(&self, batch: &EncodedBatch) -> Option<Claim> {
        let stored = self.store.write_claimed(batch).ok()?;
        Some(Claim::new(stored))
    }

    fn write(&self, batch: &EncodedBatch) -> Result<(), NotStored> {
        self.store.write(batch)
    }

    /// What the store has found and lost since the last look.
    fn look(&mut self) -> (u64, LossCounts) {
        let now = self.store.counts();
        let before = std::mem::replace(&mut self.seen, now);
        let mut lost = LossCounts::default();
        for (reason, items) in now.lost.iter() {
            lost.add(reason, items - before.lost[reason]);
        }
        (now.recovered - before.recovered, lost)
    }
}

impl Claim {
    fn new(stored: Box<dyn Stored>) -> Self {
        Self {
            stored: Arc::new(stored),
            is_part: false,
        }
    }

    pub(super) fn part(&self) -> Self {
        Self {
            is_part: true,
            ..self.clone()
        }
    }

    pub(super) fn batch(&self) -> &EncodedBatch {
        self.stored.batch()
    }

    /// The request, or this part of it, has arrived, is lost, or has another place now.
    pub(super) fn done(self) {
        if let Some(stored) = Arc::into_inner(self.stored) {
            stored.ack();
        }
    }

    /// Whether the request is not one of several parts.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_part
    }
}

impl<C: Collect> Engine<C> {
    /// Books what the stores have found and lost by themselves.
    pub(super) fn look_at_stores(&mut self) {
        (0..self.outlets.len()).for_each(|outlet| self.look_at_store(outlet));
    }

    pub(super) fn look_at_store(&mut self, index: usize) {
        let outlet = &mut self.outlets[index];
        let Some(shelf) = &mut outlet.shelf else { return };
        let waiting = shelf.waiting();
        let (recovered, lost) = shelf.look();
        if waiting == shelf.waiting() && recovered == 0 && lost.total() == 0 {
            return;
        }
        let mut books = self.intake.books();
        let account = &mut books.outlets[index];
        account.recovered += recovered;
        account.pending += recovered;
        account.pending -= lost.total();
        account.lost += lost;
        outlet.show(account);
        drop(books);
        // The store has told of the event.
        for (reason, items) in lost.iter() {
            let name = (attribute::OTEL_COMPONENT_NAME, &*self.outlets[index].name);
            let attributes = [(attribute::ERROR_TYPE, reason.as_str()), name];
            self.observer.count(&semconv::LOST, items as i64, &attributes);
        }
    }

    /// Frees memory while there is little of it: the oldest requests go to their stores.
    pub(super) fn relieve(&mut self) {
        let limits = &self.intake.limits;
        let (high, low) = (limits.high_watermark, limits.low_watermark());
        let level = self.intake.bound.utilization();
        self.is_short = level >= high || (self.is_short && level >= low);
        while self.is_short {
            let with_stores = 0..self.outlets.len();
            let with_stores = with_stores.filter(|index| self.outlets[*index].shelf.is_some());
            let Some(index) = with_stores.max_by_key(|index| self.outlets[*index].held_bytes()) else {
                return;
            };
            let Some(work) = self.outlets[index].take_oldest() else {
                return;
            };
            if let Err(work) = self.shelve(index, work) {
                self.outlets[index].put_back_oldest(work);
                return;
            }
            self.update_outlet_books(index);
            self.is_short = self.intake.bound.utilization() >= low;
        }
    }

    /// At the shutdown: what cannot be delivered in time goes to the stores. Where the destination is away that is known at once.
    pub(super) fn put_away(&mut self, now: Instant) {
        let is_last_moment = self.is_last_moment(now);
        for index in 0..self.outlets.len() {
            let outlet = &self.outlets[index];
            if outlet.shelf.is_some() && (is_last_moment || outlet.is_parking()) {
                self.shelve_all(index, is_last_moment);
            }
        }
    }

    /// Puts everything of a destination into its store, as far as that takes it; also what is under way, if that shall not be
    /// waited for.
    pub(super) fn shelve_all(&mut self, index: usize, with_in_flight: bool) {
        while let Some(work) = self.outlets[index].take_oldest() {
            if let Err(work) = self.shelve(index, work) {
                self.outlets[index].put_back_oldest(work);
                break;
            }
        }
        if with_in_flight {
            for (id, work, sent) in self.outlets[index].recall() {
                let items = work.label.items;
                match self.shelve(index, work) {
                    Ok(()) => self.count(&semconv::EXPORTER_SPAN_INFLIGHT, -(items as i64), index),
                    Err(Work { request, label }) => {
                        let kept = Some(request);
                        self.outlets[index].sent(id, InFlight { kept, label, sent });
                    }
                }
            }
        }
        self.update_outlet_books(index);
    }

    /// Puts a request into the destination's store, and what it takes of the memory away.
    pub(super) fn shelve(&mut self, index: usize, mut work: Work<C::Request>) -> Result<(), Work<C::Request>> {
        let outlet = &mut self.outlets[index];
        let Some(shelf) = &outlet.shelf else { return Err(work) };
        match &work.label.claim {
            // It is there already, and is given back with the claim.
            Some(claim) if claim.is_whole() => {}
            _ => {
                let batch = self.intake.collect.batch(&work.request);
                if batch.is_none_or(|batch| shelf.write(batch).is_err()) {
                    return Err(work);
                }
                if let Some(part) = work.label.claim.take() {
                    part.done();
                }
            }
        }
        let (epoch, items) = (work.label.epoch, work.label.items);
        drop(work);
        outlet.settle(epoch, items);
        for flush in self.flushes.iter_mut().filter(|flush| flush.covers(epoch)) {
            flush.add_spooled(index, items);
        }
        self.look_at_store(index);
        Ok(())
    }

    /// Makes the stores safe, within what is left of the shutdown's time.
    pub(super) fn close_stores(&mut self, now: Instant) {
        let deadline = self.flushes.iter().map(|flush| flush.deadline).max();
        let left = deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(now));
        for outlet in &self.outlets {
            if let Some(shelf) = &outlet.shelf {
                shelf.store.close(left.max(LEAST_CLOSE));
            }
        }
        self.look_at_stores();
    }
}

/// What is left to make the stores safe when the deadline has come.
const LEAST_CLOSE: Duration = Duration::from_millis(50);

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(self.batch()).finish()
    }
}
