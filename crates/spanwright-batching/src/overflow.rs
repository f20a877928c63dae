//! What happens when there is no room.

/// What is dropped when the queue is full. Every drop is counted as [`LossReason::QueueFull`](spanwright_core::LossReason);
/// none of the policies blocks the application.
///
/// Under each of them, items of [`Priority::High`](spanwright_core::Priority::High) take the place of waiting normal ones until
/// the reserved share is used up: they are dropped last.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// Refuse the item that does not fit. What happened before an incident is kept. The cheapest.
    #[default]
    DropNewest,
    /// Make room by dropping the chunk that waits longest (some dozen items at a time). What happens now is kept.
    ///
    /// While everything that is held is on its way to the receiver, there is nothing to drop, and the new item is refused.
    DropOldest,
    /// Above the high watermark, drop a growing share of all *traces*, chosen by the random part of the trace id: the traces
    /// that remain are whole. At the bound itself as [`DropNewest`](Self::DropNewest).
    ///
    /// The share only grows until the queue has come down to half, so that a trace is not dropped in its middle and kept at
    /// its end. Items of high priority are exempt.
    DropTraces,
}
