//! The way in for records that a stage in front of the queue has held.

use spanwright_core::{Class, LossReason, Release, RewriteTraceState, ScopeId};

use super::Intake;
use super::slot::{SlotState, TailCounts};
use crate::collect::{Collect, Encoded, EncodedInput};

/// A thread's slot, locked, as the stage sees it that decides later ([`TailStage`](spanwright_core::TailStage)).
///
/// Whatever the stage does, it does with one of these in its hands: in the thread's own slot when an item ends, in the shared one on
/// the pipeline thread. So a reader who has the locks of all slots finds the stage at rest, and its count of held items right.
pub(crate) struct Door<'a, C: Collect> {
    intake: &'a Intake<C>,
    state: &'a mut SlotState<C>,
    /// The deadline of the shutdown has passed: nothing that is released can be delivered.
    is_over: bool,
    too_late: u64,
}

impl<'a, C: Collect> Door<'a, C> {
    pub(super) fn new(intake: &'a Intake<C>, state: &'a mut SlotState<C>, is_over: bool) -> Self {
        Self {
            intake,
            state,
            is_over,
            too_late: 0,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.intake.is_closed()
    }

    pub(crate) fn scratch(&mut self) -> &mut C::Scratch {
        &mut self.state.scratch
    }

    /// The stage is about to get an item.
    pub(crate) fn count_ended(&mut self) {
        self.state.counts.tail.ended += 1;
    }

    /// An item that the stage does not get to see.
    pub(crate) fn lose(&mut self, reason: LossReason) -> LossReason {
        let TailCounts { ended, lost, .. } = &mut self.state.counts.tail;
        (*ended, *lost) = (*ended + 1, *lost + 1);
        self.state.counts.ended += 1;
        self.state.lose(reason);
        reason
    }

    /// How many items were released after the deadline.
    pub(super) fn too_late(&self) -> u64 {
        self.too_late
    }
}

impl<T, E, F> Release for Door<'_, Encoded<T, E, F>>
where
    Encoded<T, E, F>: for<'a> Collect<Input<'a> = EncodedInput<'a, T>>,
{
    fn has_room(&self) -> bool {
        self.is_over || self.intake.has_room()
    }

    fn release(&mut self, record: &[u8], scope: ScopeId, class: Class, trace_state: &mut dyn RewriteTraceState) {
        self.state.counts.tail.kept += 1;
        if self.is_over {
            self.state.counts.ended += 1;
            self.state.lose(LossReason::ShutdownTimeout);
            self.too_late += 1;
            return;
        }
        let mut input = EncodedInput::Record {
            record,
            scope,
            trace_state,
        };
        // A refusal is in the ledger.
        let _ = self.intake.put(self.state, class, &mut input);
    }

    fn discard(&mut self, items: u64) {
        self.state.counts.tail.dropped += items;
    }
}
