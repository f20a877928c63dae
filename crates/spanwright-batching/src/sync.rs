//! Locks and atomics: the real ones, or loom's under `--cfg spanwright_loom`.

#[cfg(not(spanwright_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(spanwright_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

#[cfg(spanwright_loom)]
pub(crate) use self::model::Mutex;
#[cfg(spanwright_loom)]
pub(crate) use loom::sync::{
    MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

#[cfg(spanwright_loom)]
mod model {
    /// loom's mutex with parking_lot's interface: no poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

/// Keeps a contended value on cache lines of its own (two, for the prefetcher's sake).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);
