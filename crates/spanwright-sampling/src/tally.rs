//! What a rule decided.

use std::sync::Arc;

use crate::counter::Counters;

/// The name of a rule, and how many spans it kept and dropped.
#[derive(Debug)]
pub struct Tally {
    name: Arc<str>,
    counters: Arc<Counters>,
    first_column: usize,
}

/// Where many rules have their counters, close together: a kibibyte each, instead of eight.
#[cfg(feature = "remote")]
#[derive(Debug, Default)]
pub(crate) struct TallyPool {
    counters: Option<Arc<Counters>>,
    used: usize,
}

const DROPPED: usize = 0;
const KEPT: usize = 1;
const COLUMNS: usize = 2;

/// As many as share two cache lines of each thread.
#[cfg(feature = "remote")]
const TALLIES_PER_BLOCK: usize = 8;

impl Tally {
    /// A rule of this name that has decided nothing yet.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            counters: Arc::new(Counters::new(COLUMNS)),
            first_column: 0,
        }
    }

    /// The rule's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many spans it dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counters.sum(self.first_column + DROPPED)
    }

    /// How many spans it kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.counters.sum(self.first_column + KEPT)
    }

    pub(crate) fn count(&self, is_kept: bool) {
        let column = if is_kept { KEPT } else { DROPPED };
        self.counters.add(self.first_column + column, 1);
    }
}

#[cfg(feature = "remote")]
impl TallyPool {
    /// A rule of this name that has decided nothing yet.
    pub(crate) fn tally(&mut self, name: Arc<str>) -> Tally {
        if self.used == TALLIES_PER_BLOCK {
            *self = Self::default();
        }
        let block = self
            .counters
            .get_or_insert_with(|| Arc::new(Counters::new(COLUMNS * TALLIES_PER_BLOCK)));
        let tally = Tally {
            name,
            counters: Arc::clone(block),
            first_column: COLUMNS * self.used,
        };
        self.used += 1;
        tally
    }
}
