//! What was decided, for spans that come later.

use super::dropped::Dropped;
use super::id::{Hasher, TraceKey};
use super::table::TraceTable;
use super::verdict::Verdict;

/// The last decisions: of kept traces with all that a late span needs (32 bytes each, least recently used goes first), of dropped
/// ones only that.
#[derive(Debug)]
pub(super) struct Decisions {
    kept: TraceTable<Verdict>,
    dropped: Dropped,
}

impl Decisions {
    pub(super) fn new(kept: usize, dropped: usize, hasher: Hasher) -> Self {
        Self {
            kept: TraceTable::new(kept, hasher),
            dropped: Dropped::new(dropped),
        }
    }

    pub(super) fn bytes(kept: usize, dropped: usize) -> usize {
        TraceTable::<Verdict>::bytes(kept) + Dropped::bytes(dropped)
    }

    /// What was decided about a trace, if that is known. A look is a use.
    pub(super) fn find(&mut self, key: TraceKey) -> Option<Verdict> {
        if let Some(place) = self.kept.find(key) {
            self.kept.touch(place);
            return Some(*self.kept.get(place));
        }
        self.dropped.contains(key).then_some(Verdict::DROPPED)
    }

    pub(super) fn insert(&mut self, key: TraceKey, verdict: Verdict) {
        if !verdict.is_kept() {
            return self.dropped.insert(key);
        }
        // Known only if it was forgotten as held and came again as a new one, which `find` rules out.
        if let Some(place) = self.kept.find(key) {
            self.kept.remove(place);
        }
        if let Some(oldest) = self.kept.oldest().filter(|_| self.kept.is_full()) {
            self.kept.remove(oldest);
        }
        self.kept.insert(key, verdict);
    }
}
