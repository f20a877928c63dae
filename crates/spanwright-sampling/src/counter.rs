//! Counters that threads do not fight over.
//!
//! Each of the first 63 living threads that count has a row of its own, in every set of counters the same, and adds to it with a
//! plain load and store: no other thread writes there. The threads beyond that share one row, with atomic additions. Rows are
//! handed on when a thread ends.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// One for all the threads without one of their own, and one for each bit of [`FREE`].
pub(crate) const ROWS: usize = 64;
const SHARED: usize = 0;
const UNKNOWN: usize = usize::MAX;

/// Two cache lines, because processors fetch them in pairs.
const COLUMNS_PER_LINE: usize = 16;

/// A set of counters, each the sum of what all threads added.
pub(crate) struct Counters {
    lines: Box<[Line]>,
    lines_per_row: usize,
}

/// One row of a set, for whoever does more in it than add once.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    lines: &'a [Line],
    is_shared: bool,
}

#[repr(align(128))]
struct Line([AtomicU64; COLUMNS_PER_LINE]);

/// The rows that no thread has: bit n for row n, and never the shared one.
static FREE: Mutex<u64> = Mutex::new(!1);

thread_local! {
    static ROW: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: RefCell<Option<Lease>> = const { RefCell::new(None) };
}

/// A row that is this thread's, until the thread ends.
struct Lease(usize);

impl Counters {
    pub(crate) fn new(columns: usize) -> Self {
        let lines_per_row = columns.div_ceil(COLUMNS_PER_LINE);
        let lines = std::iter::repeat_with(Line::new).take(lines_per_row * ROWS);
        Self {
            lines: lines.collect(),
            lines_per_row,
        }
    }

    /// Adds to this thread's share, and returns what that is now.
    ///
    /// # Cost
    ///
    /// About a nanosecond; on the shared row an atomic addition.
    #[inline]
    pub(crate) fn add(&self, column: usize, delta: u64) -> u64 {
        self.own().add(column, delta)
    }

    /// The row of this thread.
    #[inline]
    pub(crate) fn own(&self) -> Row<'_> {
        self.row(row())
    }

    /// The row of this index, which may be another thread's. Adding to that loses counts.
    #[inline]
    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        let first = index * self.lines_per_row;
        Row {
            lines: &self.lines[first..first + self.lines_per_row],
            is_shared: index == SHARED,
        }
    }

    /// What all threads added. What they add meanwhile may be in it or not; no count is ever lost.
    pub(crate) fn sum(&self, column: usize) -> u64 {
        let rows = (0..ROWS).map(|row| self.row(row).get(column));
        rows.fold(0, u64::wrapping_add)
    }

    /// The memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}

impl<'a> Row<'a> {
    /// Adds, and returns the row's count. Wraps around.
    #[inline]
    pub(crate) fn add(self, column: usize, delta: u64) -> u64 {
        let counter = self.at(column);
        if self.is_shared {
            // Relaxed: the count stands alone, nothing else is read by it.
            return counter.fetch_add(delta, Ordering::Relaxed).wrapping_add(delta);
        }
        // Relaxed, and in two steps: the row's thread alone writes here. The lock of `FREE` orders it after the row's last owner.
        let count = counter.load(Ordering::Relaxed).wrapping_add(delta);
        counter.store(count, Ordering::Relaxed);
        count
    }

    /// What the row has.
    #[inline]
    pub(crate) fn get(self, column: usize) -> u64 {
        // Relaxed: as above.
        self.at(column).load(Ordering::Relaxed)
    }

    /// Sets a column that nobody adds to, and that any thread may set.
    #[inline]
    pub(crate) fn set(self, column: usize, value: u64) {
        // Relaxed: as above.
        self.at(column).store(value, Ordering::Relaxed);
    }

    #[inline]
    fn at(self, column: usize) -> &'a AtomicU64 {
        &self.lines[column / COLUMNS_PER_LINE].0[column % COLUMNS_PER_LINE]
    }
}

impl Line {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COLUMNS_PER_LINE])
    }
}

#[inline]
fn row() -> usize {
    let row = ROW.get();
    if row == UNKNOWN { lease() } else { row }
}

#[cold]
fn lease() -> usize {
    // A thread that is about to end has no place to keep a lease.
    let row = LEASE.try_with(|lease| {
        let taken = Lease::take();
        let row = taken.as_ref().map_or(SHARED, |lease| lease.0);
        *lease.borrow_mut() = taken;
        row
    });
    let row = row.unwrap_or(SHARED);
    ROW.set(row);
    row
}

impl Lease {
    fn take() -> Option<Self> {
        let mut free = FREE.lock();
        let row = free.trailing_zeros() as usize;
        if row == ROWS {
            return None;
        }
        *free &= !(1 << row);
        Some(Self(row))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        ROW.set(SHARED);
        *FREE.lock() |= 1 << self.0;
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.lines_per_row * COLUMNS_PER_LINE;
        f.debug_list()
            .entries((0..columns).map(|column| self.sum(column)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn no_count_is_lost_with_more_threads_than_rows_and_rows_are_handed_on() {
        let counters = Counters::new(20);
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| (0..1000).for_each(|_| _ = counters.add(17, 2)));
                }
            });
        }
        assert_eq!(counters.sum(17), 3 * 100 * 1000 * 2);
        assert_eq!(counters.sum(16), 0);
    }
}
