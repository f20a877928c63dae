//! Records as they were written, and the runs of one scope in them.

use std::sync::Arc;

use bytes::Bytes;
use spanwright_core::ScopeId;

use crate::collect::pool::{Buffer, CHUNK_BYTES, Pool, Run, Sealed};
use crate::collect::{Chunk, Piece};

/// Records that one thread wrote, and the runs of one scope in them.
#[derive(Debug)]
pub(crate) struct EncodedChunk {
    pub(super) buffer: Buffer,
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
    /// An empty one.
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            buffer: pool.take(),
            item_count: 0,
            last_len: 0,
            pool: Arc::clone(pool),
        }
    }

    /// Where the next record is written to.
    #[inline]
    pub(super) fn open_record(&mut self) -> &mut Vec<u8> {
        &mut self.buffer.bytes
    }

    /// Books the record that was written from `start` on.
    #[inline]
    pub(super) fn close_record(&mut self, scope: ScopeId, start: usize) -> usize {
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

    /// As it was then.
    #[inline]
    pub(super) fn go_back(&mut self, to: Mark) {
        self.buffer.bytes.truncate(to.len);
        self.buffer.runs.truncate(to.runs);
        if let (Some(run), Some(last)) = (self.buffer.runs.last_mut(), to.last_run) {
            *run = last;
        }
        self.item_count = to.item_count;
    }

    pub(super) fn seal(self) -> EncodedPiece {
        let runs = self.buffer.runs.clone();
        let bytes = Bytes::from_owner(Sealed::new(self.buffer, self.pool));
        EncodedPiece {
            bytes,
            runs,
            item_count: self.item_count,
        }
    }
}

impl Chunk for EncodedChunk {
    type Mark = Mark;

    #[inline]
    fn item_count(&self) -> usize {
        self.item_count
    }

    fn bytes(&self) -> usize {
        self.buffer.bytes.len()
    }

    #[inline]
    fn mark(&self) -> Mark {
        Mark {
            len: self.buffer.bytes.len(),
            runs: self.buffer.runs.len(),
            last_run: self.buffer.runs.last().copied(),
            item_count: self.item_count,
        }
    }

    #[inline]
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
    /// The bytes of all records.
    pub(super) fn records(&self) -> &[u8] {
        &self.bytes
    }

    /// Cuts off the first `count` records, which are the first `end` bytes.
    pub(super) fn split_at(&mut self, end: usize, count: usize) -> Self {
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

    pub(super) fn runs(&self) -> impl Iterator<Item = (ScopeId, Bytes)> + '_ {
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
