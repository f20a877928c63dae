//! The bound, and the buffers under it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts bytes against a limit that it never exceeds.
#[derive(Debug)]
pub(super) struct Memory {
    used: AtomicUsize,
    max: usize,
}

impl Memory {
    /// With so many bytes in use for good.
    pub(super) fn new(max: usize, fixed: usize) -> Self {
        Self {
            used: AtomicUsize::new(fixed),
            max,
        }
    }

    /// Takes room, if there is any: before the memory itself is taken.
    fn reserve(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|after| *after <= self.max);
        // Relaxed, here and below: the count stands alone.
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }
}

/// The smallest buffer: a few spans.
const MIN_BUFFER: usize = 1024;

/// Buffers of 1 KiB and doublings of it, up to 64 KiB, come back. Larger ones are rare, and freed.
const SIZES: usize = 7;

/// The most of each size that wait to be used again.
const MAX_IDLE: usize = 64;

/// Buffers for the records of a trace, each counted from before it is allocated until after it is freed.
#[derive(Debug)]
pub(super) struct Buffers {
    idle: [Vec<Vec<u8>>; SIZES],
    idle_bytes: usize,
    max_idle_bytes: usize,
}

impl Buffers {
    /// Keeps at most so many bytes that nobody uses.
    pub(super) fn new(max_idle_bytes: usize) -> Self {
        Self {
            idle: [const { Vec::new() }; SIZES].map(|_: Vec<Vec<u8>>| Vec::with_capacity(MAX_IDLE)),
            idle_bytes: 0,
            max_idle_bytes,
        }
    }

    pub(super) const fn bytes() -> usize {
        SIZES * MAX_IDLE * size_of::<Vec<u8>>()
    }

    /// Makes room for `more` bytes in `buffer`. False, and nothing is changed, if there is none.
    pub(super) fn grow(&mut self, buffer: &mut Vec<u8>, more: usize, memory: &Memory) -> bool {
        let needed = buffer.len() + more;
        if needed <= buffer.capacity() {
            return true;
        }
        let Some(mut larger) = self.take(needed.max(2 * buffer.capacity()), memory) else {
            return false;
        };
        larger.extend_from_slice(buffer);
        self.give(std::mem::replace(buffer, larger), memory);
        true
    }

    fn take(&mut self, bytes: usize, memory: &Memory) -> Option<Vec<u8>> {
        let capacity = bytes.next_power_of_two().max(MIN_BUFFER);
        if let Some(buffer) = size(capacity).and_then(|size| self.idle[size].pop()) {
            self.idle_bytes -= capacity;
            return Some(buffer);
        }
        memory.reserve(capacity).then(|| Vec::with_capacity(capacity))
    }

    /// Takes a buffer back.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>, memory: &Memory) {
        let capacity = buffer.capacity();
        if capacity == 0 {
            return;
        }
        buffer.clear();
        match size(capacity).map(|size| &mut self.idle[size]) {
            Some(idle) if idle.len() < MAX_IDLE && self.idle_bytes + capacity <= self.max_idle_bytes => {
                idle.push(buffer);
                self.idle_bytes += capacity;
            }
            _ => {
                drop(buffer);
                memory.release(capacity);
            }
        }
    }

    /// Frees what nobody uses; whether there was any.
    pub(super) fn free_idle(&mut self, memory: &Memory) -> bool {
        let freed = std::mem::take(&mut self.idle_bytes);
        self.idle.iter_mut().for_each(Vec::clear);
        memory.release(freed);
        freed > 0
    }
}

/// The place of buffers of this capacity.
fn size(capacity: usize) -> Option<usize> {
    let size = capacity.checked_div(MIN_BUFFER)?.checked_ilog2()? as usize;
    (size < SIZES && capacity == MIN_BUFFER << size).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_is_allocated_and_never_more_than_the_limit() {
        let mut random = fastrand::Rng::with_seed(5);
        let memory = Memory::new(300_000, 1000);
        let mut buffers = Buffers::new(20_000);
        let mut in_use: Vec<Vec<u8>> = Vec::new();
        for _ in 0..50_000 {
            match random.u8(0..4) {
                0 => in_use.push(Vec::new()),
                1 if !in_use.is_empty() => {
                    let buffer = in_use.swap_remove(random.usize(0..in_use.len()));
                    buffers.give(buffer, &memory);
                }
                _ if !in_use.is_empty() => {
                    let index = random.usize(0..in_use.len());
                    let more = random.usize(0..9_000) >> random.u8(0..10);
                    let len = in_use[index].len();
                    if buffers.grow(&mut in_use[index], more, &memory) {
                        in_use[index].resize(len + more, 0);
                    }
                }
                _ => _ = random.u8(0..50) == 0 && buffers.free_idle(&memory),
            }
            let idle: usize = buffers.idle.iter().flatten().map(Vec::capacity).sum();
            let used: usize = in_use.iter().map(Vec::capacity).sum();
            assert_eq!(memory.used(), 1000 + idle + used);
            assert!(memory.used() <= memory.max() && idle == buffers.idle_bytes && idle <= 20_000);
        }
        in_use.into_iter().for_each(|buffer| buffers.give(buffer, &memory));
        buffers.free_idle(&memory);
        assert_eq!(memory.used(), 1000);
    }
}
