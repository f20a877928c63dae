//! Decisions, and the way out.

use spanwright_core::Release;

use super::budget::Floor;
use super::entry::Arrival;
use super::held::{Departure, HeldTrace, Shard, ShardState};
use super::id::TraceKey;
use super::policies::Reasons;
use super::sampler::{SHARDS, Shared};
use super::span::TailSpan;
use super::stats::Trigger;
use super::verdict::Verdict;
use crate::probability::Randomness;

impl Shared {
    /// Decides about a trace whose second is over for it.
    pub(super) fn decide_candidate(&self, key: TraceKey, floor: Floor, out: &mut dyn Release) {
        let shard = self.shard(key);
        let mut state = shard.lock();
        // It may have had to go meanwhile.
        let place = state.traces.find(key);
        let Some(place) = place.filter(|place| state.traces.get(*place).is_candidate) else {
            return;
        };
        let trace = state.traces.remove(place);
        let departure = self.decide(shard, &mut state, key, trace, Trigger::Window, Some(floor));
        drop(state);
        self.depart(departure, out);
    }

    /// Decides about a trace before its time.
    pub(super) fn evict(&self, shard: &Shard, state: &mut ShardState, place: u32, trigger: Trigger) -> Departure {
        let key = state.traces.key(place);
        let trace = state.traces.remove(place);
        let floor = self.early_floor(&trace);
        self.decide(shard, state, key, trace, trigger, floor)
    }

    /// What the budget asks of a trace that cannot wait for the end of the second.
    pub(super) fn early_floor(&self, trace: &HeldTrace) -> Option<Floor> {
        let (_, budget) = self.policies.budget()?;
        match trace.is_candidate {
            true => budget.early_of_candidate(),
            false => budget.early(),
        }
    }

    /// Decides, and remembers it.
    pub(super) fn decide(
        &self,
        shard: &Shard,
        state: &mut ShardState,
        key: TraceKey,
        mut trace: HeldTrace,
        trigger: Trigger,
        floor: Option<Floor>,
    ) -> Departure {
        let verdict = self.verdict(&trace, floor);
        state.decisions.insert(key, verdict);
        self.counters.count_trace(verdict.policy(), trigger, verdict.is_kept());
        shard.remove_spans(trace.records.spans);
        if !verdict.is_kept() {
            state
                .buffers
                .give(std::mem::take(&mut trace.records.bytes), &self.memory);
        }
        Departure {
            key,
            verdict,
            records: trace.records,
            affinity: trace.affinity,
        }
    }

    fn verdict(&self, trace: &HeldTrace, floor: Option<Floor>) -> Verdict {
        let mut wish = self.policies.wish(trace.reasons);
        let by_budget = self.policies.budget().zip(floor.and_then(Floor::threshold));
        if let Some(((policy, _), threshold)) = by_budget
            && wish.threshold.is_none_or(|least| threshold < least)
        {
            wish.threshold = Some(threshold);
            wish.policy = Some(policy);
        }
        match wish.threshold {
            Some(threshold) if threshold.keeps(trace.head.randomness) => {
                Verdict::kept(Some(threshold).filter(|_| trace.head.is_reliable), wish.policy)
            }
            _ => Verdict::dropped(wish.policy),
        }
    }

    pub(super) fn explain(&self, spans: &[TailSpan<'_>]) -> Vec<String> {
        let mut steps: Vec<String> = self
            .policies
            .all()
            .iter()
            .filter_map(|policy| policy.explain(spans))
            .collect();
        let mut reasons = Reasons::default();
        for (index, policy) in self.policies.all().iter().enumerate() {
            if policy.rehearse(spans) {
                reasons.insert(index);
            }
        }
        let Some(span) = spans.iter().find(|span| span.is_local_root()).or(spans.first()) else {
            return steps;
        };
        let head = self.head(span);
        let wish = self.policies.wish(reasons);
        let kind = if head.is_reliable { "" } else { "fresh " };
        let randomness = head.randomness;
        let name = self.policies.name(wish.policy);
        let has_budget = self.policies.budget().is_some();
        steps.push(match wish.threshold {
            Some(threshold) if threshold.keeps(randomness) => {
                format!("kept: {kind}randomness {randomness} >= threshold {threshold} of policy `{name}`")
            }
            _ if has_budget => format!("up to the budget: {kind}randomness {randomness} against that of the others"),
            Some(threshold) => {
                format!("dropped: {kind}randomness {randomness} < threshold {threshold} of policy `{name}`")
            }
            None => "dropped: no policy wants it".to_owned(),
        });
        steps
    }
}

/// The way out, which no lock of ours is held on.
impl Shared {
    /// Gives the spans of a trace back.
    pub(super) fn depart(&self, departure: Departure, out: &mut dyn Release) {
        let Departure {
            key,
            verdict,
            records,
            affinity,
        } = departure;
        if !verdict.is_kept() {
            return out.discard(records.spans.into());
        }
        let shard = self.shard(key);
        let mut rewriter = shard.lock().take_rewriter();
        rewriter.start(Randomness::of_trace_id(key.trace_id()), verdict, self.head_records_all);
        for (record, scope, class) in records.iter(affinity) {
            out.release(record, scope, class, &mut rewriter);
        }
        self.counters.count_aborted(rewriter.aborted);
        let mut state = shard.lock();
        state.give_rewriter(rewriter);
        state.buffers.give(records.bytes, &self.memory);
    }

    /// Gives the spans of a trace back, and the one that is not among them because there was no place for it.
    pub(super) fn depart_with(&self, departure: Departure, arrival: &Arrival<'_>, out: &mut dyn Release) {
        let verdict = departure.verdict;
        self.depart(departure, out);
        self.depart_alone(verdict, arrival, out);
    }

    /// A span whose trace was decided about before.
    pub(super) fn follow(&self, verdict: Verdict, arrival: &Arrival<'_>, out: &mut dyn Release) {
        self.counters.count_late(verdict.is_kept());
        self.depart_alone(verdict, arrival, out);
    }

    pub(super) fn depart_alone(&self, verdict: Verdict, arrival: &Arrival<'_>, out: &mut dyn Release) {
        if !verdict.is_kept() {
            return out.discard(1);
        }
        let key = arrival.key;
        let mut rewriter = self.shard(key).lock().take_rewriter();
        rewriter.start(Randomness::of_trace_id(key.trace_id()), verdict, self.head_records_all);
        out.release(arrival.record, arrival.scope, arrival.class, &mut rewriter);
        self.counters.count_aborted(rewriter.aborted);
        self.shard(key).lock().give_rewriter(rewriter);
    }

    pub(super) fn shard(&self, key: TraceKey) -> &Shard {
        &self.shards[key.shard(SHARDS)]
    }
}
