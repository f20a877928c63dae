//! How full the queue is.

use std::sync::Arc;

use spanwright_core::Event;

use crate::intake::Bound;
use crate::sync::{AtomicBool, Ordering};

/// Shows how full a queue is. Clones show the same queue.
///
/// Of the two bounds (items that wait, bytes that are held) the fuller one counts. The queue is *high* from the moment that it
/// goes over the high watermark until it has come back under the low one (half): one event each, however often it is looked at.
///
/// # Cost
///
/// One relaxed load for each figure.
#[derive(Clone, Debug)]
pub struct QueueMonitor {
    bound: Arc<Bound>,
    is_high: Arc<AtomicBool>,
    high_watermark: f64,
    low_watermark: f64,
}

impl QueueMonitor {
    pub(crate) fn new(bound: Arc<Bound>, high_watermark: f64, low_watermark: f64) -> Self {
        Self {
            bound,
            is_high: Arc::new(AtomicBool::new(false)),
            high_watermark,
            low_watermark,
        }
    }

    /// Items that wait to be put into a request.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bound.used().items as usize
    }

    /// The most items that can wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bound.max().items as usize
    }

    /// Bytes of all items that are held: waiting, on the way, or parked.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bound.used().bytes as usize
    }

    /// The most bytes that can be held.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.bound.max().bytes as usize
    }

    /// The share of the fuller bound that is in use, 0 to 1.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        self.bound.utilization()
    }

    /// The share above which the queue is high.
    #[must_use]
    pub fn high_watermark(&self) -> f64 {
        self.high_watermark
    }

    /// Whether the queue went over the high watermark and has not come back under the low one.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.is_high.load(Ordering::Relaxed)
    }

    /// Looks once; the event if a watermark was crossed since the last look.
    pub(crate) fn look(&self) -> Option<Event<'static>> {
        let utilization = self.utilization();
        let was_high = self.is_high();
        if !was_high && utilization >= self.high_watermark {
            self.is_high.store(true, Ordering::Relaxed);
            return Some(Event::QueueHigh { utilization });
        }
        if was_high && utilization < self.low_watermark {
            self.is_high.store(false, Ordering::Relaxed);
            return Some(Event::QueueRecovered { utilization });
        }
        None
    }
}

#[cfg(test)]
#[cfg(not(spanwright_loom))]
mod tests {
    use super::*;

    #[test]
    fn one_event_on_crossing_and_one_on_coming_back() {
        let bound = Arc::new(Bound::new(10, 1_000, 0.8));
        let monitor = QueueMonitor::new(Arc::clone(&bound), 0.8, 0.5);
        let mut events = Vec::new();
        let mut look = || events.extend(monitor.look().map(|event| matches!(event, Event::QueueHigh { .. })));
        for _ in 0..10 {
            bound.reserve(1).unwrap();
            look();
        }
        for _ in 0..5 {
            bound.release_items(1); // down to 5 of 10: still high
            look();
            look();
        }
        assert!(monitor.is_high());
        bound.release_items(1);
        look();
        assert_eq!(events, [true, false]);
    }
}
