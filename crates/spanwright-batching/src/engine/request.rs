//! A request, and what the engine must know of it.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::EncodedBatch;

use super::shelf::Claim;
use crate::intake::{Bound, Epoch};

/// Names a request on its way, within its outlet.
pub(crate) type RequestId = u64;

/// A request and what the engine must know of it.
#[derive(Debug)]
pub(super) struct Work<R> {
    pub(super) request: R,
    pub(super) label: Label,
}

/// A request on its way. What is needed to send it again is kept, where that can be kept.
#[derive(Debug)]
pub(super) struct InFlight<R> {
    pub(super) kept: Option<R>,
    pub(super) label: Label,
    pub(super) sent: Instant,
}

/// What the engine must know of a request, wherever it is.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// Its place in the order in which requests were made.
    pub(super) seq: u64,
    pub(super) items: u64,
    pub(super) bytes: usize,
    /// None for one that comes from the store: no flush waits for it.
    pub(super) epoch: Option<Epoch>,
    /// Its share of the bound, given back when the last destination is done with it. None for one that comes from the store.
    #[expect(dead_code, reason = "what matters is when it is dropped")]
    pub(super) permit: Option<Arc<Permit>>,
    /// Its place in the store, if it has one.
    pub(super) claim: Option<Claim>,
}

impl Label {
    /// Of a request that was in the store.
    pub(super) fn of_stored(batch: &EncodedBatch, claim: Claim) -> Self {
        Self {
            // Older than everything in memory.
            seq: 0,
            items: batch.item_count() as u64,
            bytes: batch.len(),
            epoch: None,
            permit: None,
            claim: Some(claim),
        }
    }

    /// Of a part of the request.
    pub(super) fn part(&self, items: u64, bytes: usize) -> Self {
        Self {
            items,
            bytes,
            claim: self.claim.as_ref().map(Claim::part),
            ..self.clone()
        }
    }

    /// Whether the store has it, and gives it out again when this is dropped.
    pub(super) fn is_of_store(&self) -> bool {
        self.epoch.is_none() && self.claim.as_ref().is_some_and(Claim::is_whole)
    }
}

/// Bytes of the bound, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    pub(super) bound: Arc<Bound>,
    pub(super) bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.bound.release_bytes(self.bytes);
    }
}
