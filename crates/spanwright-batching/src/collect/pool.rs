//! Chunk buffers that come back.

use std::sync::Arc;

use parking_lot::Mutex;
use spanwright_core::ScopeId;

/// The size of a chunk's buffer: small enough for a core's first cache and for many threads, large enough that what happens
/// once per chunk (a lock, a hand-over) costs about two nanoseconds per 400-byte item.
pub(super) const CHUNK_BYTES: usize = 32 * 1024;

/// The most buffers that wait to be used again: 4 MiB.
const MAX_IDLE: usize = 128;

/// Buffers of [`CHUNK_BYTES`], shared by the application's threads (which take) and the pipeline thread (which gives back).
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    buffers: Vec<Buffer>,
    /// The fewest that were idle since the last trim: so many were not needed.
    unneeded: usize,
}

/// The storage of a chunk: records, and where the runs of one scope end.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) runs: Vec<Run>,
}

/// Consecutive records of one scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) scope: ScopeId,
    /// Where it ends, in bytes from the start of the chunk.
    pub(super) end: usize,
    pub(super) item_count: usize,
}

impl Pool {
    pub(super) fn take(&self) -> Buffer {
        let mut idle = self.idle.lock();
        let buffer = idle.buffers.pop();
        idle.unneeded = idle.unneeded.min(idle.buffers.len());
        drop(idle);
        buffer.unwrap_or_else(|| Buffer {
            bytes: Vec::with_capacity(CHUNK_BYTES),
            runs: Vec::with_capacity(16),
        })
    }

    /// Takes a buffer back. One that had to grow for a large item is not kept.
    pub(super) fn give(&self, mut buffer: Buffer) {
        if buffer.bytes.capacity() != CHUNK_BYTES {
            return;
        }
        buffer.bytes.clear();
        buffer.runs.clear();
        let mut idle = self.idle.lock();
        if idle.buffers.len() < MAX_IDLE {
            if idle.buffers.capacity() == 0 {
                idle.buffers.reserve_exact(MAX_IDLE);
            }
            idle.buffers.push(buffer);
        }
    }

    /// Frees half of the buffers that nobody needed since the last call.
    pub(super) fn trim(&self) {
        let mut idle = self.idle.lock();
        let keep = idle.buffers.len() - idle.unneeded.div_ceil(2).min(idle.buffers.len());
        idle.buffers.truncate(keep);
        idle.unneeded = keep;
    }
}

/// A sealed buffer as the owner of [`bytes::Bytes`]: goes back to the pool with the last reference to it.
#[derive(Debug)]
pub(super) struct Sealed {
    buffer: Buffer,
    pool: Arc<Pool>,
}

impl Sealed {
    pub(super) fn new(buffer: Buffer, pool: Arc<Pool>) -> Self {
        Self { buffer, pool }
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.bytes
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_buffer_comes_back_with_its_last_reference() {
        let pool = Arc::new(Pool::default());
        let mut buffer = pool.take();
        buffer.bytes.extend_from_slice(b"record");
        let address = buffer.bytes.as_ptr();
        let bytes = bytes::Bytes::from_owner(Sealed::new(buffer, Arc::clone(&pool)));
        let slice = bytes.slice(2..);
        drop(bytes);
        assert!(pool.idle.lock().buffers.is_empty());
        drop(slice);
        let again = pool.take();
        assert_eq!((again.bytes.as_ptr(), again.bytes.len()), (address, 0));
    }

    #[test]
    fn trimming_frees_what_was_not_needed() {
        let pool = Pool::default();
        let buffers: Vec<Buffer> = (0..8).map(|_| pool.take()).collect();
        buffers.into_iter().for_each(|buffer| pool.give(buffer));
        pool.trim(); // starts to watch: eight idle
        let taken = [pool.take(), pool.take()];
        taken.into_iter().for_each(|buffer| pool.give(buffer));
        pool.trim(); // six were not needed: half of them goes
        assert_eq!(pool.idle.lock().buffers.len(), 5);
    }

    #[test]
    fn a_buffer_that_grew_is_not_kept() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.bytes.resize(CHUNK_BYTES + 1, 0);
        pool.give(buffer);
        assert!(pool.idle.lock().buffers.is_empty());
    }
}
