//! Requests out of what is ready.

use std::sync::Arc;

use spanwright_core::semconv::{self, attribute};
use spanwright_core::{LossReason, Priority};

use super::Engine;
use super::request::{Label, Permit, Work};
use crate::collect::{Chunk, Collect, Piece, Room};
use crate::intake::Epoch;

/// What was cut off the end of a request.
pub(super) struct Rest<P> {
    pub(super) piece: P,
    pub(super) epoch: Epoch,
}

impl<C: Collect> Engine<C> {
    /// Makes one request of what is ready, if that fills one or is due. High priority first.
    pub(super) fn assemble(&mut self) -> bool {
        Priority::ALL
            .into_iter()
            .rev()
            .any(|priority| self.assemble_lane(priority))
    }

    fn assemble_lane(&mut self, priority: Priority) -> bool {
        let max_items = self.sizer.batch_size().clamp(1, self.intake.limits.max_batch_items);
        let max_bytes = self.intake.limits.max_batch_bytes;
        let Some(reason) = self.reason_to_assemble(priority, max_items, max_bytes) else {
            return false;
        };

        let (mut pieces, mut items, mut bytes, mut first_epoch) = (Vec::new(), 0, 0, None);
        while items < max_items && bytes < max_bytes {
            let Some(Rest { piece, epoch }) = self.next_piece(priority, first_epoch) else {
                break;
            };
            first_epoch.get_or_insert(epoch);
            let room = Room {
                items: max_items - items,
                bytes: max_bytes - bytes,
                is_empty: items == 0,
            };
            let (front, rest) = self.intake.collect.cut(piece, room);
            if let Some(front) = front {
                (items, bytes) = (items + front.item_count(), bytes + front.bytes());
                pieces.push(front);
            }
            if let Some(piece) = rest {
                self.rest[priority.index()] = Some(Rest { piece, epoch });
                break;
            }
        }
        let Some(epoch) = first_epoch else { return false };
        let request = self.intake.collect.assemble(pieces, priority);
        self.report_request(items, bytes, reason);
        self.hand_out(request, items as u64, bytes, epoch);
        true
    }

    /// Why a request of this lane should be made now, if it should.
    fn reason_to_assemble(&self, priority: Priority, max_items: usize, max_bytes: usize) -> Option<&'static str> {
        let rest = self.rest[priority.index()].as_ref();
        let (rest_items, rest_bytes) = rest.map_or((0, 0), |rest| (rest.piece.item_count(), rest.piece.bytes()));
        let books = self.intake.books();
        let oldest = rest.map(|rest| rest.epoch).or_else(|| books.front_epoch(priority))?;
        if books.lane_items(priority) + rest_items as u64 >= max_items as u64 {
            Some("size")
        } else if rest_bytes + books.lane_bytes(priority, max_bytes) >= max_bytes {
            Some("bytes")
        } else if self.due.is_none_or(|due| oldest > due) {
            None
        } else if self.is_draining {
            Some("shutdown")
        } else if self.flushes.iter().any(|flush| oldest <= flush.target) {
            Some("flush")
        } else {
            Some("delay")
        }
    }

    /// The next chunk of a lane, or what is left of the last one. A request that somebody's flush waits for has nothing in it
    /// that ended after that flush, so that the flush's report counts what it covers and nothing else.
    pub(super) fn next_piece(&mut self, priority: Priority, first: Option<Epoch>) -> Option<Rest<C::Piece>> {
        let flushes = &self.flushes;
        let fits = |epoch: Epoch| {
            first.is_none_or(|first| {
                flushes
                    .iter()
                    .all(|flush| (first <= flush.target) == (epoch <= flush.target))
            })
        };
        if let Some(rest) = self.rest[priority.index()].take_if(|rest| fits(rest.epoch)) {
            return Some(rest);
        }
        let mut books = self.intake.books();
        let ready = books
            .front_epoch(priority)
            .filter(|epoch| fits(*epoch))
            .and_then(|_| books.take(priority))?;
        // Given back under the lock: a reader sees the items leave the queue and the room come back at once.
        self.intake.bound.release_items(ready.chunk.item_count());
        drop(books);
        Some(Rest {
            piece: self.intake.collect.seal(ready.chunk),
            epoch: ready.epoch,
        })
    }

    /// Gives a request to every destination, by reference.
    pub(super) fn hand_out(&mut self, request: C::Request, items: u64, bytes: usize, epoch: Epoch) {
        let permit = Arc::new(Permit {
            bound: Arc::clone(&self.intake.bound),
            bytes,
        });
        let label = Label {
            seq: self.next_seq,
            items,
            bytes,
            epoch: Some(epoch),
            permit: Some(permit),
            claim: None,
        };
        self.next_seq += 1;
        let mut request = Some(request);
        let last = self.outlets.len().saturating_sub(1);
        for index in 0..self.outlets.len() {
            let own = if index == last {
                request.take()
            } else {
                request.as_ref().and_then(|r| self.intake.collect.share(r))
            };
            let Some(request) = own else { continue };
            let mut label = label.clone();
            let shelf = self.outlets[index].shelf.as_ref().filter(|shelf| shelf.writes_ahead());
            if let (Some(shelf), Some(batch)) = (shelf, self.intake.collect.batch(&request)) {
                label.claim = shelf.write_ahead(batch);
            }
            self.outlets[index].push(Work { request, label });
            while let Some(work) = self.outlets[index].shed(self.intake.limits.overflow) {
                if let Err(work) = self.shelve(index, work) {
                    self.lose(index, work.label, LossReason::QueueFull);
                }
            }
            self.update_outlet_books(index);
        }
    }

    pub(super) fn queued_until(&self, target: Epoch) -> u64 {
        let rest = self.rest.iter().flatten().filter(|rest| rest.epoch <= target);
        rest.map(|rest| rest.piece.item_count() as u64).sum::<u64>() + self.intake.books().items_until(target)
    }

    fn report_request(&self, items: usize, bytes: usize, reason: &'static str) {
        self.observer.record(&semconv::BATCH_ITEMS, items as f64, &[]);
        self.observer.record(&semconv::BATCH_BYTES, bytes as f64, &[]);
        self.observer
            .count(&semconv::BATCH_FLUSHES, 1, &[(attribute::FLUSH_REASON, reason)]);
    }
}
