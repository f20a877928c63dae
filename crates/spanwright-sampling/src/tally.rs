//! What a rule decided.

use std::sync::Arc;

use crate::counter::Counters;

/// The name of a rule, and how many spans it kept and dropped.
#[derive(Debug)]
pub struct Tally {
    name: Arc<str>,
    counters: Counters,
}

const DROPPED: usize = 0;
const KEPT: usize = 1;

impl Tally {
    /// A rule of this name that has decided nothing yet.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            counters: Counters::new(2),
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
        self.counters.sum(DROPPED)
    }

    /// How many spans it kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.counters.sum(KEPT)
    }

    pub(crate) fn count(&self, is_kept: bool) {
        self.counters.add(if is_kept { KEPT } else { DROPPED }, 1);
    }
}
