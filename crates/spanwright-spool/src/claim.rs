//! A request that somebody is delivering.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use spanwright_core::EncodedBatch;

use crate::log::ClaimId;
use crate::spool::Shared;

/// A request that was read from the spool, and that nobody else is given meanwhile.
///
/// Dropping it gives it back: whoever cancels a delivery, panics in it or forgets it loses nothing.
#[must_use = "a claim that is dropped is given back"]
pub struct Claim {
    shared: Arc<Shared>,
    id: ClaimId,
    batch: EncodedBatch,
    written_at: SystemTime,
    is_open: bool,
}

impl Claim {
    pub(crate) fn new(shared: Arc<Shared>, id: ClaimId, batch: EncodedBatch, written_at: SystemTime) -> Self {
        Self {
            shared,
            id,
            batch,
            written_at,
            is_open: true,
        }
    }

    /// The request.
    #[must_use]
    pub fn batch(&self) -> &EncodedBatch {
        &self.batch
    }

    /// When it was written, by the time of day.
    #[must_use]
    pub fn written_at(&self) -> SystemTime {
        self.written_at
    }

    /// It was delivered, or will never be taken by anybody: the spool may forget it.
    pub fn ack(mut self) {
        self.is_open = false;
        self.shared.ack(self.id);
    }

    /// It was not delivered: it is given out again, before anything younger.
    pub fn release(self) {}
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_open {
            self.shared.release(self.id);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("batch", &self.batch)
            .field("written_at", &self.written_at)
            .finish_non_exhaustive()
    }
}
