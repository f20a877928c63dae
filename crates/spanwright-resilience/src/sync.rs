//! The lock that a breaker's clones share: the real one, or loom's under `--cfg spanwright_loom`.

#[cfg(not(spanwright_loom))]
pub(crate) use parking_lot::Mutex;

#[cfg(spanwright_loom)]
pub(crate) use self::model::Mutex;

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
