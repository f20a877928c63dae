//! The counters of a tail sampler.

use super::stats::{PolicyCount, TailStats, Trigger, TriggerCount};
use crate::counter::Counters;

/// Counts by policy, by trigger, and the rest.
#[derive(Debug)]
pub(super) struct Tallies {
    counters: Counters,
    /// One more than there are policies, for traces that none wanted.
    policies: usize,
}

/// Places behind the pairs of policies and triggers.
const LATE: usize = 0;
const ABORTED: usize = 2;
const OTHERS: usize = 3;

impl Tallies {
    pub(super) fn new(policies: usize) -> Self {
        let policies = policies + 1;
        let columns = 2 * (policies + Trigger::ALL.len()) + OTHERS;
        Self {
            counters: Counters::new(columns),
            policies,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.counters.bytes()
    }

    /// A trace was decided about.
    pub(super) fn count_trace(&self, policy: Option<u8>, trigger: Trigger, is_kept: bool) {
        let policy = policy.map_or(self.policies - 1, usize::from);
        self.counters.add(2 * policy + usize::from(is_kept), 1);
        let trigger = self.policies + trigger.index();
        self.counters.add(2 * trigger + usize::from(is_kept), 1);
    }

    pub(super) fn count_late(&self, is_kept: bool) {
        self.counters.add(self.others() + LATE + usize::from(is_kept), 1);
    }

    pub(super) fn count_aborted(&self, spans: u64) {
        if spans > 0 {
            self.counters.add(self.others() + ABORTED, spans);
        }
    }

    fn others(&self) -> usize {
        2 * (self.policies + Trigger::ALL.len())
    }

    /// Everything, for policies of these names.
    pub(super) fn stats<'a>(&self, names: impl Iterator<Item = &'a str>) -> TailStats {
        let pair = |index: usize| (self.counters.sum(2 * index), self.counters.sum(2 * index + 1));
        let policies = names.enumerate().map(|(index, name)| {
            let (dropped, kept) = pair(index);
            PolicyCount {
                policy: name.to_owned(),
                dropped,
                kept,
            }
        });
        let triggers = Trigger::ALL.into_iter().map(|trigger| {
            let (dropped, kept) = pair(self.policies + trigger.index());
            TriggerCount { trigger, dropped, kept }
        });
        TailStats {
            policies: policies.collect(),
            triggers: triggers.collect(),
            late_dropped: self.counters.sum(self.others() + LATE),
            late_kept: self.counters.sum(self.others() + LATE + 1),
            aborted_writes: self.counters.sum(self.others() + ABORTED),
            ..TailStats::default()
        }
    }
}
