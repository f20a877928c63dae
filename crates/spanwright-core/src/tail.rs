//! Deciding later: items that are held, encoded, until enough is known of their trace.

use std::time::Instant;

use crate::{Class, RewriteTraceState, ScopeId};

/// Stands between the end of an item and the queue, and decides later which items go on.
///
/// A processor encodes an item when it ends, and hands the record over instead of queueing it. The stage keeps what it needs of
/// it, and gives records back, whenever it has decided, through a [`Release`].
///
/// ```text
/// end ─► encode ─► hold ─┬─► release ─► queue
///                        ├─► discard
///        poll, drain ────┘
/// ```
///
/// # Contract
///
/// - Every item that comes in by [`hold`](Self::hold) goes out exactly once, by [`Release::release`] or [`Release::discard`], in
///   the same call or in a later one of any method; until then it is counted by [`held`](Self::held). The processor keeps the
///   books ([`TailLedger`](crate::TailLedger)) by these calls, so that they are exact.
/// - `hold` is called on the application's threads. It must not wait: not for another thread but some instructions long, not for I/O.
/// - No method may panic. None may hold a lock that `held` takes while it calls the `Release`.
/// - Memory is bounded by the stage itself: `hold` has no way to refuse.
///
/// # Cost
///
/// Without a stage nothing but a comparison per item.
pub trait TailStage<T: ?Sized>: Send + Sync + 'static {
    /// Takes an item that has just ended: recorded, sampled or not.
    fn hold(&self, ended: Ended<'_, T>, out: &mut dyn Release);

    /// Decides what time alone has made due. Answers when it wants to be called again at the latest; `None` if only new items give
    /// it a reason to be.
    ///
    /// Called on the pipeline thread. Whatever can wait is to be left for a next call, at once, while [`Release::has_room`] says no.
    fn poll(&self, now: Instant, out: &mut dyn Release) -> Option<Instant>;

    /// Decides about everything that is held, by what is known now: nothing more will come. True when nothing is held any more;
    /// false if it stopped because there is no [room](Release::has_room), and is to be called again.
    fn drain(&self, out: &mut dyn Release) -> bool;

    /// What is held now.
    fn held(&self) -> Held;
}

/// An item that has ended, and what the processor has made of it.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by processors, and by the tests of stages"
)]
pub struct Ended<'a, T: ?Sized> {
    /// The item itself.
    pub item: &'a T,
    /// Its encoded record, to be given back as it is.
    pub record: &'a [u8],
    /// The scope of the record.
    pub scope: ScopeId,
    /// Its lane.
    pub class: Class,
}

/// Where a stage gives items back.
pub trait Release {
    /// Whether the queue has room for more than a few items. To be asked before each trace where there is no hurry.
    fn has_room(&self) -> bool;

    /// The item is kept: its record goes on to the queue, as that of a sampled item and with a trace state that says so.
    fn release(&mut self, record: &[u8], scope: ScopeId, class: Class, trace_state: &mut dyn RewriteTraceState);

    /// So many items are not kept.
    fn discard(&mut self, items: u64);
}

/// What a stage holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by every stage; two figures are all there is"
)]
pub struct Held {
    /// Items that are not decided about.
    pub items: u64,
    /// The memory that they and their bookkeeping take, in bytes.
    pub bytes: u64,
}
