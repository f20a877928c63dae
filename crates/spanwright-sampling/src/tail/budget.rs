//! So many traces a second, and no more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parking_lot::Mutex;

use crate::probability::{Randomness, Threshold};

/// Keeps the `k` traces of the largest randomness in each window, at the threshold of the first one that it did not keep.
///
/// That threshold, the (k+1)-th largest randomness and one, makes the kept ones stand for the right number: given the others, a trace
/// is kept exactly if its own randomness is above the k-th largest of theirs, which does not depend on its own. The threshold of the
/// last one *kept* counts too much by a factor of k/(k-1).
///
/// # Source
///
/// N. Duffield, C. Lund, M. Thorup: Priority sampling for estimation of arbitrary subset sums, J. ACM 54 (2007);
/// D. Ting: Adaptive threshold sampling, [arXiv 1708.04970](https://arxiv.org/abs/1708.04970), for traces that come with thresholds
/// of their own and for windows that lose one.
#[derive(Debug)]
pub(super) struct Budget {
    traces: usize,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    /// The smallest randomness on top.
    candidates: BinaryHeap<Reverse<(Randomness, u128)>>,
    spare: Vec<Reverse<(Randomness, u128)>>,
    floor: Floor,
    /// Of the last window: for traces that cannot wait for the end of this one.
    last: Option<Floor>,
}

/// What randomness must exceed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Floor(Option<Randomness>);

/// What happened to a candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offer {
    /// It is among the first; the end of the window decides.
    Waits,
    /// The same, and this one is not any more: below the floor.
    Displaces(u128, Floor),
    /// It is not: below the floor.
    Refused(Floor),
}

impl Floor {
    /// The threshold; `None` where nothing can reach it.
    pub(super) fn threshold(self) -> Option<Threshold> {
        match self.0 {
            None => Some(Threshold::ALWAYS),
            Some(randomness) => Threshold::from_bits(randomness.bits() + 1),
        }
    }
}

impl Budget {
    pub(super) fn new(traces: usize) -> Self {
        Self {
            traces,
            window: Mutex::new(Window {
                candidates: BinaryHeap::with_capacity(traces + 1),
                spare: Vec::with_capacity(traces + 1),
                floor: Floor::default(),
                last: None,
            }),
        }
    }

    /// The memory that it takes.
    pub(super) fn bytes(traces: usize) -> usize {
        // Two heaps by turns, and the ids of the one that has ended.
        (traces + 1) * (2 * size_of::<(Randomness, u128)>() + size_of::<u128>())
    }

    /// A trace whose local root has ended takes part in this window.
    pub(super) fn offer(&self, randomness: Randomness, id: u128) -> Offer {
        let mut window = self.window.lock();
        if window.floor.0.is_some_and(|floor| randomness <= floor) {
            return Offer::Refused(window.floor);
        }
        window.candidates.push(Reverse((randomness, id)));
        if window.candidates.len() <= self.traces {
            return Offer::Waits;
        }
        let Some(Reverse((smallest, displaced))) = window.candidates.pop() else {
            return Offer::Waits;
        };
        window.floor = Floor(Some(smallest));
        match displaced == id {
            true => Offer::Refused(window.floor),
            false => Offer::Displaces(displaced, window.floor),
        }
    }

    /// Ends the window: hands over its candidates, and the floor that those must exceed.
    pub(super) fn close(&self, candidates: &mut Vec<u128>) -> Floor {
        let mut window = self.window.lock();
        let spare = std::mem::take(&mut window.spare);
        let heap = std::mem::replace(&mut window.candidates, BinaryHeap::from(spare));
        let floor = std::mem::take(&mut window.floor);
        window.last = Some(floor);
        let mut ended = heap.into_vec();
        candidates.extend(ended.iter().map(|Reverse((_, id))| *id));
        ended.clear();
        window.spare = ended;
        floor
    }

    /// The floor for a trace that cannot wait, and was not offered: that of the last window, which knows nothing of it. `None` before
    /// the first window has ended.
    pub(super) fn early(&self) -> Option<Floor> {
        self.window.lock().last
    }

    /// The same for one that was offered: it is still among the first because it has exceeded the floor of this window.
    pub(super) fn early_of_candidate(&self) -> Option<Floor> {
        let window = self.window.lock();
        window.last.map(|last| last.max(window.floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(bits: u64) -> Randomness {
        Randomness::new(bits)
    }

    fn close(budget: &Budget) -> (Vec<u128>, Floor) {
        let mut candidates = Vec::new();
        let floor = budget.close(&mut candidates);
        candidates.sort_unstable();
        (candidates, floor)
    }

    #[test]
    fn the_largest_stay_at_the_first_that_did_not() {
        let budget = Budget::new(2);
        assert_eq!(budget.offer(r(50), 1), Offer::Waits);
        assert_eq!(budget.offer(r(10), 2), Offer::Waits);
        assert_eq!(budget.offer(r(30), 3), Offer::Displaces(2, Floor(Some(r(10)))));
        assert_eq!(budget.offer(r(5), 4), Offer::Refused(Floor(Some(r(10)))));
        assert_eq!(budget.offer(r(20), 5), Offer::Refused(Floor(Some(r(20)))));
        assert_eq!(budget.early(), None);
        let (candidates, floor) = close(&budget);
        assert_eq!((candidates, floor.threshold()), (vec![1, 3], Threshold::from_bits(21)));
        assert_eq!(budget.early(), Some(floor));
    }

    #[test]
    fn a_window_with_room_keeps_all_at_no_threshold_and_starts_anew() {
        let budget = Budget::new(3);
        for round in 0..3 {
            for id in 0..3 {
                assert_eq!(budget.offer(r(id), u128::from(id)), Offer::Waits, "{round}");
            }
            let (candidates, floor) = close(&budget);
            assert_eq!((candidates.len(), floor.threshold()), (3, Some(Threshold::ALWAYS)));
        }
    }

    #[test]
    fn of_equals_none_is_preferred_and_the_top_of_the_range_keeps_nobody() {
        let budget = Budget::new(1);
        let top = r(u64::MAX);
        budget.offer(top, 1);
        budget.offer(top, 2);
        let (candidates, floor) = close(&budget);
        assert_eq!((candidates.len(), floor.threshold()), (1, None));
    }
}
