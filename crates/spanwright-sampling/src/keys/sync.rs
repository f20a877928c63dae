//! Atomics of the key table: the real ones, or loom's under `--cfg spanwright_loom`.

#[cfg(not(spanwright_loom))]
pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(spanwright_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
