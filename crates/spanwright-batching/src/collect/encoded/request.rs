//! A request of records, by scope.

use std::sync::Arc;

use bytes::Bytes;
use spanwright_core::{Encode, EncodedBatch, Priority, ScopeId};

use super::chunk::EncodedPiece;
use crate::collect::Piece;

/// A request, and the pieces it was made of in case it must be made smaller; none if it does not come from the queue.
#[derive(Clone, Debug)]
pub(crate) struct EncodedRequest {
    pub(crate) batch: EncodedBatch,
    pieces: Arc<[EncodedPiece]>,
}

impl EncodedRequest {
    /// Of these records.
    pub(super) fn assemble<T>(encoder: &impl Encode<T>, pieces: Vec<EncodedPiece>, priority: Priority) -> Self {
        let item_count = pieces.iter().map(Piece::item_count).sum();
        let scopes = group_by_scope(&pieces);
        let mut heads = Vec::with_capacity(256);
        let mut head_ends = Vec::with_capacity(scopes.len());
        for scope in &scopes {
            encoder.open_scope(scope.id, scope.len, &mut heads);
            head_ends.push(heads.len());
        }
        let mut first = Vec::with_capacity(512);
        let scopes_len = heads.len() + scopes.iter().map(|scope| scope.len).sum::<usize>();
        encoder.open_request(scopes_len, &mut first);

        // The request's header and the first scope's are one segment, so that a request of one scope and one chunk has two.
        let first_head = head_ends.first().copied().unwrap_or(0);
        first.extend_from_slice(&heads[..first_head]);
        let heads = Bytes::from(heads);
        let mut segments = vec![Bytes::from(first)];
        let mut start = first_head;
        for (index, (scope, end)) in scopes.into_iter().zip(head_ends).enumerate() {
            if index > 0 {
                segments.push(heads.slice(start..end));
                start = end;
            }
            scope.into_segments(&mut segments);
        }
        Self {
            batch: EncodedBatch::new(segments, item_count, priority),
            pieces: pieces.into(),
        }
    }

    /// Of a batch that comes from somewhere else than the queue.
    pub(super) fn restored(batch: EncodedBatch) -> Self {
        let pieces = Arc::default();
        Self { batch, pieces }
    }

    /// What it was made of; nothing if it does not come from the queue.
    pub(super) fn pieces(&self) -> &[EncodedPiece] {
        &self.pieces
    }
}

/// The records of one scope in a request.
struct ScopeRuns {
    id: ScopeId,
    runs: Vec<Bytes>,
    len: usize,
}

/// Below this average, slices cost more (a segment each, a frame each on the wire) than copying them together.
const MIN_RUN_BYTES: usize = 2 * 1024;

impl ScopeRuns {
    fn into_segments(self, segments: &mut Vec<Bytes>) {
        if self.runs.len() > 1 && self.len < self.runs.len() * MIN_RUN_BYTES {
            let mut whole = Vec::with_capacity(self.len);
            self.runs.iter().for_each(|run| whole.extend_from_slice(run));
            segments.push(whole.into());
        } else {
            segments.extend(self.runs);
        }
    }
}

/// The runs of `pieces` by scope, scopes in the order in which they first occur, runs of a scope in theirs.
fn group_by_scope(pieces: &[EncodedPiece]) -> Vec<ScopeRuns> {
    let mut scopes: Vec<ScopeRuns> = Vec::new();
    for (id, records) in pieces.iter().flat_map(EncodedPiece::runs) {
        let len = records.len();
        // Few scopes per request: a search beats a map.
        match scopes.iter_mut().find(|scope| scope.id == id) {
            Some(scope) => {
                scope.len += len;
                scope.runs.push(records);
            }
            None => scopes.push(ScopeRuns {
                id,
                runs: vec![records],
                len,
            }),
        }
    }
    scopes
}
