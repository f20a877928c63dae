//! A gate that a test opens.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds something back until the test opens it. Clones are the same gate.
///
/// With a gate a test decides what happens first, without a delay that is too short on a slow machine.
///
/// ```
/// use spanwright_testing::Gate;
///
/// let gate = Gate::new();
/// assert!(!gate.is_open());
/// gate.clone().open();
/// assert!(gate.is_open());
/// gate.close();
/// assert!(!gate.is_open());
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            open: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Lets everything through that waits, and everything that comes later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Holds back again what comes from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Whether it lets through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Returns when the gate is open.
    pub async fn passed(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
