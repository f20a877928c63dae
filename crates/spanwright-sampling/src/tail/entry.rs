//! The way in: on the application's threads, when a span ends.

use std::sync::atomic::Ordering;

use spanwright_core::{Class, Release, ScopeId};

use super::budget::Offer;
use super::held::{Departure, HeldTrace, Records};
use super::id::TraceKey;
use super::policies::Reasons;
use super::sampler::{SHARDS, Shared};
use super::span::TailSpan;
use super::stats::Trigger;
use super::verdict::{Head, Verdict, head_threshold};
use crate::probability::{Randomness, Threshold};
use crate::trace_state;

/// How often a span asks for room before its trace has to go.
const ATTEMPTS: usize = 8;

/// A span that has ended, on its way in.
pub(super) struct Arrival<'a> {
    pub(super) key: TraceKey,
    pub(super) span: &'a TailSpan<'a>,
    pub(super) reasons: Reasons,
    pub(super) record: &'a [u8],
    pub(super) scope: ScopeId,
    pub(super) class: Class,
}

/// How far it came.
enum Step {
    /// It is held.
    Held,
    /// It is held, its local root has ended, and its trace takes part in the budget.
    Candidate(Randomness),
    /// Its trace is decided about, with it among the records.
    Decided(Departure),
    /// The same, and it is not among them: it made the trace too large.
    Overflown(Departure),
    /// Its trace was decided about before.
    Late(Verdict),
    /// Another trace had to make room.
    Evicted(Departure),
    /// There is none, and nobody in the shard to make any.
    NoRoom,
}

impl Shared {
    pub(super) fn hold(&self, arrival: &Arrival<'_>, out: &mut dyn Release) {
        for _ in 0..ATTEMPTS {
            match self.take_in(arrival) {
                Step::Held => return,
                Step::Candidate(randomness) => return self.offer(arrival.key, randomness, out),
                Step::Decided(departure) => return self.depart(departure, out),
                Step::Overflown(departure) => return self.depart_with(departure, arrival, out),
                Step::Late(verdict) => return self.follow(verdict, arrival, out),
                Step::Evicted(departure) => self.depart(departure, out),
                Step::NoRoom => {
                    if !self.make_room(arrival.key, out) {
                        break;
                    }
                }
            }
        }
        match self.give_up(arrival) {
            Ok(departure) => self.depart_with(departure, arrival, out),
            Err(verdict) => self.follow(verdict, arrival, out),
        }
    }

    fn take_in(&self, arrival: &Arrival<'_>) -> Step {
        let Arrival { key, span, record, .. } = *arrival;
        let shard = self.shard(key);
        let mut state = shard.lock();
        let state = &mut *state;
        let place = match state.traces.find(key) {
            Some(place) => place,
            None => {
                if let Some(verdict) = state.decisions.find(key) {
                    return Step::Late(verdict);
                }
                if let Some(oldest) = state.traces.oldest().filter(|_| state.traces.is_full()) {
                    return Step::Evicted(self.evict(shard, state, oldest, Trigger::Memory));
                }
                state.traces.insert(key, self.begin(arrival))
            }
        };

        let trace = state.traces.get_mut(place);
        let len = Records::HEADER + record.len();
        if trace.records.spans >= self.max_spans || trace.records.bytes.len() + len > self.max_trace_bytes {
            self.hear(trace, arrival);
            return Step::Overflown(self.evict(shard, state, place, Trigger::TraceSize));
        }
        let has_room = state.buffers.grow(&mut trace.records.bytes, len, &self.memory)
            || (state.buffers.free_idle(&self.memory)
                && state.buffers.grow(&mut trace.records.bytes, len, &self.memory));
        if !has_room {
            let oldest = state.traces.oldest().filter(|oldest| *oldest != place);
            let other = oldest.or_else(|| state.traces.after(place));
            if state.traces.get(place).records.spans == 0 {
                // Not even its first span is in: nobody must find it so.
                state.traces.remove(place);
            }
            return match other {
                Some(other) => Step::Evicted(self.evict(shard, state, other, Trigger::Memory)),
                None => Step::NoRoom,
            };
        }

        trace.records.push(record, arrival.scope, arrival.class.priority);
        self.hear(trace, arrival);
        shard.add_span();
        if !span.is_local_root() || trace.is_candidate {
            return Step::Held;
        }
        let wish = self.policies.wish(trace.reasons);
        if self.policies.budget().is_some() && wish.threshold != Some(Threshold::ALWAYS) {
            trace.is_candidate = true;
            return Step::Candidate(trace.head.randomness);
        }
        let trace = state.traces.remove(place);
        Step::Decided(self.decide(shard, state, key, trace, Trigger::RootEnded, None))
    }

    fn begin(&self, arrival: &Arrival<'_>) -> HeldTrace {
        HeldTrace {
            head: self.head(arrival.span),
            // Relaxed: the time stands alone.
            since: self.millis.load(Ordering::Relaxed),
            affinity: arrival.class.affinity,
            ..HeldTrace::default()
        }
    }

    /// What a span says about its trace. The first one says how the trace came through the head, and then its root.
    ///
    /// After the root nobody is heard, also while the budget makes the trace wait: those that wait longer have the larger
    /// randomness, and a reason that comes meanwhile would count too few.
    fn hear(&self, trace: &mut HeldTrace, arrival: &Arrival<'_>) {
        if trace.is_candidate {
            return;
        }
        trace.reasons = trace.reasons.union(arrival.reasons);
        if arrival.span.is_local_root() {
            trace.head = self.head(arrival.span);
        }
    }

    /// How a span came through the head.
    pub(super) fn head(&self, span: &TailSpan<'_>) -> Head {
        let context = span.context();
        let (ot, _) = trace_state::read(context.trace_state());
        let own = ot
            .randomness
            .unwrap_or_else(|| Randomness::of_trace_id(context.trace_id()));
        let is_reliable = head_threshold(ot, own, context.is_sampled(), self.head_records_all).is_some();
        Head {
            is_reliable,
            randomness: match is_reliable {
                true => own,
                false => Randomness::new((self.entropy)()),
            },
        }
    }

    /// The trace, whose local root has ended, takes part in the budget.
    fn offer(&self, key: TraceKey, randomness: Randomness, out: &mut dyn Release) {
        let Some((_, budget)) = self.policies.budget() else {
            return;
        };
        match budget.offer(randomness, key.id) {
            Offer::Waits => {}
            Offer::Displaces(other, floor) => self.decide_candidate(self.hasher.key(other), floor, out),
            Offer::Refused(floor) => self.decide_candidate(key, floor, out),
        }
    }

    /// Makes room in another shard; whether it could.
    fn make_room(&self, key: TraceKey, out: &mut dyn Release) -> bool {
        let own = key.shard(SHARDS);
        (1..SHARDS).any(|distance| {
            let shard = &self.shards[(own + distance) % SHARDS];
            let mut state = shard.lock();
            if state.buffers.free_idle(&self.memory) {
                return true;
            }
            let Some(oldest) = state.traces.oldest() else {
                return false;
            };
            let departure = self.evict(shard, &mut state, oldest, Trigger::Memory);
            drop(state);
            self.depart(departure, out);
            true
        })
    }

    /// There is no room for a span, nor anything that could make any: its trace has to be decided about with it.
    fn give_up(&self, arrival: &Arrival<'_>) -> Result<Departure, Verdict> {
        let shard = self.shard(arrival.key);
        let mut state = shard.lock();
        let state = &mut *state;
        let mut trace = match state.traces.find(arrival.key) {
            Some(place) => state.traces.remove(place),
            None => match state.decisions.find(arrival.key) {
                Some(verdict) => return Err(verdict),
                None => self.begin(arrival),
            },
        };
        self.hear(&mut trace, arrival);
        let floor = self.early_floor(&trace);
        Ok(self.decide(shard, state, arrival.key, trace, Trigger::Memory, floor))
    }
}
