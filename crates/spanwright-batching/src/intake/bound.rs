//! The bound of the queue, in items and bytes.

use crate::sync::{AtomicU64, CachePadded, Ordering};

/// Counts what is held against two limits, exactly, in one atomic word: items in the upper 24 bits, bytes in the lower 40.
///
/// *Items* are those that wait to be taken into a request. *Bytes* are all that are still ours, also on the way and parked:
/// the first is the room for a burst, the second the memory that an outage may cost.
///
/// One word, because two would be two exchanges per item, and because the alternative (credit handed to threads in blocks)
/// lets idle threads sit on room that a busy one needs: then a burst smaller than the bound would lose items.
#[derive(Debug)]
pub(crate) struct Bound {
    used: CachePadded<AtomicU64>,
    max: Used,
    /// Crossing one of them wakes the pipeline thread: half of each limit, and the high watermark.
    marks: [Used; 2],
}

/// How much is held.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Used {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

/// There is no room.
#[derive(Debug)]
pub(crate) struct Full;

const BYTE_BITS: u32 = 40;
const BYTE_MASK: u64 = (1 << BYTE_BITS) - 1;

impl Bound {
    /// The largest limits that the word has room for, with slack for reservations that are about to be taken back.
    pub(crate) const MAX: Used = Used {
        items: 16_000_000,
        bytes: 1 << 39,
    };

    pub(crate) fn new(max_items: usize, max_bytes: usize, high_watermark: f64) -> Self {
        let max = Used {
            items: max_items as u64,
            bytes: max_bytes as u64,
        };
        debug_assert!(max.items <= Self::MAX.items && max.bytes <= Self::MAX.bytes);
        let mark = |share: f64| Used {
            items: (max.items as f64 * share).ceil() as u64,
            bytes: (max.bytes as f64 * share).ceil() as u64,
        };
        Self {
            used: CachePadded(AtomicU64::new(0)),
            max,
            marks: [mark(0.5), mark(high_watermark)],
        }
    }

    /// Takes room for one item of `bytes`. Answers whether that crossed a mark.
    ///
    /// No item is refused while all that were offered fit: only an item that does not fit takes its reservation back.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<bool, Full> {
        let delta = (1 << BYTE_BITS) | (bytes as u64 & BYTE_MASK);
        // Relaxed, here and below: the word is a count. Items are handed over under locks, which order everything else.
        let before = unpack(self.used.0.fetch_add(delta, Ordering::Relaxed));
        let after = Used {
            items: before.items + 1,
            bytes: before.bytes + bytes as u64,
        };
        if after.items > self.max.items || after.bytes > self.max.bytes {
            self.used.0.fetch_sub(delta, Ordering::Relaxed);
            return Err(Full);
        }
        let crosses = |mark: &Used| {
            (before.items < mark.items && after.items >= mark.items)
                || (before.bytes < mark.bytes && after.bytes >= mark.bytes)
        };
        Ok(self.marks.iter().any(crosses))
    }

    /// Whether not even an empty item fits.
    pub(crate) fn is_full(&self) -> bool {
        let used = self.used();
        used.items >= self.max.items || used.bytes >= self.max.bytes
    }

    /// These items were taken into a request; their bytes are still ours.
    pub(crate) fn release_items(&self, items: usize) {
        self.used.0.fetch_sub((items as u64) << BYTE_BITS, Ordering::Relaxed);
    }

    /// These bytes are no longer ours.
    pub(crate) fn release_bytes(&self, bytes: usize) {
        self.used.0.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> Used {
        unpack(self.used.0.load(Ordering::Relaxed))
    }

    pub(crate) fn max(&self) -> Used {
        self.max
    }

    /// The larger of the two shares in use, 0 to 1.
    pub(crate) fn utilization(&self) -> f64 {
        let used = self.used();
        let share = |used: u64, max: u64| used as f64 / max as f64;
        share(used.items, self.max.items)
            .max(share(used.bytes, self.max.bytes))
            .min(1.0)
    }
}

fn unpack(word: u64) -> Used {
    Used {
        items: word >> BYTE_BITS,
        bytes: word & BYTE_MASK,
    }
}

#[cfg(test)]
#[cfg(not(spanwright_loom))]
mod tests {
    use super::*;

    #[test]
    fn takes_exactly_what_fits_in_items() {
        let bound = Bound::new(3, 1_000, 0.8);
        let taken = (0..5).filter(|_| bound.reserve(1).is_ok()).count();
        assert_eq!(taken, 3);
        assert_eq!(bound.used(), Used { items: 3, bytes: 3 });
        bound.release_items(1);
        assert!(bound.reserve(0).is_ok());
    }

    #[test]
    fn takes_exactly_what_fits_in_bytes() {
        let bound = Bound::new(100, 10, 0.8);
        assert!(bound.reserve(6).is_ok());
        assert!(bound.reserve(5).is_err());
        assert!(bound.reserve(4).is_ok());
        assert!(bound.is_full());
        bound.release_bytes(10);
        assert_eq!(bound.used(), Used { items: 2, bytes: 0 });
    }

    #[test]
    fn each_mark_is_crossed_once() {
        let crossed = |bound: Bound, bytes| (0..10).map(|_| bound.reserve(bytes).unwrap()).collect::<Vec<bool>>();
        let marks = [false, false, false, false, true, false, false, true, false, false];
        assert_eq!(crossed(Bound::new(10, 1_000, 0.8), 1), marks);
        assert_eq!(crossed(Bound::new(100, 30, 0.8), 3), marks);
    }

    #[test]
    fn the_fuller_bound_counts() {
        let bound = Bound::new(100, 10, 0.8);
        bound.reserve(9).unwrap();
        assert_eq!(bound.utilization(), 0.9);
    }
}
