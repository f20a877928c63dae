//! How a thread finds its slot.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::slot::Slot;
use crate::collect::Collect;

/// The slots of the calling thread, one for each intake that it has pushed to: nearly always one.
///
/// When the thread ends they are dropped; the registry then holds the last reference, which is how the sweep knows.
pub(super) struct LocalSlots {
    slots: Vec<(u64, Arc<dyn Any + Send + Sync>)>,
}

thread_local! {
    static LOCAL: RefCell<LocalSlots> = const { RefCell::new(LocalSlots { slots: Vec::new() }) };
}

/// Names an intake for the life of the process.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only uniqueness matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl LocalSlots {
    /// Calls `f` with this thread's slot of the intake `id`, made by `register` the first time; with `None` where the thread
    /// has no thread-locals any more, or is already in here (an item whose encoding ends another item).
    pub(super) fn with<C: Collect, R>(
        id: u64,
        register: impl FnOnce() -> Arc<Slot<C>>,
        f: impl FnOnce(Option<&Slot<C>>) -> R,
    ) -> R {
        let mut f = Some(f);
        let done = LOCAL.try_with(|local| {
            let Ok(mut local) = local.try_borrow_mut() else {
                return None;
            };
            let slot = local.find(id, register)?;
            let f = f.take()?;
            Some(f(Some(slot)))
        });
        match (done, f) {
            (Ok(Some(result)), _) => result,
            (_, Some(f)) => f(None),
            (_, None) => unreachable!("`f` is taken only to be called"),
        }
    }

    fn find<C: Collect>(&mut self, id: u64, register: impl FnOnce() -> Arc<Slot<C>>) -> Option<&Slot<C>> {
        let index = match self.slots.iter().position(|(known, _)| *known == id) {
            Some(index) => index,
            None => {
                // Slots that only this thread still has belong to an intake that is gone.
                self.slots.retain(|(_, slot)| Arc::strong_count(slot) > 1);
                self.slots.push((id, register()));
                self.slots.len() - 1
            }
        };
        self.slots[index].1.downcast_ref()
    }
}
