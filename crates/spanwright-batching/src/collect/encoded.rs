//! Items encoded when they end.

mod chunk;
mod request;

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{Encode, EncodedBatch, Ended, Held, LossReason, Priority, RewriteTraceState, ScopeId, TailStage};

pub(crate) use self::chunk::{EncodedChunk, EncodedPiece, Mark};
pub(crate) use self::request::EncodedRequest;
use super::pool::Pool;
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
    const BYTES_ARE_EXACT: bool = true;

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
        EncodedChunk::new(&self.pool)
    }

    fn append(
        &self,
        input: &mut EncodedInput<'_, T>,
        scratch: &mut EncodedScratch<E::Scratch>,
        chunk: &mut EncodedChunk,
    ) -> usize {
        let (start, bytes) = (chunk.bytes(), chunk.open_record());
        let scope = match input {
            EncodedInput::Item(item) => self.encoder.encode(item, &mut scratch.encoder, bytes),
            EncodedInput::Record {
                record,
                scope,
                trace_state,
            } => {
                self.encoder.amend(record, *trace_state, bytes);
                *scope
            }
        };
        chunk.close_record(scope, start)
    }

    fn undo(&self, _: &mut EncodedInput<'_, T>, chunk: &mut EncodedChunk, mark: Mark) {
        chunk.go_back(mark);
    }

    fn seal(&self, chunk: EncodedChunk) -> EncodedPiece {
        chunk.seal()
    }

    fn cut(&self, mut piece: EncodedPiece, room: Room) -> (Option<EncodedPiece>, Option<EncodedPiece>) {
        if room.takes(&piece) {
            return (Some(piece), None);
        }
        let mut start = 0;
        let sizes = std::iter::from_fn(|| {
            let left = piece.records().get(start..).filter(|left| !left.is_empty())?;
            let size = self.encoder.record_len(left).clamp(1, left.len());
            start += size;
            Some(size)
        });
        match room.take(sizes) {
            (0, _) => (None, Some(piece)),
            (count, _) if count == piece.item_count() => (Some(piece), None),
            (count, end) => (Some(piece.split_at(end, count)), Some(piece)),
        }
    }

    fn assemble(&self, pieces: Vec<EncodedPiece>, priority: Priority) -> EncodedRequest {
        EncodedRequest::assemble(&self.encoder, pieces, priority)
    }

    fn share(&self, request: &EncodedRequest) -> Option<EncodedRequest> {
        Some(request.clone())
    }

    fn halve(&self, request: &EncodedRequest) -> Option<[(EncodedRequest, usize, usize); 2]> {
        let mut room = request.batch.item_count() / 2;
        if room == 0 {
            return None;
        }
        if request.pieces().is_empty() {
            return self.halve_restored(request);
        }
        let (mut front, mut back) = (Vec::new(), Vec::new());
        for piece in request.pieces().iter() {
            let piece = piece.clone();
            if room == 0 {
                back.push(piece);
            } else if piece.item_count() <= room {
                room -= piece.item_count();
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

#[cfg(test)]
mod tests;
