//! Wakes the pipeline thread, and only when it sleeps.

use std::task::Waker;

use crate::sync::{AtomicU32, Mutex, Ordering};

/// The pipeline thread arms the bell before it looks at the queue for the last time and sleeps; whoever has something for it
/// rings. An armed bell rings once, so a burst costs one wake-up and not one per chunk.
///
/// No ring is lost: an item is put in the queue under a lock that the last look takes too. Either the look sees the item, or
/// the look came first, and then arming, which came before it, is seen by whoever rings after the put.
#[derive(Debug)]
pub(crate) struct Bell {
    armed: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

/// What is worth waking up for. A bell armed for one rings for that and what is above it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// A batch is ready, or there was no room: of use only if something can be sent.
    Batch = 1,
    /// A watermark was crossed: to be seen and acted on at once.
    Watermark = 2,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self {
            armed: AtomicU32::new(NEVER),
            waker: Mutex::new(None),
        }
    }

    pub(crate) fn arm(&self, least: Call, waker: &Waker) {
        let mut known = self.waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        drop(known);
        // Relaxed: ordered against `ring` by the lock of the queue, see above.
        self.armed.store(least as u32, Ordering::Relaxed);
    }

    /// Wakes the thread if it sleeps and wants to know.
    pub(crate) fn ring(&self, call: Call) {
        // The load keeps the line shared among the threads that ring while nobody sleeps.
        let is_wanted = |armed: u32| armed <= call as u32;
        if is_wanted(self.armed.load(Ordering::Relaxed)) && is_wanted(self.armed.swap(NEVER, Ordering::Relaxed)) {
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

/// Above every call: nobody sleeps.
const NEVER: u32 = 3;
