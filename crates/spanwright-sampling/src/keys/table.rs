//! Where a key's cell is, and who may count in it.
//!
//! Cells lie in buckets of eight, whose tags share a cache line. A key has two buckets, by two parts of its hash, and takes a free
//! cell in the emptier one; a search looks at both and no further. So a table filled to three quarters has room for nearly every
//! key, a search is bounded, and nothing ever moves.
//!
//! # The life of a cell
//!
//! ```text
//!  tag      [ 0 |g]──claim: exchange──►[ h |g]──free: closed──►[ 1 |g]──free: open again──►[ 0 |g+1]
//!  count    [ 0 |g]──count: exchange──►[ n |g]──────────────────────────free: taken out──►[ 0 |g+1]
//! ```
//!
//! Tag and count carry the cell's *generation*. A span counts with an exchange that succeeds only while the count's word still has
//! the generation under which the key was found, so that a thread which sleeps between finding and counting finds out, and looks
//! again: a count for one key can never end in a cell that has become another's, and none is lost, because the exchange that raises
//! the generation takes the last count out. (After 65 536 lives of one cell within that thread's sleep it could; a cell lives for
//! seconds at least.) Only the thread that ticks frees cells.
//!
//! Two threads that meet the same new key take the same cell, unless another cell of its buckets becomes free between their
//! searches. Then the key has two for a while. All later searches find the same one of them; the other one falls idle and is freed.
//!
//! # Source
//!
//! Two choices: Azar, Broder, Karlin, Upfal, "Balanced allocations", SIAM J. Comput. 29(1), 1999.

use super::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::probability::Threshold;

/// Cells of a fixed number of keys.
#[derive(Debug)]
pub(super) struct Table {
    buckets: Box<[Bucket]>,
    live: AtomicUsize,
    max_keys: usize,
}

/// Eight cells. Tags, plans and counts have a cache line each: those that everybody reads are apart from those that are written to,
/// and all three are on one page.
#[derive(Debug)]
struct Bucket {
    tags: Line,
    plans: Line,
    counts: Line,
}

/// One word of each of a bucket's cells.
#[derive(Debug)]
#[repr(align(64))]
struct Line([AtomicU64; CELLS]);

/// The tags of a bucket fill a cache line. Under loom as few as make sense.
const CELLS: usize = if cfg!(spanwright_loom) { 2 } else { 8 };

/// A key, as the table knows it: 48 bits of its hash to tell it from others, and its buckets.
///
/// Two keys with the same 48 bits share a cell. Among 100 000 keys that happens once in 50 000 processes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Fingerprint {
    hash: u64,
}

/// A cell in which a key was found, and in which of the cell's lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) slot: usize,
    tag: u64,
}

/// What searching for a key's cell, or for a place for one, came to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {
    Found(Cell),
    /// A free cell, and its tag.
    Vacant(usize, u64),
    /// Both buckets are full.
    Full,
}

/// How spans of a key are decided, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plan {
    /// Too new to have a budget: with all the others that have none.
    Young,
    /// By a threshold, counted in the cell.
    Settled(Threshold),
    /// By a column of its own, because many threads may be at it.
    Hot(usize),
}

const GENERATION_BITS: u32 = 16;
const GENERATIONS: u64 = (1 << GENERATION_BITS) - 1;
const ONE: u64 = 1 << GENERATION_BITS;

/// The hashes that no key has.
const FREE: u64 = 0;
const CLOSED: u64 = 1;

/// A search for a free cell is repeated so often if others take what it found.
const ATTEMPTS: usize = 4;

impl Table {
    /// Room for so many keys, filled to three quarters when they are all there.
    pub(super) fn new(max_keys: usize) -> Self {
        let buckets = (max_keys + max_keys.div_ceil(3)).div_ceil(CELLS);
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        let bucket = |_| Bucket {
            tags: line(),
            plans: line(),
            counts: line(),
        };
        Self {
            buckets: (0..buckets).map(bucket).collect(),
            live: AtomicUsize::new(0),
            max_keys,
        }
    }

    pub(super) fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// How many cells there are.
    pub(super) fn slots(&self) -> usize {
        self.buckets.len() * CELLS
    }

    /// How many of them have a key, or are about to.
    pub(super) fn live(&self) -> usize {
        // Relaxed: a number to look at.
        self.live.load(Ordering::Relaxed).min(self.max_keys)
    }

    pub(super) fn search(&self, key: Fingerprint) -> Search {
        let mut best = None;
        let mut most_free = 0;
        for bucket in key.buckets(self.buckets.len()) {
            let mut first_free = None;
            let mut free = 0;
            for (index, tag) in self.buckets[bucket].tags.0.iter().enumerate() {
                // Acquire: pairs with the exchange of a claim and with the opening of a freed cell, so that count and plan are at
                // least as new as the tag.
                let tag = tag.load(Ordering::Acquire);
                let slot = bucket * CELLS + index;
                match tag >> GENERATION_BITS {
                    hash if hash == key.hash => return Search::Found(Cell { slot, tag }),
                    FREE => {
                        free += 1;
                        first_free = first_free.or(Some(Search::Vacant(slot, tag)));
                    }
                    _ => {}
                }
            }
            if free > most_free {
                most_free = free;
                best = first_free;
            }
        }
        best.unwrap_or(Search::Full)
    }

    /// Takes a cell for a key that was not found, unless somebody else did. `true` if it is new. `None` if there is no room.
    #[cold]
    pub(super) fn claim(&self, key: Fingerprint, mut search: Search) -> Option<(Cell, bool)> {
        for _ in 0..ATTEMPTS {
            let (slot, free) = match search {
                Search::Found(cell) => return Some((cell, false)),
                Search::Vacant(slot, free) => (slot, free),
                Search::Full => return None,
            };
            // Relaxed: only bounds the number of keys. Looked at first, so that a full table is not written to.
            if self.live.load(Ordering::Relaxed) >= self.max_keys {
                return None;
            }
            if self.live.fetch_add(1, Ordering::Relaxed) >= self.max_keys {
                self.live.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let tag = key.hash << GENERATION_BITS | free & GENERATIONS;
            // Release: who finds the key finds the cell as this thread found it, free in this generation. Acquire: that thread
            // is this one.
            let exchanged = self
                .tag(slot)
                .compare_exchange(free, tag, Ordering::AcqRel, Ordering::Acquire);
            if exchanged.is_ok() {
                return Some((Cell { slot, tag }, true));
            }
            self.live.fetch_sub(1, Ordering::Relaxed);
            search = self.search(key);
        }
        None
    }

    /// What is planned for the cell's key. `None` if it has become another's.
    pub(super) fn plan(&self, cell: Cell) -> Option<Plan> {
        // Acquire: pairs with the store of a plan. One that was made for the cell's next key brings its tag along, and the second
        // look finds it.
        let plan = self.plan_word(cell.slot).load(Ordering::Acquire);
        let is_same = self.tag(cell.slot).load(Ordering::Relaxed) == cell.tag;
        is_same.then(|| Plan::from_word(plan))
    }

    /// Counts a span. How many there are since the last [`drain`](Self::drain), or `None` if the cell has become another's.
    pub(super) fn count(&self, cell: Cell) -> Option<u64> {
        let count = self.count_word(cell.slot);
        // Relaxed, here and below: the word carries all that must agree.
        let mut word = count.load(Ordering::Relaxed);
        while word & GENERATIONS == cell.tag & GENERATIONS {
            let more = word.wrapping_add(ONE);
            match count.compare_exchange_weak(word, more, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(more >> GENERATION_BITS),
                Err(now) => word = now,
            }
        }
        None
    }

    /// The key in a cell, if there is one.
    pub(super) fn occupant(&self, slot: usize) -> Option<Cell> {
        // Acquire: pairs with the claim.
        let tag = self.tag(slot).load(Ordering::Acquire);
        (tag >> GENERATION_BITS > CLOSED).then_some(Cell { slot, tag })
    }

    /// The count of a cell.
    pub(super) fn peek(&self, slot: usize) -> u64 {
        self.count_word(slot).load(Ordering::Relaxed) >> GENERATION_BITS
    }

    /// Takes the count out of a cell. For the thread that ticks.
    pub(super) fn drain(&self, slot: usize) -> u64 {
        let count = self.peek(slot);
        if count > 0 {
            // Relaxed: the difference is all that matters, and nobody else takes out.
            self.count_word(slot)
                .fetch_sub(count << GENERATION_BITS, Ordering::Relaxed);
        }
        count
    }

    /// For the thread that ticks.
    pub(super) fn set_plan(&self, slot: usize, plan: Plan) {
        // Release: pairs with the load in `plan`.
        self.plan_word(slot).store(plan.to_word(), Ordering::Release);
    }

    /// Takes the key out of a cell, and returns the last of its count. For the thread that ticks.
    pub(super) fn free(&self, cell: Cell) -> u64 {
        let generation = cell.tag & GENERATIONS;
        let next = (generation + 1) & GENERATIONS;
        let tag = self.tag(cell.slot);
        // Relaxed: nobody learns anything from a closed cell. From here on its key looks for another one.
        tag.store(CLOSED << GENERATION_BITS | generation, Ordering::Relaxed);
        // Relaxed: whoever still counts does so before this exchange and is taken out by it, or sees the new generation.
        let last = self.count_word(cell.slot).swap(next, Ordering::Relaxed);
        self.set_plan(cell.slot, Plan::Young);
        // Release: pairs with the claim, which finds the count and the plan of a new cell.
        tag.store(next, Ordering::Release);
        self.live.fetch_sub(1, Ordering::Relaxed);
        last >> GENERATION_BITS
    }

    fn tag(&self, slot: usize) -> &AtomicU64 {
        &self.buckets[slot / CELLS].tags.0[slot % CELLS]
    }

    fn plan_word(&self, slot: usize) -> &AtomicU64 {
        &self.buckets[slot / CELLS].plans.0[slot % CELLS]
    }

    fn count_word(&self, slot: usize) -> &AtomicU64 {
        &self.buckets[slot / CELLS].counts.0[slot % CELLS]
    }
}

impl Fingerprint {
    pub(super) fn new(hash: u64) -> Self {
        let hash = hash & (u64::MAX >> GENERATION_BITS);
        // Two values are taken; the keys that have them share cells with the keys that have the next two.
        let hash = if hash <= CLOSED { hash + 2 } else { hash };
        Self { hash }
    }

    pub(super) fn bits(self) -> u64 {
        self.hash
    }

    /// Its two buckets, which may be the same. They come from halves of the hash that overlap, stretched by multiplication.
    fn buckets(self, count: usize) -> [usize; 2] {
        let count = count as u64;
        let first = ((self.hash >> 16 & 0xffff_ffff) * count) >> 32;
        let second = ((self.hash & 0xffff_ffff) * count) >> 32;
        [first as usize, second as usize]
    }
}

impl Cell {
    /// Which of the cell's lives it is.
    pub(super) fn generation(self) -> u16 {
        (self.tag & GENERATIONS) as u16
    }

    pub(super) fn fingerprint(self) -> Fingerprint {
        Fingerprint {
            hash: self.tag >> GENERATION_BITS,
        }
    }
}

impl Plan {
    const YOUNG: u64 = 0;
    const SETTLED: u64 = 1;

    /// The threshold in the upper 56 bits, and below them what it is: columns are numbered from 2 on.
    fn to_word(self) -> u64 {
        match self {
            Self::Young => Self::YOUNG,
            Self::Settled(threshold) => threshold.bits() << 8 | Self::SETTLED,
            Self::Hot(column) => column as u64,
        }
    }

    fn from_word(word: u64) -> Self {
        match word & 0xff {
            Self::YOUNG => Self::Young,
            // 56 bits are always a threshold.
            Self::SETTLED => Self::Settled(Threshold::from_bits(word >> 8).unwrap_or_default()),
            column => Self::Hot(column as usize),
        }
    }
}

#[cfg(all(test, not(spanwright_loom)))]
mod tests {
    use super::*;

    fn key(number: u64) -> Fingerprint {
        Fingerprint::new(number)
    }

    fn claim(table: &Table, key: Fingerprint) -> Option<Cell> {
        table.claim(key, table.search(key)).map(|(cell, _)| cell)
    }

    #[test]
    fn who_is_late_in_a_freed_cell_finds_out_and_its_count_was_taken_out() {
        let table = Table::new(4);
        let cell = claim(&table, key(7)).unwrap();
        assert_eq!((table.count(cell), table.count(cell)), (Some(1), Some(2)));
        assert_eq!(table.drain(cell.slot), 2);
        assert_eq!(table.count(cell), Some(1));
        assert_eq!(table.free(cell), 1);
        assert!(table.plan(cell).is_none() && table.count(cell).is_none());

        // The same cell, now another key's.
        let next = (8..)
            .map(|number| claim(&table, key(number)))
            .find_map(|next| next.filter(|next| next.slot == cell.slot || table.free(*next) > 0))
            .unwrap();
        table.set_plan(next.slot, Plan::Hot(5));
        assert!(table.plan(cell).is_none() && table.count(cell).is_none());
        assert_eq!((table.plan(next), table.count(next)), (Some(Plan::Hot(5)), Some(1)));
        assert_ne!(next.generation(), cell.generation());
    }

    #[test]
    fn nearly_every_key_finds_room_in_a_full_table_and_no_more_than_there_may_be() {
        let table = Table::new(10_000);
        let mut random = fastrand::Rng::with_seed(4);
        let refused = (0..10_000)
            .filter(|_| claim(&table, key(random.u64(..))).is_none())
            .count();
        assert!(refused <= 10, "{refused} keys with both buckets full");
        (0..1000).for_each(|_| _ = claim(&table, key(random.u64(..))));
        assert_eq!(table.live(), 10_000);
        let occupied = (0..table.slots())
            .filter(|slot| table.occupant(*slot).is_some())
            .count();
        assert_eq!(occupied, 10_000);
    }

    #[test]
    fn plans_survive_their_word() {
        let threshold = Threshold::from_bits(0x12_3456_789a_bcde).unwrap();
        for plan in [Plan::Young, Plan::Settled(threshold), Plan::Hot(3), Plan::Hot(63)] {
            assert_eq!(Plan::from_word(plan.to_word()), plan);
        }
    }
}
