//! What was kept within a second.

use std::time::Instant;

/// The sum of what was expected to be kept in the last second, rounded up to a tenth.
#[derive(Debug)]
pub(super) struct Recent {
    start: Option<Instant>,
    /// The tenth of a second since `start` that is the newest.
    newest: u64,
    /// By tenth, modulo the length: ten full ones, and the one under way.
    tenths: [f64; LENGTH],
}

const LENGTH: usize = 11;

impl Recent {
    pub(super) const fn new() -> Self {
        Self {
            start: None,
            newest: 0,
            tenths: [0.0; LENGTH],
        }
    }

    /// So much was expected to be kept until `now`.
    pub(super) fn add(&mut self, now: Instant, expected: f64) {
        let start = *self.start.get_or_insert(now);
        let newest = (now.saturating_duration_since(start).as_millis() / 100) as u64;
        for tenth in (self.newest + 1..=newest).rev().take(LENGTH) {
            self.tenths[place(tenth)] = 0.0;
        }
        self.newest = self.newest.max(newest);
        self.tenths[place(self.newest)] += expected;
    }

    pub(super) fn sum(&self) -> f64 {
        self.tenths.iter().sum()
    }
}

fn place(tenth: u64) -> usize {
    (tenth % LENGTH as u64) as usize
}
