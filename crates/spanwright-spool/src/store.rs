//! The spool as a processor's store.

use std::time::Duration;

use spanwright_core::{EncodedBatch, NotStored, Store, StoreCounts, Stored};

use crate::claim::Claim;
use crate::config::Mode;
use crate::spool::Spool;

/// A processor that has the spool keeps its books by [`counts`](Store::counts): it must be the only one that writes and claims.
impl Store for Spool {
    fn write(&self, batch: &EncodedBatch) -> Result<(), NotStored> {
        Self::write(self, batch.clone()).map(drop).map_err(|_| NotStored)
    }

    fn write_claimed(&self, batch: &EncodedBatch) -> Result<Box<dyn Stored>, NotStored> {
        match Self::write_claimed(self, batch.clone()) {
            Ok(claim) => Ok(Box::new(claim)),
            Err(_) => Err(NotStored),
        }
    }

    fn claim(&self) -> Option<Box<dyn Stored>> {
        Some(Box::new(Self::claim(self)?))
    }

    fn counts(&self) -> StoreCounts {
        self.store_counts()
    }

    fn writes_ahead(&self) -> bool {
        self.mode() == Mode::Wal
    }

    fn close(&self, timeout: Duration) -> bool {
        self.shutdown(timeout).is_ok()
    }
}

impl Stored for Claim {
    fn batch(&self) -> &EncodedBatch {
        Self::batch(self)
    }

    fn ack(self: Box<Self>) {
        Self::ack(*self);
    }
}
