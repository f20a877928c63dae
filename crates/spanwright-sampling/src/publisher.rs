//! Telling an observer what samplers have counted.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use spanwright_core::{BuildError, Observer};

use crate::stats::SamplerStats;
use crate::tail::TailStats;
use crate::ticker::{Tick, Ticker};

/// Tells an observer every ten seconds what a sampler has counted since the last time, and once more when it is dropped.
///
/// ```
/// use std::sync::Arc;
/// use spanwright_core::{NoopObserver, Observer};
/// use spanwright_sampling::{ConsistentProbability, StatsPublisher};
///
/// # let observer: Arc<dyn Observer> = Arc::new(NoopObserver);
/// let sampler = ConsistentProbability::of(0.1)?;
/// let counted = sampler.clone();
/// let publisher = StatsPublisher::spawn(observer, move || counted.stats())?; // to be held as long as the sampler is
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// # Cost
///
/// None for a decision. A sum over all threads' counts, every ten seconds.
#[must_use = "dropped, it tells for the last time and ends"]
pub struct StatsPublisher {
    work: Arc<Work>,
}

/// Counts that an observer is told of by their differences.
pub trait PublishStats: Default + Send + 'static {
    /// Tells `observer` what was counted since `earlier`.
    fn publish(&self, earlier: &Self, observer: &dyn Observer);
}

struct Work {
    /// Publishes what is new.
    publish: Mutex<Box<dyn FnMut() + Send>>,
    due: Mutex<Option<Instant>>,
}

impl StatsPublisher {
    /// How often.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Tells `observer` of `stats` whenever it is [ticked](Self::tick) and due.
    pub fn new<S: PublishStats>(observer: Arc<dyn Observer>, stats: impl Fn() -> S + Send + 'static) -> Self {
        let mut told = S::default();
        let publish = move || {
            let now = stats();
            now.publish(&told, &*observer);
            told = now;
        };
        Self {
            work: Arc::new(Work {
                publish: Mutex::new(Box::new(publish)),
                due: Mutex::new(None),
            }),
        }
    }

    /// The same, ticked by the one thread of the process that ticks.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub fn spawn<S: PublishStats>(
        observer: Arc<dyn Observer>,
        stats: impl Fn() -> S + Send + 'static,
    ) -> Result<Self, BuildError> {
        let publisher = Self::new(observer, stats);
        Ticker::shared().drive(&publisher.work)?;
        Ok(publisher)
    }

    /// Tells now what is new: at a shutdown, for who may hold it for ever.
    pub fn publish(&self) {
        self.work.publish();
    }

    /// It is `now`. For who does not [`spawn`](Self::spawn) it.
    pub fn tick(&self, now: Instant) {
        self.work.tick(now);
    }
}

impl Work {
    fn publish(&self) {
        (self.publish.lock())();
    }
}

impl Tick for Work {
    fn tick(&self, now: Instant) {
        let mut due = self.due.lock();
        let is_due = due.is_none_or(|due| now >= due);
        if is_due {
            *due = Some(now + StatsPublisher::INTERVAL);
            drop(due);
            self.publish();
        }
    }
}

impl PublishStats for SamplerStats {
    fn publish(&self, earlier: &Self, observer: &dyn Observer) {
        self.publish(earlier, observer);
    }
}

impl PublishStats for TailStats {
    fn publish(&self, earlier: &Self, observer: &dyn Observer) {
        self.publish(earlier, observer);
    }
}

impl Drop for StatsPublisher {
    fn drop(&mut self) {
        self.publish();
    }
}

impl fmt::Debug for StatsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsPublisher")
            .field("due", &self.work.due.lock())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use spanwright_core::semconv::Metric;
    use spanwright_core::{Clock, ManualClock};

    use super::*;

    /// Adds up what it is told.
    #[derive(Default)]
    struct Sum(AtomicI64, AtomicUsize);

    impl Observer for Sum {
        fn count(&self, _: &'static Metric, delta: i64, _: &[(&'static str, &str)]) {
            self.0.fetch_add(delta, Ordering::Relaxed);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn differences_are_told_every_ten_seconds_and_the_last_ones_at_the_end() {
        let (clock, sum) = (ManualClock::new(), Arc::new(Sum::default()));
        let malformed = Arc::new(AtomicI64::new(0));
        let counted = Arc::clone(&malformed);
        let publisher = StatsPublisher::new(Arc::clone(&sum) as Arc<dyn Observer>, move || SamplerStats {
            malformed_trace_states: counted.load(Ordering::Relaxed) as u64,
            ..SamplerStats::default()
        });
        let told = || (sum.0.load(Ordering::Relaxed), sum.1.load(Ordering::Relaxed));
        malformed.store(3, Ordering::Relaxed);
        publisher.tick(clock.now());
        assert_eq!(told(), (3, 1));
        malformed.store(5, Ordering::Relaxed);
        clock.advance(StatsPublisher::INTERVAL - Duration::from_nanos(1));
        publisher.tick(clock.now());
        assert_eq!(told(), (3, 1), "not yet");
        clock.advance(Duration::from_nanos(1));
        publisher.tick(clock.now());
        assert_eq!(told(), (5, 2));
        malformed.store(6, Ordering::Relaxed);
        drop(publisher);
        assert_eq!(told(), (6, 3));
    }
}
