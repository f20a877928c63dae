//! Items encoded when they end.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use spanwright_core::{Encode, EncodedBatch, Ended, Held, LossReason, Priority, RewriteTraceState, ScopeId, TailStage};

use super::pool::{Buffer, CHUNK_BYTES, Pool, Run, Sealed};
use super::{Chunk, Class, Collect, Piece, Room};
use crate::intake::Door;

/// Collects items as the bytes of their records, in runs by scope.
///
/// A request is made of the chunks' own memory: its segments are slices of the buffers that the application's threads wrote.
/// Only where scopes alternate so quickly that the slices would be tiny, the records of a scope are copied together.
pub(crate) struct Encoded<T, E, F> {
    pub(crate) encoder: E,
    classify: F,
    pool: Arc<Pool>,
    tail: Option<Arc<dyn TailStage<T>>>,
    item: PhantomData<fn(T)>,
}

/// What is collected: an item, or the record of one that was held.
pub(crate) enum EncodedInput<'a, T> {
    Item(&'a T),
    Record {
        record: &'a [u8],
        scope: ScopeId,
        trace_state: &'a mut dyn RewriteTraceState,
    },
}

/// What a thread keeps: the encoder's, and where a record is written that goes to the stage first.
#[derive(Default)]
pub(crate) struct EncodedScratch<S> {
    encoder: S,
    record: Vec<u8>,
}

/// The largest buffer for one record that a thread keeps.
const MAX_RECORD_BUFFER: usize = 64 * 1024;

impl<T, E, F> Encoded<T, E, F> {
    pub(crate) fn new(encoder: E, classify: F) -> Self {
        Self {
            encoder,
            classify,
            pool: Arc::default(),
            tail: None,
            item: PhantomData,
        }
    }

    pub(crate) fn with_tail(self, tail: Option<Arc<dyn TailStage<T>>>) -> Self {
        Self { tail, ..self }
    }
}

impl<T, E, F> Collect for Encoded<T, E, F>
where
    T: 'static,
    E: Encode<T>,
    F: Fn(&T) -> Class + Send + Sync + 'static,
{
    type Input<'a> = EncodedInput<'a, T>;
    type Scratch = EncodedScratch<E::Scratch>;
    type Chunk = EncodedChunk;
    type Piece = EncodedPiece;
    type Request = EncodedRequest;

    fn class(&self, input: &EncodedInput<'_, T>) -> Class {
        match input {
            EncodedInput::Item(item) => (self.classify)(item),
            // Its class was found when it was an item, and goes with it.
            EncodedInput::Record { .. } => Class::default(),
        }
    }

    fn open_chunk(&self) -> EncodedChunk {
        EncodedChunk {
            buffer: self.pool.take(),
            item_count: 0,
            last_len: 0,
            pool: Arc::clone(&self.pool),
        }
    }

    fn append(
        &self,
        input: &mut EncodedInput<'_, T>,
        scratch: &mut EncodedScratch<E::Scratch>,
        chunk: &mut EncodedChunk,
    ) -> usize {
        let start = chunk.buffer.bytes.len();
        let scope = match input {
            EncodedInput::Item(item) => self.encoder.encode(item, &mut scratch.encoder, &mut chunk.buffer.bytes),
            EncodedInput::Record {
                record,
                scope,
                trace_state,
            } => {
                self.encoder.amend(record, *trace_state, &mut chunk.buffer.bytes);
                *scope
            }
        };
        chunk.close_record(scope, start)
    }

    fn undo(&self, _: &mut EncodedInput<'_, T>, chunk: &mut EncodedChunk, mark: Mark) {
        chunk.buffer.bytes.truncate(mark.len);
        chunk.buffer.runs.truncate(mark.runs);
        if let (Some(run), Some(last)) = (chunk.buffer.runs.last_mut(), mark.last_run) {
            *run = last;
        }
        chunk.item_count = mark.item_count;
    }

    fn seal(&self, chunk: EncodedChunk) -> EncodedPiece {
        let runs = chunk.buffer.runs.clone();
        let bytes = Bytes::from_owner(Sealed::new(chunk.buffer, chunk.pool));
        EncodedPiece {
            bytes,
            runs,
            item_count: chunk.item_count,
        }
    }

    fn cut(&self, mut piece: EncodedPiece, room: Room) -> (Option<EncodedPiece>, Option<EncodedPiece>) {
        if room.takes(&piece) {
            return (Some(piece), None);
        }
        let mut start = 0;
        let sizes = std::iter::from_fn(|| {
            let left = piece.bytes.get(start..).filter(|left| !left.is_empty())?;
            let size = self.encoder.record_len(left).clamp(1, left.len());
            start += size;
            Some(size)
        });
        match room.take(sizes) {
            (0, _) => (None, Some(piece)),
            (count, _) if count == piece.item_count => (Some(piece), None),
            (count, end) => (Some(piece.split_at(end, count)), Some(piece)),
        }
    }

    fn assemble(&self, pieces: Vec<EncodedPiece>, priority: Priority) -> EncodedRequest {
        let item_count = pieces.iter().map(Piece::item_count).sum();
        let scopes = group_by_scope(&pieces);
        let mut heads = Vec::with_capacity(256);
        let mut head_ends = Vec::with_capacity(scopes.len());
        for scope in &scopes {
            self.encoder.open_scope(scope.id, scope.len, &mut heads);
            head_ends.push(heads.len());
        }
        let mut first = Vec::with_capacity(512);
        let scopes_len = heads.len() + scopes.iter().map(|scope| scope.len).sum::<usize>();
        self.encoder.open_request(scopes_len, &mut first);

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
        EncodedRequest {
            batch: EncodedBatch::new(segments, item_count, priority),
            pieces: pieces.into(),
        }
    }

    fn share(&self, request: &EncodedRequest) -> Option<EncodedRequest> {
        Some(request.clone())
    }

    fn halve(&self, request: &EncodedRequest) -> Option<[(EncodedRequest, usize, usize); 2]> {
        let mut room = request.batch.item_count() / 2;
        if room == 0 {
            return None;
        }
        if request.pieces.is_empty() {
            return self.halve_restored(request);
        }
        let (mut front, mut back) = (Vec::new(), Vec::new());
        for piece in request.pieces.iter() {
            let piece = piece.clone();
            if room == 0 {
                back.push(piece);
            } else if piece.item_count <= room {
                room -= piece.item_count;
                front.push(piece);
            } else {
                let (here, rest) = self.cut(
                    piece,
                    Room {
                        items: room,
                        bytes: usize::MAX,
                        is_empty: true,
                    },
                );
                front.extend(here);
                back.extend(rest);
                room = 0;
            }
        }
        let priority = request.batch.priority();
        Some([front, back].map(|half| {
            let (items, bytes) = (
                half.iter().map(Piece::item_count).sum(),
                half.iter().map(Piece::bytes).sum(),
            );
            (self.assemble(half, priority), items, bytes)
        }))
    }

    fn batch<'a>(&self, request: &'a EncodedRequest) -> Option<&'a EncodedBatch> {
        Some(&request.batch)
    }

    fn restore(&self, batch: EncodedBatch) -> Option<EncodedRequest> {
        Some(EncodedRequest::restored(batch))
    }

    fn trim(&self) {
        self.pool.trim();
    }

    fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    fn hold(&self, input: EncodedInput<'_, T>, door: &mut Door<'_, Self>) -> Result<(), LossReason> {
        let (Some(tail), EncodedInput::Item(item)) = (&self.tail, input) else {
            return Ok(());
        };
        if door.is_closed() {
            return Err(door.lose(LossReason::AlreadyShutdown));
        }
        let class = (self.classify)(item);
        // Out of its place while the stage may release what it has held into the same slot.
        let mut record = std::mem::take(&mut door.scratch().record);
        record.clear();
        // As for a chunk: an encoder that panics costs one item.
        let scope = catch_unwind(AssertUnwindSafe(|| {
            self.encoder.encode(item, &mut door.scratch().encoder, &mut record)
        }));
        let result = match scope {
            Ok(scope) => {
                door.count_ended();
                let record = &record;
                tail.hold(
                    Ended {
                        item,
                        record,
                        scope,
                        class,
                    },
                    door,
                );
                Ok(())
            }
            Err(_) => Err(door.lose(LossReason::Encode)),
        };
        if record.capacity() <= MAX_RECORD_BUFFER {
            door.scratch().record = record;
        }
        result
    }

    fn poll_tail(&self, now: Instant, door: &mut Door<'_, Self>) -> Option<Instant> {
        self.tail.as_ref()?.poll(now, door)
    }

    fn drain_tail(&self, door: &mut Door<'_, Self>) -> bool {
        self.tail.as_ref().is_none_or(|tail| tail.drain(door))
    }

    fn held(&self) -> Held {
        self.tail.as_ref().map(|tail| tail.held()).unwrap_or_default()
    }
}

impl<T: 'static, E: Encode<T>, F> Encoded<T, E, F> {
    fn halve_restored(&self, request: &EncodedRequest) -> Option<[(EncodedRequest, usize, usize); 2]> {
        let halves = self.encoder.halve(&request.batch)?;
        Some(halves.map(|batch| {
            let (items, bytes) = (batch.item_count(), batch.len());
            (EncodedRequest::restored(batch), items, bytes)
        }))
    }
}

impl<T, E, F> fmt::Debug for Encoded<T, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// Records that one thread wrote, and the runs of one scope in them.
#[derive(Debug)]
pub(crate) struct EncodedChunk {
    buffer: Buffer,
    item_count: usize,
    last_len: usize,
    pool: Arc<Pool>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    len: usize,
    runs: usize,
    last_run: Option<Run>,
    item_count: usize,
}

impl EncodedChunk {
    /// Books the record that was written from `start` on.
    fn close_record(&mut self, scope: ScopeId, start: usize) -> usize {
        let end = self.buffer.bytes.len();
        match self.buffer.runs.last_mut() {
            Some(run) if run.scope == scope => {
                run.end = end;
                run.item_count += 1;
            }
            _ => self.buffer.runs.push(Run {
                scope,
                end,
                item_count: 1,
            }),
        }
        self.item_count += 1;
        self.last_len = end - start;
        self.last_len
    }
}

impl Chunk for EncodedChunk {
    type Mark = Mark;

    fn item_count(&self) -> usize {
        self.item_count
    }

    fn bytes(&self) -> usize {
        self.buffer.bytes.len()
    }

    fn mark(&self) -> Mark {
        Mark {
            len: self.buffer.bytes.len(),
            runs: self.buffer.runs.len(),
            last_run: self.buffer.runs.last().copied(),
            item_count: self.item_count,
        }
    }

    fn is_full(&self) -> bool {
        // Room for one more like the last: a buffer that grows is allocated anew and not used again.
        self.buffer.bytes.len() + self.last_len.max(512) > CHUNK_BYTES
    }

    fn absorb(&mut self, other: Self) -> Result<(), Self> {
        let offset = self.buffer.bytes.len();
        if offset + other.buffer.bytes.len() > CHUNK_BYTES {
            return Err(other);
        }
        self.buffer.bytes.extend_from_slice(&other.buffer.bytes);
        for run in &other.buffer.runs {
            let end = run.end + offset;
            match self.buffer.runs.last_mut() {
                Some(last) if last.scope == run.scope => {
                    last.end = end;
                    last.item_count += run.item_count;
                }
                _ => self.buffer.runs.push(Run { end, ..*run }),
            }
        }
        self.item_count += other.item_count;
        other.pool.give(other.buffer);
        Ok(())
    }
}

/// A sealed chunk, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct EncodedPiece {
    bytes: Bytes,
    runs: Vec<Run>,
    item_count: usize,
}

impl EncodedPiece {
    /// Cuts off the first `count` records, which are the first `end` bytes.
    fn split_at(&mut self, end: usize, count: usize) -> Self {
        let (mut front, mut back) = (Vec::new(), Vec::new());
        let mut room = count;
        for run in self.runs.drain(..) {
            let here = run.item_count.min(room);
            room -= here;
            if here > 0 {
                front.push(Run {
                    end: run.end.min(end),
                    item_count: here,
                    ..run
                });
            }
            if here < run.item_count {
                back.push(Run {
                    end: run.end - end,
                    item_count: run.item_count - here,
                    ..run
                });
            }
        }
        self.runs = back;
        self.item_count -= count;
        Self {
            bytes: self.bytes.split_to(end),
            runs: front,
            item_count: count,
        }
    }

    fn runs(&self) -> impl Iterator<Item = (ScopeId, Bytes)> + '_ {
        let mut start = 0;
        self.runs.iter().map(move |run| {
            let records = self.bytes.slice(start..run.end);
            start = run.end;
            (run.scope, records)
        })
    }
}

impl Piece for EncodedPiece {
    fn item_count(&self) -> usize {
        self.item_count
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A request, and the pieces it was made of in case it must be made smaller; none if it does not come from the queue.
#[derive(Clone, Debug)]
pub(crate) struct EncodedRequest {
    pub(crate) batch: EncodedBatch,
    pieces: Arc<[EncodedPiece]>,
}

impl EncodedRequest {
    /// Of a batch that comes from somewhere else than the queue.
    fn restored(batch: EncodedBatch) -> Self {
        let pieces = Arc::default();
        Self { batch, pieces }
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

#[cfg(test)]
mod tests;
