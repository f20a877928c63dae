//! Somebody waits for everything that ended before now.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{LossCounts, LossReason};

use crate::intake::Epoch;
use crate::report::{Delivery, Report};

/// A flush under way.
pub(super) struct Flush {
    /// The last epoch that it covers.
    pub(super) target: Epoch,
    pub(super) deadline: Instant,
    pub(super) report: Report,
    /// What the overflow policy had dropped of the ready queue when it began.
    pub(super) evicted_before: u64,
    pub(super) reply: Reply,
}

/// Takes the report to whoever waits for it.
pub(crate) type Reply = Box<dyn FnOnce(Report) + Send>;

impl Flush {
    pub(super) fn new(
        target: Epoch,
        deadline: Instant,
        names: impl Iterator<Item = Arc<str>>,
        evicted: u64,
        reply: Reply,
    ) -> Self {
        let destinations = names
            .map(|name| Delivery {
                name,
                ..Delivery::default()
            })
            .collect();
        Self {
            target,
            deadline,
            report: Report { destinations, held: 0 },
            evicted_before: evicted,
            reply,
        }
    }

    /// Whether it waits for what ended in this epoch.
    pub(super) fn covers(&self, epoch: Option<Epoch>) -> bool {
        epoch.is_some_and(|epoch| epoch <= self.target)
    }

    /// Items that it covers went to the store.
    pub(super) fn add_spooled(&mut self, outlet: usize, items: u64) {
        if let Some(delivery) = self.report.destinations.get_mut(outlet) {
            delivery.spooled += items;
        }
    }

    /// Items that it covers were settled.
    pub(super) fn add(&mut self, outlet: usize, settled: &Settled) {
        if let Some(delivery) = self.report.destinations.get_mut(outlet) {
            delivery.exported += settled.exported;
            delivery.rejected += settled.rejected;
            delivery.lost += settled.lost;
        }
    }

    /// Answers, with what is still pending by destination, and what was dropped from the queue meanwhile.
    pub(super) fn answer(mut self, pending: impl Iterator<Item = u64>, evicted: u64) {
        let evicted = evicted - self.evicted_before;
        for (delivery, pending) in self.report.destinations.iter_mut().zip(pending) {
            delivery.pending = pending;
            delivery.lost.add(LossReason::QueueFull, evicted);
        }
        (self.reply)(self.report);
    }
}

/// How items left the books of one destination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    pub(super) exported: u64,
    pub(super) rejected: u64,
    pub(super) lost: LossCounts,
}

impl Settled {
    pub(super) fn lost(reason: LossReason, items: u64) -> Self {
        let mut settled = Self::default();
        settled.lost.add(reason, items);
        settled
    }

    pub(super) fn items(&self) -> u64 {
        self.exported + self.rejected + self.lost.total()
    }
}
