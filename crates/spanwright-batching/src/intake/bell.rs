//! Wakes the pipeline thread, and only when it sleeps.

use std::task::Waker;

use crate::sync::{AtomicBool, Mutex, Ordering};

/// The pipeline thread arms the bell before it looks at the queue for the last time and sleeps; whoever has something for it
/// rings. An armed bell rings once, so a burst costs one wake-up and not one per chunk.
///
/// No ring is lost: an item is put in the queue under a lock that the last look takes too. Either the look sees the item, or
/// the look came first, and then arming, which came before it, is seen by whoever rings after the put.
#[derive(Debug)]
pub(crate) struct Bell {
    armed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self {
            armed: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    pub(crate) fn arm(&self, waker: &Waker) {
        let mut known = self.waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        drop(known);
        // Relaxed: ordered against `ring` by the lock of the queue, see above.
        self.armed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// Wakes the thread if it sleeps.
    pub(crate) fn ring(&self) {
        // The load keeps the line shared among the threads that ring while nobody sleeps.
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::Relaxed) {
            self.ring_always();
        }
    }

    /// Wakes the thread whether or not it is armed: for commands, which must not wait.
    pub(crate) fn ring_always(&self) {
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
