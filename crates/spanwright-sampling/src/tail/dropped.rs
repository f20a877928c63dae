//! Which traces were dropped, in a few bytes each.

use super::id::TraceKey;

/// Remembers the last traces that were dropped by 32 bits of each.
///
/// Two generations of an open-addressed set. When the younger is three quarters full, the older one is forgotten and takes its
/// place. So at least the last [`capacity`](Self::new) traces are remembered, at most twice as many, in 10.7 bytes for each of the
/// `capacity` (5.3 for each that is remembered at most).
///
/// It never forgets within that, and it may take a trace for another one: a look compares with what lies between the trace's place
/// and the next free one, 8.5 fingerprints on average in a full generation (Knuth 6.4), so with a probability below
/// 2 · 8.5 / 2^32, one trace in 250 million.
#[derive(Debug)]
pub(super) struct Dropped {
    young: Box<[u32]>,
    old: Box<[u32]>,
    len: usize,
    capacity: usize,
}

impl Dropped {
    /// Remembers at least the last `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        let generation = || vec![0; Self::cells(capacity)].into();
        Self {
            young: generation(),
            old: generation(),
            len: 0,
            capacity,
        }
    }

    pub(super) fn bytes(capacity: usize) -> usize {
        2 * Self::cells(capacity) * size_of::<u32>()
    }

    fn cells(capacity: usize) -> usize {
        (capacity * 4).div_ceil(3) + 1
    }

    pub(super) fn contains(&self, key: TraceKey) -> bool {
        [&self.young, &self.old]
            .into_iter()
            .any(|generation| find(generation, key).is_ok())
    }

    pub(super) fn insert(&mut self, key: TraceKey) {
        if self.len == self.capacity {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.fill(0);
            self.len = 0;
        }
        if let Err(free) = find(&self.young, key) {
            self.young[free] = key.fingerprint();
            self.len += 1;
        }
    }
}

/// Where the fingerprint is, or the free cell where it would be.
fn find(cells: &[u32], key: TraceKey) -> Result<usize, usize> {
    let fingerprint = key.fingerprint();
    // The upper bits of a product with 32 bits of the hash: any number of cells, no division.
    let mut at = (((key.hash & u64::from(u32::MAX)) * cells.len() as u64) >> 32) as usize;
    loop {
        match cells[at] {
            0 => return Err(at),
            known if known == fingerprint => return Ok(at),
            _ => at = if at + 1 == cells.len() { 0 } else { at + 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::id::Hasher;

    #[test]
    fn the_last_ones_are_remembered_and_hardly_another_one_is() {
        let hasher = Hasher::new([3, 4]);
        for capacity in [1, 3, 100, 1000] {
            let mut dropped = Dropped::new(capacity);
            for id in 0..10 * capacity as u128 {
                dropped.insert(hasher.key(id));
                for recent in id.saturating_sub(capacity as u128 - 1)..=id {
                    assert!(dropped.contains(hasher.key(recent)), "{recent} of {id}");
                }
            }
            let others = 0..200_000_u128;
            let taken = others.filter(|id| dropped.contains(hasher.key(id << 64 | 1 << 63)));
            assert_eq!(taken.count(), 0);
            assert!(!dropped.contains(hasher.key(0)), "what is long past is forgotten");
        }
    }
}
