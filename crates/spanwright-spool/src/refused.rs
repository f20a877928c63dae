//! A request that was not taken.

use std::error::Error;
use std::fmt;

use spanwright_core::EncodedBatch;

/// The spool did not take the batch: here it is again.
#[derive(Clone, Debug)]
pub struct Refused {
    batch: EncodedBatch,
    reason: RefusedReason,
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RefusedReason {
    /// The spool was shut down.
    AlreadyShutdown,
    /// The disk failed. It is tried again by itself; keep the batch in memory until then.
    Degraded,
    /// The bound is reached, and the policy lets nothing give way for this batch.
    Full,
    /// It is by itself larger than the format, or the whole bound.
    TooLarge,
}

impl Refused {
    pub(crate) fn new(batch: EncodedBatch, reason: RefusedReason) -> Self {
        Self { batch, reason }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> RefusedReason {
        self.reason
    }

    /// The batch.
    #[must_use]
    pub fn batch(&self) -> &EncodedBatch {
        &self.batch
    }

    /// Gives the batch back.
    #[must_use]
    pub fn into_batch(self) -> EncodedBatch {
        self.batch
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            RefusedReason::AlreadyShutdown => "it is shut down",
            RefusedReason::Degraded => "its disk failed and is being tried again",
            RefusedReason::Full => "it is full",
            RefusedReason::TooLarge => "the batch is larger than it takes",
        };
        let (items, bytes) = (self.batch.item_count(), self.batch.len());
        write!(
            f,
            "the spool did not take a batch of {items} items ({bytes} bytes): {why}"
        )
    }
}

impl Error for Refused {}
