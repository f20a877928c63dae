//! The half of the queue that the pipeline thread runs: a state machine without I/O.
//!
//! ```text
//! ready chunks ─► assemble ─► Outlet (one a destination): waiting ─► under way ─► settled: exported | rejected | lost
//!                                                            ▲           │
//!                                                            └─ parked ◄─┘ retryable
//! ```
//!
//! Time comes in with every call, randomness as a seed; what to do comes out of [`Engine::poll`].

mod backoff;
mod flush;
mod outlet;

use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::semconv::{self, attribute};
use spanwright_core::{ErrorKind, Event, ExportError, LossReason, Observer, Priority, Receipt};

pub(crate) use self::backoff::Random;
pub(crate) use self::flush::Reply;
use self::flush::{Flush, Settled};
pub(crate) use self::outlet::RequestId;
use self::outlet::{InFlight, Outlet, Permit, Work};
use crate::collect::{Chunk, Collect, Piece, Room};
use crate::intake::{Epoch, Intake};
use crate::monitor::QueueMonitor;
use crate::sizer::BatchSizer;

pub(crate) struct Engine<C: Collect> {
    intake: Arc<Intake<C>>,
    outlets: Vec<Outlet<C::Request>>,
    sizer: Box<dyn BatchSizer>,
    observer: Arc<dyn Observer>,
    monitor: QueueMonitor,
    random: Random,
    /// What was cut off the end of the last request of a lane.
    rest: [Option<Rest<C::Piece>>; Priority::ALL.len()],
    /// Everything of these epochs leaves now, also in a request that is not full.
    due: Option<Epoch>,
    next_sweep: Option<Instant>,
    next_id: RequestId,
    next_seq: u64,
    flushes: Vec<Flush>,
    is_draining: bool,
}

struct Rest<P> {
    piece: P,
    epoch: Epoch,
}

/// What the driver does next.
#[derive(Debug)]
pub(crate) enum Action<R> {
    /// Send this, and tell [`Engine::complete`].
    Export { outlet: usize, id: RequestId, request: R },
    /// Nothing until then, or until something happens. `is_saturated`: new items alone are no reason to come back.
    Wait { until: Instant, is_saturated: bool },
    /// Shut down: nothing is held any more. Cancel what is under way.
    Stop,
}

impl<C: Collect> Engine<C> {
    pub(crate) fn new(
        intake: Arc<Intake<C>>,
        names: &[Arc<str>],
        sizer: Box<dyn BatchSizer>,
        observer: Arc<dyn Observer>,
        monitor: QueueMonitor,
        random: Random,
    ) -> Self {
        let outlets = names
            .iter()
            .map(|name| Outlet::new(Arc::clone(name), &intake.limits, names.len()))
            .collect();
        Self {
            intake,
            outlets,
            sizer,
            observer,
            monitor,
            random,
            rest: [const { None }; Priority::ALL.len()],
            due: None,
            next_sweep: None,
            next_id: 0,
            next_seq: 0,
            flushes: Vec::new(),
            is_draining: false,
        }
    }

    /// What to do now. `is_ready` tells which destinations' services take a request.
    pub(crate) fn poll(&mut self, now: Instant, is_ready: &[bool]) -> Action<C::Request> {
        let next_sweep = *self.next_sweep.get_or_insert(now + self.intake.limits.scheduled_delay);
        if now >= next_sweep || self.intake.take_sweep_wish() {
            self.sweep(now);
        }
        self.observe_level();
        // New requests first: whether they or parked ones go out is the outlet's choice, and it must have both to choose.
        while self.wants_request(now, is_ready) && self.assemble() {}
        if let Some(action) = self.next_export(now, is_ready) {
            return action;
        }
        self.answer_flushes(now);
        if self.is_draining && self.flushes.is_empty() {
            return Action::Stop;
        }
        self.wait(now)
    }

    /// A request ended.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        outlet: usize,
        id: RequestId,
        result: Result<Receipt, ExportError>,
    ) {
        let Some(request) = self.outlets[outlet].ended(id) else {
            return;
        };
        let latency = now.saturating_duration_since(request.sent);
        self.sizer.on_export(latency, request.items as usize, result.is_ok());
        match result {
            Ok(receipt) => {
                self.answered(now, outlet);
                self.delivered(outlet, latency, request, &receipt);
            }
            Err(error) => {
                self.report_export(outlet, latency, request.items, Some(error.error_type()));
                self.refused(now, outlet, request, &error);
            }
        }
    }

    /// The exporter panicked with a request in its hands.
    pub(crate) fn panicked(&mut self, now: Instant, outlet: usize, id: RequestId, message: &str) {
        let Some(request) = self.outlets[outlet].ended(id) else {
            return;
        };
        let latency = now.saturating_duration_since(request.sent);
        self.sizer.on_export(latency, request.items as usize, false);
        self.report_export(
            outlet,
            latency,
            request.items,
            Some(LossReason::ExporterPanicked.as_str()),
        );
        self.observer.event(&Event::ExporterPanicked {
            message,
            items: request.items,
        });
        self.lose(outlet, request.epoch, LossReason::ExporterPanicked, request.items);
    }

    /// A destination's service cannot be used at all at the moment.
    pub(crate) fn unavailable(&mut self, now: Instant, outlet: usize, error: &ExportError) {
        if self.outlets[outlet].failed(now, now, error.retry_after(), &mut self.random) {
            self.observer.event(&Event::ExportFailed { error, items: 0 });
        }
        self.update_outlet_books(outlet);
    }

    /// Sends everything that ended before now, and answers when it is done with, at the latest at `deadline`.
    pub(crate) fn flush(&mut self, now: Instant, deadline: Instant, reply: Reply) {
        let target = self.sweep(now);
        let evicted = self.intake.books().evicted_total();
        let names = self.outlets.iter().map(|outlet| Arc::clone(&outlet.name));
        self.flushes.push(Flush::new(target, deadline, names, evicted, reply));
        self.outlets.iter_mut().for_each(|outlet| outlet.hurry(now));
    }

    /// As [`flush`](Self::flush), for the last time: nothing more is taken in, and what is left at `deadline` is lost.
    pub(crate) fn shutdown(&mut self, now: Instant, deadline: Instant, reply: Reply) {
        self.intake.close();
        self.flush(now, deadline, reply);
        self.is_draining = true;
    }

    fn sweep(&mut self, now: Instant) -> Epoch {
        let epoch = self.intake.sweep();
        self.due = Some(epoch);
        if self.next_sweep.is_some_and(|at| now >= at) {
            self.intake.collect.trim();
        }
        self.next_sweep = Some(now + self.intake.limits.scheduled_delay);
        epoch
    }

    fn observe_level(&mut self) {
        self.intake.publish_level(&self.intake.books());
        if let Some(event) = self.monitor.look() {
            self.observer.event(&event);
        }
    }

    fn next_export(&mut self, now: Instant, is_ready: &[bool]) -> Option<Action<C::Request>> {
        for (index, is_ready) in is_ready.iter().enumerate() {
            let outlet = &mut self.outlets[index];
            if !is_ready || !outlet.may_send(now) {
                continue;
            }
            let Some(work) = outlet.next() else { continue };
            let id = self.next_id;
            self.next_id += 1;
            let kept = self.intake.collect.share(&work.request);
            let Work {
                request,
                seq,
                items,
                bytes,
                epoch,
                permit,
            } = work;
            outlet.sent(
                id,
                InFlight {
                    kept,
                    seq,
                    items,
                    bytes,
                    epoch,
                    permit,
                    sent: now,
                },
            );
            self.count(&semconv::EXPORTER_SPAN_INFLIGHT, items as i64, index);
            self.update_outlet_books(index);
            return Some(Action::Export {
                outlet: index,
                id,
                request,
            });
        }
        None
    }

    /// Whether a destination could send what is still in the queue, or keeps it so that the queue has room.
    fn wants_request(&self, now: Instant, is_ready: &[bool]) -> bool {
        let mut outlets = self.outlets.iter().zip(is_ready);
        outlets.any(|(outlet, is_ready)| outlet.is_parking() || (*is_ready && outlet.is_hungry(now)))
    }

    /// Makes one request of what is ready, if that fills one or is due. High priority first.
    fn assemble(&mut self) -> bool {
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
    fn next_piece(&mut self, priority: Priority, first: Option<Epoch>) -> Option<Rest<C::Piece>> {
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
    fn hand_out(&mut self, request: C::Request, items: u64, bytes: usize, epoch: Epoch) {
        let permit = Arc::new(Permit {
            bound: Arc::clone(&self.intake.bound),
            bytes,
        });
        let seq = self.next_seq;
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
            let permit = Arc::clone(&permit);
            self.outlets[index].push(Work {
                request,
                seq,
                items,
                bytes,
                epoch,
                permit,
            });
            while let Some(work) = self.outlets[index].shed(self.intake.limits.overflow) {
                self.lose(index, work.epoch, LossReason::QueueFull, work.items);
            }
            self.update_outlet_books(index);
        }
    }

    /// The receiver took a request, in whole or in part.
    fn delivered(&mut self, outlet: usize, latency: Duration, request: InFlight<C::Request>, receipt: &Receipt) {
        let rejected = receipt.rejected().min(request.items);
        let exported = request.items - rejected;
        if exported > 0 {
            self.report_export(outlet, latency, exported, None);
        }
        if rejected > 0 {
            self.report_export(outlet, latency, rejected, Some("rejected"));
        }
        if rejected > 0 || receipt.message().is_some() {
            let message = receipt.message().unwrap_or_default();
            self.observer.event(&Event::PartialSuccess { rejected, message });
        }
        self.settle(
            outlet,
            request.epoch,
            &Settled {
                exported,
                rejected,
                ..Settled::default()
            },
        );
    }

    /// A request was not taken: park it, split it, or give it up.
    fn refused(&mut self, now: Instant, outlet: usize, request: InFlight<C::Request>, error: &ExportError) {
        let InFlight {
            kept,
            seq,
            items,
            bytes,
            epoch,
            permit,
            sent,
        } = request;
        match (error.kind(), kept) {
            (ErrorKind::TooLarge, Some(request)) => {
                self.answered(now, outlet);
                match self.intake.collect.halve(&request) {
                    Some(halves) => {
                        self.observer.event(&Event::RequestSplit { items });
                        for (request, half_items, half_bytes) in halves.into_iter().rev() {
                            let permit = Arc::clone(&permit);
                            let (items, bytes) = (half_items as u64, half_bytes);
                            self.outlets[outlet].retry_first(Work {
                                request,
                                seq,
                                items,
                                bytes,
                                epoch,
                                permit,
                            });
                        }
                    }
                    None => self.give_up(outlet, epoch, LossReason::TooLarge, items, error),
                }
            }
            (_, Some(request)) if error.is_retryable() => {
                if self.outlets[outlet].failed(now, sent, error.retry_after(), &mut self.random) {
                    self.observer.event(&Event::ExportFailed { error, items });
                }
                self.outlets[outlet].park(Work {
                    request,
                    seq,
                    items,
                    bytes,
                    epoch,
                    permit,
                });
            }
            (ErrorKind::TooLarge, None) => self.give_up(outlet, epoch, LossReason::TooLarge, items, error),
            (ErrorKind::Unauthenticated, _) => {
                self.answered(now, outlet);
                self.give_up(outlet, epoch, LossReason::Unauthenticated, items, error);
            }
            _ => {
                self.answered(now, outlet);
                self.give_up(outlet, epoch, LossReason::Permanent, items, error);
            }
        }
        self.update_outlet_books(outlet);
    }

    /// A destination answered, whatever it said: it can be reached.
    fn answered(&mut self, now: Instant, outlet: usize) {
        if let Some(outage) = self.outlets[outlet].answered(now) {
            self.observer.event(&Event::ReceiverRecovered { outage });
        }
    }

    fn give_up(&mut self, outlet: usize, epoch: Epoch, reason: LossReason, items: u64, error: &ExportError) {
        self.observer.event(&Event::ExportFailed { error, items });
        self.lose(outlet, epoch, reason, items);
    }

    fn lose(&mut self, outlet: usize, epoch: Epoch, reason: LossReason, items: u64) {
        self.observer.event(&Event::Lost { reason, items });
        let name = &self.outlets[outlet].name;
        let attributes = [
            (attribute::OTEL_COMPONENT_NAME, &**name),
            (attribute::ERROR_TYPE, reason.as_str()),
        ];
        self.observer.count(&semconv::LOST, items as i64, &attributes);
        self.settle(outlet, epoch, &Settled::lost(reason, items));
    }

    /// Moves items from pending to where they ended up.
    fn settle(&mut self, outlet: usize, epoch: Epoch, settled: &Settled) {
        self.outlets[outlet].settle(epoch, settled.items());
        for flush in self.flushes.iter_mut().filter(|flush| epoch <= flush.target) {
            flush.add(outlet, settled);
        }
        let mut books = self.intake.books();
        let account = &mut books.outlets[outlet];
        account.pending -= settled.items();
        account.exported += settled.exported;
        account.rejected += settled.rejected;
        account.lost += settled.lost;
        drop(books);
        self.update_outlet_books(outlet);
    }

    /// Answers the flushes that are through, or out of time.
    fn answer_flushes(&mut self, now: Instant) {
        if self.flushes.is_empty() {
            return;
        }
        if self.is_draining
            && self
                .flushes
                .iter()
                .any(|flush| now >= flush.deadline && self.pending_until(flush.target) > 0)
        {
            self.give_up_everything();
        }
        let mut index = 0;
        while index < self.flushes.len() {
            let Flush { target, deadline, .. } = self.flushes[index];
            if self.pending_until(target) > 0 && now < deadline {
                index += 1;
                continue;
            }
            let flush = self.flushes.swap_remove(index);
            let queued = self.queued_until(target);
            let pending: Vec<u64> = self
                .outlets
                .iter()
                .map(|outlet| queued + outlet.pending_until(target))
                .collect();
            let evicted = self.intake.books().evicted_total();
            flush.answer(pending.into_iter(), evicted);
        }
    }

    /// The deadline of the shutdown: what is still here is lost.
    fn give_up_everything(&mut self) {
        for priority in Priority::ALL {
            while let Some(Rest { piece, epoch }) = self.next_piece(priority, None) {
                let (items, bytes) = (piece.item_count() as u64, piece.bytes());
                let request = self.intake.collect.assemble(vec![piece], priority);
                self.hand_out(request, items, bytes, epoch);
            }
        }
        for index in 0..self.outlets.len() {
            for (epoch, items) in self.outlets[index].give_up() {
                self.lose(index, epoch, LossReason::ShutdownTimeout, items);
            }
        }
    }

    /// Items of these epochs that are in the queue or on their way to any destination.
    fn pending_until(&self, target: Epoch) -> u64 {
        self.queued_until(target)
            + self
                .outlets
                .iter()
                .map(|outlet| outlet.pending_until(target))
                .sum::<u64>()
    }

    fn queued_until(&self, target: Epoch) -> u64 {
        let rest = self.rest.iter().flatten().filter(|rest| rest.epoch <= target);
        rest.map(|rest| rest.piece.item_count() as u64).sum::<u64>() + self.intake.books().items_until(target)
    }

    fn wait(&self, now: Instant) -> Action<C::Request> {
        let sweep = self.next_sweep.unwrap_or(now);
        let attempts = self.outlets.iter().filter_map(Outlet::wake_at);
        let deadlines = self.flushes.iter().map(|flush| flush.deadline);
        let until = attempts.chain(deadlines).fold(sweep, Instant::min);
        let is_saturated = self
            .outlets
            .iter()
            .all(|outlet| !outlet.is_parking() && !outlet.may_send(now));
        Action::Wait { until, is_saturated }
    }

    /// Shows in the accounts what a destination's state is.
    fn update_outlet_books(&self, outlet: usize) {
        let state = &self.outlets[outlet];
        let mut books = self.intake.books();
        let account = &mut books.outlets[outlet];
        account.requests_in_flight = state.requests_in_flight();
        (account.parked_items, account.parked_bytes) = (state.parked().0, state.parked().1 as u64);
        account.is_reachable = state.is_reachable();
    }

    fn report_request(&self, items: usize, bytes: usize, reason: &'static str) {
        self.observer.record(&semconv::BATCH_ITEMS, items as f64, &[]);
        self.observer.record(&semconv::BATCH_BYTES, bytes as f64, &[]);
        self.observer
            .count(&semconv::BATCH_FLUSHES, 1, &[(attribute::FLUSH_REASON, reason)]);
    }

    fn report_export(&self, outlet: usize, latency: Duration, items: u64, error_type: Option<&str>) {
        let name = (attribute::OTEL_COMPONENT_NAME, &*self.outlets[outlet].name);
        let attributes = [name, (attribute::ERROR_TYPE, error_type.unwrap_or_default())];
        let attributes = if error_type.is_some() {
            &attributes[..]
        } else {
            &attributes[..1]
        };
        self.observer
            .count(&semconv::EXPORTER_SPAN_EXPORTED, items as i64, attributes);
        self.observer
            .record(&semconv::EXPORTER_OPERATION_DURATION, latency.as_secs_f64(), attributes);
        self.count(&semconv::EXPORTER_SPAN_INFLIGHT, -(items as i64), outlet);
    }

    fn count(&self, metric: &'static semconv::Metric, delta: i64, outlet: usize) {
        self.observer.count(
            metric,
            delta,
            &[(attribute::OTEL_COMPONENT_NAME, &self.outlets[outlet].name)],
        );
    }
}

#[cfg(test)]
#[cfg(not(spanwright_loom))]
mod tests;
