//! Where requests go, as it is made.

use std::sync::Arc;

use spanwright_core::Store;

/// A destination, as it is made.
pub(crate) struct Destination {
    pub(crate) name: Arc<str>,
    pub(crate) store: Option<Arc<dyn Store>>,
}

impl Destination {
    /// Without a store.
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            store: None,
        }
    }

    pub(crate) fn writes_ahead(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.writes_ahead())
    }
}
