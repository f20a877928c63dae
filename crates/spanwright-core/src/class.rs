//! What a queue may know of an item.

use crate::Priority;

/// Which lane an item takes, and with which others it is dropped if it must be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever knows the item; a third field would change every one of them on purpose"
)]
pub struct Class {
    /// The lane.
    pub priority: Priority,
    /// Uniformly distributed; the same for all items of a trace.
    pub affinity: u32,
}
