//! What a decision touches.

use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::{Columns, OVERFLOW, YOUNG, beyond, threshold_of_probability};
use super::distinct::Distinct;
use super::table::{Cell, Fingerprint, Plan, Search, Table};
use super::text::{Excerpt, Texts};
use crate::probability::{RANGE, Threshold};
use crate::reason::Reason;

/// The cells of all keys, and what is shared by those that have none.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) table: Table,
    pub(super) texts: Texts,
    pub(super) columns: Columns,
    /// The keys without a cell.
    pub(super) turned_away: Distinct,
    /// What any one cell may keep since it was last emptied before its probability falls, in steps of 2^-16.
    quota: AtomicU64,
}

/// The cell of a key may be freed and be another's while a span is being decided; but not often.
const ATTEMPTS: usize = 3;

const QUOTA_SHIFT: u32 = 40;
const QUOTA_UNIT: f64 = (RANGE >> QUOTA_SHIFT) as f64;

impl Cells {
    pub(super) fn new(max_keys: usize) -> Self {
        let table = Table::new(max_keys);
        Self {
            texts: Texts::new(table.slots()),
            table,
            columns: Columns::new(),
            turned_away: Distinct::new(),
            quota: AtomicU64::new(u64::MAX),
        }
    }

    /// Counts a span of this key and decides it. `text` is asked for if the key is new.
    pub(super) fn decide(&self, key: Fingerprint, text: impl Fn() -> Excerpt) -> (Threshold, Reason) {
        let (threshold, reason) = self.decide_in_cell(key, text).map_or_else(
            || {
                self.turned_away.mark(key.bits());
                (self.columns.decide(OVERFLOW, OVERFLOW), Reason::KeyOverflow)
            },
            |threshold| (threshold, Reason::Key),
        );
        (self.columns.expect(threshold), reason)
    }

    /// What would be decided, without a trace of the question.
    pub(super) fn foresee(&self, key: Fingerprint) -> (Threshold, Reason) {
        let (plan, reason) = match self.table.search(key) {
            Search::Found(cell) => (self.table.plan(cell), Reason::Key),
            Search::Vacant(..) if self.table.live() < self.table.max_keys() => (None, Reason::Key),
            Search::Vacant(..) | Search::Full => (None, Reason::KeyOverflow),
        };
        let threshold = match plan {
            Some(Plan::Settled(threshold)) => threshold,
            Some(Plan::Hot(column)) => self.columns.threshold(column),
            Some(Plan::Young) | None => self.columns.threshold(OVERFLOW),
        };
        (threshold, reason)
    }

    /// The most that one cell may keep since it was last emptied. For the thread that ticks.
    pub(super) fn set_quota(&self, expected_kept: f64) {
        // Relaxed: a bound for the time until the next one.
        self.quota.store((expected_kept * QUOTA_UNIT) as u64, Ordering::Relaxed);
    }

    fn decide_in_cell(&self, key: Fingerprint, text: impl Fn() -> Excerpt) -> Option<Threshold> {
        for _ in 0..ATTEMPTS {
            let cell = match self.table.search(key) {
                Search::Found(cell) => cell,
                search => self.claim(key, search, &text)?,
            };
            if let Some(threshold) = self.count(cell) {
                return Some(threshold);
            }
        }
        None
    }

    #[cold]
    fn claim(&self, key: Fingerprint, search: Search, text: &impl Fn() -> Excerpt) -> Option<Cell> {
        let (cell, is_new) = self.table.claim(key, search)?;
        if is_new {
            self.texts.set(cell.slot, cell.generation(), &text());
        }
        Some(cell)
    }

    /// `None` if the cell has become another key's.
    fn count(&self, cell: Cell) -> Option<Threshold> {
        match self.table.plan(cell)? {
            // If this thread sleeps here for longer than a column is kept for its last key, the count is another hot key's. There
            // it is one of very many; it is not lost, and the decision is right.
            Plan::Hot(column) => Some(self.columns.decide(column, column)),
            Plan::Settled(threshold) => {
                let count = self.table.count(cell)?;
                Some(self.within_quota(threshold, count))
            }
            Plan::Young => {
                self.table.count(cell)?;
                Some(self.columns.decide(YOUNG, OVERFLOW))
            }
        }
    }

    /// Of a key that bursts: what is planned for it, or what [`beyond`] leaves.
    fn within_quota(&self, threshold: Threshold, count: u64) -> Threshold {
        let kept = (u128::from(count) * u128::from(RANGE - threshold.bits())) >> QUOTA_SHIFT;
        let quota = self.quota.load(Ordering::Relaxed);
        if kept <= u128::from(quota) {
            return threshold;
        }
        threshold_of_probability(beyond(threshold.probability(), quota as f64 / kept as f64))
    }
}
