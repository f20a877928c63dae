//! A place for requests outside of memory.

use std::fmt;
use std::time::Duration;

use crate::{EncodedBatch, LossCounts};

/// Keeps requests that cannot be delivered now, beyond the end of the process: what a spool on disk is to a processor.
///
/// # Contract
///
/// - Nobody but its processor writes to it and claims from it.
/// - The oldest request is given out first.
/// - Delivery is at least once: a [`Stored`] that is dropped without having been [acknowledged](Stored::ack) is given out again, by this
///   process or by the next one.
/// - No method waits for longer than some writes to disk take, and none panics. What goes wrong is an answer.
/// - What it loses by itself, to a bound or to damage, it [counts](Self::counts), and never something that is claimed.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Takes a request, to be [claimed](Self::claim) later.
    ///
    /// # Errors
    ///
    /// Not now, or not at all: the caller still has it.
    fn write(&self, batch: &EncodedBatch) -> Result<(), NotStored>;

    /// Takes a request that the caller goes on to deliver by itself.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_claimed(&self, batch: &EncodedBatch) -> Result<Box<dyn Stored>, NotStored>;

    /// The oldest request that nobody has claimed.
    fn claim(&self) -> Option<Box<dyn Stored>>;

    /// What it has, found and lost so far.
    ///
    /// # Cost
    ///
    /// Little: it is asked after each request.
    fn counts(&self) -> StoreCounts;

    /// Whether each request is to be written before it is sent, so that the end of the process costs next to nothing.
    fn writes_ahead(&self) -> bool;

    /// Makes everything that was written safe from the end of the machine, for so long at most, and takes nothing any more. Whether
    /// all of it is safe; from the end of the process it was before.
    fn close(&self, timeout: Duration) -> bool;
}

/// A request of a [`Store`] that somebody delivers. Dropped, it is given back.
pub trait Stored: Send + Sync {
    /// The request.
    fn batch(&self) -> &EncodedBatch;

    /// It has arrived, or never will: the store may forget it.
    fn ack(self: Box<Self>);
}

/// What a [`Store`] counts: items, all but one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever implements the trait")]
pub struct StoreCounts {
    /// Of requests that were found, of earlier processes, those that could not be read any more included.
    pub recovered: u64,
    /// Lost by itself, recovered ones included.
    pub lost: LossCounts,
    /// Of requests that wait to be claimed.
    pub waiting: u64,
    /// The requests that wait to be claimed.
    pub waiting_requests: u64,
}

/// A [`Store`] did not take a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say of it")]
pub struct NotStored;

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was not stored")
    }
}

impl std::error::Error for NotStored {}
