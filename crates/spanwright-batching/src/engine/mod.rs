//! The half of the queue that the pipeline thread runs: a state machine without I/O.
//!
//! ```text
//! ready chunks ─► assemble ─► Outlet (one a destination): waiting ─► under way ─► settled: exported | rejected | lost
//!                                                            ▲  ▲        │
//!                                                            │  └ parked ◄ retryable
//!                                                            └── Shelf ◄─┘ short of memory, or the end
//! ```
//!
//! Time comes in with every call, randomness as a seed; what to do comes out of [`Engine::poll`].

mod assembly;
mod destination;
mod flush;
mod line;
mod outcome;
mod outlet;
mod request;
mod shelf;

use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::semconv::{self, attribute};
use spanwright_core::{Event, ExportError, LossCounts, LossReason, Observer, Priority, SeededRandom};

use self::assembly::Rest;
pub(crate) use self::destination::Destination;
pub(crate) use self::flush::Reply;
use self::flush::{Flush, Settled};
use self::outlet::Outlet;
pub(crate) use self::request::RequestId;
use self::request::{InFlight, Label, Work};
use self::shelf::Shelf;
use crate::collect::{Collect, Piece};
use crate::intake::{Epoch, Intake, Swept};
use crate::monitor::QueueMonitor;
use crate::sizer::BatchSizer;

/// As long as anybody means who asks for a wait without end: a clock goes this far, but not as far as `Duration::MAX`.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// How much of a shutdown's time is for the stores: they take some hundred MB a second, and one sync.
const LONGEST_PUT_AWAY: Duration = Duration::from_secs(1);

pub(crate) struct Engine<C: Collect> {
    intake: Arc<Intake<C>>,
    outlets: Vec<Outlet<C::Request>>,
    sizer: Box<dyn BatchSizer>,
    observer: Arc<dyn Observer>,
    monitor: QueueMonitor,
    random: SeededRandom,
    /// What was cut off the end of the last request of a lane.
    rest: [Option<Rest<C::Piece>>; Priority::ALL.len()],
    /// Everything of these epochs leaves now, also in a request that is not full.
    due: Option<Epoch>,
    next_sweep: Option<Instant>,
    next_id: RequestId,
    next_seq: u64,
    flushes: Vec<Flush>,
    is_draining: bool,
    /// The stage in front of the queue is being emptied into it: the shutdown is not through before it is.
    is_fed: bool,
    /// Losses at the entry that the observer was told of.
    told: LossCounts,
    /// Memory is short: requests go to the stores until there is enough again.
    is_short: bool,
    /// When a shutdown stops to wait for receivers, and puts into the stores what is left.
    put_away_at: Option<Instant>,
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
        destinations: Vec<Destination>,
        sizer: Box<dyn BatchSizer>,
        observer: Arc<dyn Observer>,
        monitor: QueueMonitor,
        random: SeededRandom,
    ) -> Self {
        let count = destinations.len();
        let outlet = |Destination { name, store }| Outlet::new(name, store.map(Shelf::new), &intake.limits, count);
        let outlets = destinations.into_iter().map(outlet).collect();
        let mut engine = Self {
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
            is_fed: false,
            told: LossCounts::default(),
            is_short: false,
            put_away_at: None,
        };
        engine.look_at_stores();
        engine
    }

    /// What to do now. `is_ready` tells which destinations' services take a request.
    pub(crate) fn poll(&mut self, now: Instant, is_ready: &[bool]) -> Action<C::Request> {
        let next_sweep = *self.next_sweep.get_or_insert(now + self.intake.limits.scheduled_delay);
        if now >= next_sweep || self.intake.take_sweep_wish() {
            self.sweep(now);
        }
        self.observe_level();
        self.look_at_stores();
        // New requests first: whether they or parked ones go out is the outlet's choice, and it must have both to choose.
        while self.wants_request(now, is_ready) && self.assemble() {}
        self.relieve();
        if self.is_draining {
            self.put_away(now);
        }
        if let Some(action) = self.next_export(now, is_ready) {
            return action;
        }
        self.answer_flushes(now);
        if self.is_draining && self.flushes.is_empty() {
            return Action::Stop;
        }
        self.wait(now)
    }

    /// Whether a destination's service should be asked whether it is ready: not while it is left alone.
    pub(crate) fn wants_ready(&self, now: Instant, outlet: usize) -> bool {
        self.outlets[outlet].may_send(now)
    }

    /// A destination's service cannot be used at all at the moment.
    pub(crate) fn unavailable(&mut self, now: Instant, outlet: usize, error: &ExportError) {
        if self.outlets[outlet].unavailable(now, error.retry_after(), &mut self.random) {
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
        let patience = deadline.saturating_duration_since(now);
        self.put_away_at = Some(deadline - (patience / 4).min(LONGEST_PUT_AWAY));
    }

    /// As [`shutdown`](Self::shutdown), with more to come from the stage in front of the queue, until [`fed`](Self::fed).
    pub(crate) fn shutdown_fed(&mut self, now: Instant, deadline: Instant, reply: Reply) {
        self.shutdown(now, deadline, reply);
        self.is_fed = true;
        // It covers what comes as well: nothing else does.
        if let Some(last) = self.flushes.last_mut() {
            last.target = Epoch::MAX;
        }
    }

    /// The stage is empty. So many items came out of it after the deadline and are lost.
    pub(crate) fn fed(&mut self, now: Instant, too_late: u64) {
        self.is_fed = false;
        let last = self.flushes.iter_mut().filter(|flush| flush.target == Epoch::MAX);
        for flush in last {
            for outlet in 0..self.outlets.len() {
                flush.add(outlet, &Settled::lost(LossReason::ShutdownTimeout, too_late));
            }
        }
        self.sweep(now);
    }

    fn sweep(&mut self, now: Instant) -> Epoch {
        let Swept { epoch, lost } = self.intake.sweep();
        self.due = Some(epoch);
        self.report_entry_losses(lost);
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
            if !is_ready || !self.outlets[index].may_send(now) {
                continue;
            }
            let Some(Work { request, label }) = self.next_work(now, index) else {
                continue;
            };
            let id = self.next_id;
            self.next_id += 1;
            let (kept, items) = (self.intake.collect.share(&request), label.items);
            let sent = now;
            self.outlets[index].sent(id, InFlight { kept, label, sent });
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

    /// What a destination gets next: from the store, if that has something and it is its turn, or from memory.
    fn next_work(&mut self, now: Instant, index: usize) -> Option<Work<C::Request>> {
        let replay = if self.is_draining {
            None
        } else {
            self.outlets[index].replay(now)
        };
        let Some(claim) = replay else {
            return self.outlets[index].next();
        };
        self.look_at_store(index);
        let batch = claim.batch().clone();
        let label = Label::of_stored(&batch, claim);
        let request = self.intake.collect.restore(batch)?;
        Some(Work { request, label })
    }

    /// Whether a destination could send what is still in the queue, or keeps it so that the queue has room.
    fn wants_request(&self, now: Instant, is_ready: &[bool]) -> bool {
        // A receiver that takes requests and does not answer is away, too, but nobody knows yet: the queue is emptied before its items
        // fill it, as long as there are bytes for them.
        let limits = &self.intake.limits;
        if C::BYTES_ARE_EXACT && self.intake.bound.utilization() >= limits.high_watermark {
            return true;
        }
        let is_last_moment = self.is_last_moment(now);
        let mut outlets = self.outlets.iter().zip(is_ready);
        outlets.any(|(outlet, is_ready)| {
            outlet.is_parking() || outlet.is_shelving(is_last_moment) || (*is_ready && outlet.is_hungry(now))
        })
    }

    /// Answers the flushes that are through, or out of time.
    fn answer_flushes(&mut self, now: Instant) {
        if self.flushes.is_empty() {
            return;
        }
        let is_over = |flush: &Flush| {
            let is_left = self.pending_until(flush.target) > 0 || self.outlets.iter().any(Outlet::is_replaying);
            now >= flush.deadline && is_left
        };
        if self.is_draining && self.flushes.iter().any(is_over) {
            self.give_up_everything();
        }
        if self.is_draining && self.flushes.iter().all(|flush| self.is_through(now, flush)) {
            self.close_stores(now);
        }
        let mut index = 0;
        while index < self.flushes.len() {
            let target = self.flushes[index].target;
            if !self.is_through(now, &self.flushes[index]) {
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

    /// Whether a shutdown does not wait for receivers any more.
    fn is_last_moment(&self, now: Instant) -> bool {
        self.put_away_at.is_some_and(|at| now >= at)
    }

    fn is_through(&self, now: Instant, flush: &Flush) -> bool {
        // What comes from the store is not waited for by a flush, but at the end it is not torn off either.
        let is_replaying = self.is_draining && self.outlets.iter().any(Outlet::is_replaying);
        let is_done = self.pending_until(flush.target) == 0 && !self.is_fed && !is_replaying;
        is_done || now >= flush.deadline
    }

    /// The deadline of the shutdown: what is still here is lost, unless there is a store that takes it.
    fn give_up_everything(&mut self) {
        for priority in Priority::ALL {
            while let Some(Rest { piece, epoch }) = self.next_piece(priority, None) {
                let (items, bytes) = (piece.item_count() as u64, piece.bytes());
                let request = self.intake.collect.assemble(vec![piece], priority);
                self.hand_out(request, items, bytes, epoch);
            }
        }
        for index in 0..self.outlets.len() {
            if self.outlets[index].shelf.is_some() {
                self.shelve_all(index, true);
            }
            let under_way = self.outlets[index].items_in_flight();
            self.count(&semconv::EXPORTER_SPAN_INFLIGHT, -(under_way as i64), index);
            for label in self.outlets[index].give_up() {
                self.lose(index, label, LossReason::ShutdownTimeout);
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

    fn wait(&self, now: Instant) -> Action<C::Request> {
        let sweep = self.next_sweep.unwrap_or(now);
        let attempts = self.outlets.iter().filter_map(Outlet::wake_at);
        let deadlines = self.flushes.iter().map(|flush| flush.deadline);
        let deadlines = deadlines.chain(self.put_away_at);
        // What could be done by now is done. The rest waits for somebody else, whom the past would only make us ask again and again.
        let to_come = attempts.chain(deadlines).filter(|at| now < *at);
        let until = to_come.fold(sweep, Instant::min);
        let is_saturated = self
            .outlets
            .iter()
            .all(|outlet| !outlet.is_parking() && !outlet.may_send(now));
        Action::Wait { until, is_saturated }
    }

    /// Shows in the accounts what a destination's state is.
    fn update_outlet_books(&self, outlet: usize) {
        self.outlets[outlet].show(&mut self.intake.books().outlets[outlet]);
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
