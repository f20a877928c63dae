//! A value whose changes can be waited for.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

/// A value that threads and tasks of other runtimes wait to see changed.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
    changed_async: Notify,
}

impl<T: Copy> Watched<T> {
    pub(crate) fn get(&self) -> T {
        *self.value.lock()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock());
        self.changed.notify_all();
        self.changed_async.notify_waiters();
    }

    /// Blocks until the value is as `reached` wants it, at most for `timeout`; whether it came to that.
    pub(crate) fn wait(&self, timeout: Duration, mut reached: impl FnMut(&T) -> bool) -> bool {
        let mut value = self.value.lock();
        self.changed
            .wait_while_for(&mut value, |value| !reached(value), timeout);
        reached(&value)
    }

    /// Returns when the value is as `reached` wants it.
    pub(crate) async fn reached(&self, mut reached: impl FnMut(&T) -> bool) {
        loop {
            // Registered before the look, so that a change between the look and the wait is not missed.
            let mut changed = std::pin::pin!(self.changed_async.notified());
            changed.as_mut().enable();
            if reached(&self.get()) {
                return;
            }
            changed.await;
        }
    }
}
