//! CPU time: what of it one exported span cost.
//!
//! A span is paid for in two places. On the thread of the service that ends it: that is measured for some of the spans, one by one,
//! and what the end takes without any pipeline is taken off. And on the threads of the pipeline: that is what the process used
//! and none of the others did. All clocks are CPU clocks, so that neighbours on the machine hardly matter.
//!
//! The usual way, the same load with and without a pipeline, gives the difference of two figures that are a hundred times larger,
//! and on a machine that has other things to do nothing but noise.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The CPU time of one exported span, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    /// What its end added on the service's threads.
    pub(crate) service: f64,
    /// On the pipeline's threads.
    pub(crate) pipeline: f64,
}

/// The threads that are not the pipeline's. They report what they used, for nobody else can read their clocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct OtherThreads(Arc<AtomicU64>);

/// Times the end of spans.
#[derive(Debug, Default)]
pub(crate) struct EndMeter {
    seen: AtomicU64,
    timed: AtomicU64,
    nanos: AtomicU64,
}

/// Most spans end untimed: reading the clock takes longer than what it measures. A prime, so that it does not fall into step with
/// anything that happens every so many spans.
const TIMED_ONE_OF: u64 = 7;

thread_local! {
    /// What this thread has reported.
    static REPORTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

impl Cost {
    /// `pipeline`: used by its threads in all. `end` and `baseline`: nanoseconds that an end took, with and without it.
    pub(crate) fn of(pipeline: Duration, end: f64, baseline: f64, ended: u64, exported: u64) -> Option<Self> {
        let exported_spans = exported as f64;
        (exported > 0).then(|| Self {
            service: (end - baseline) * ended as f64 / exported_spans,
            pipeline: pipeline.as_nanos() as f64 / exported_spans,
        })
    }

    pub(crate) fn total(&self) -> f64 {
        self.service + self.pipeline
    }
}

impl OtherThreads {
    /// Called on each of these threads, at the latest when it has nothing to do.
    pub(crate) fn report(&self) {
        if let Some(now) = clock::thread() {
            let used = now.saturating_sub(REPORTED.replace(now));
            // Relaxed, here and everywhere below: figures by themselves.
            self.0.fetch_add(used.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// What all threads but these have used, by now. Right while these have nothing to do. Called on one of them.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.report();
        let others = Duration::from_nanos(self.0.load(Ordering::Relaxed));
        Some(clock::process()?.saturating_sub(others))
    }
}

impl EndMeter {
    /// Runs `end`, and times it now and then.
    pub(crate) fn time(&self, end: impl FnOnce()) {
        let is_timed = self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIMED_ONE_OF);
        let Some(start) = is_timed.then(clock::thread).flatten() else {
            return end();
        };
        end();
        if let Some(now) = clock::thread() {
            let used = now.saturating_sub(start);
            self.nanos.fetch_add(used.as_nanos() as u64, Ordering::Relaxed);
            self.timed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nanoseconds that an end took on average. `None` if none was timed.
    pub(crate) fn mean(&self) -> Option<f64> {
        let (nanos, timed) = (self.nanos.load(Ordering::Relaxed), self.timed.load(Ordering::Relaxed));
        (timed > 0).then(|| nanos as f64 / timed as f64)
    }

    /// Forgets what was before: the first ends pay for what is only done once.
    pub(crate) fn restart(&self) {
        self.nanos.store(0, Ordering::Relaxed);
        self.timed.store(0, Ordering::Relaxed);
    }
}

#[cfg(unix)]
mod clock {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn process() -> Option<Duration> {
        clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
    }

    pub(super) fn thread() -> Option<Duration> {
        clock_gettime(ClockId::ThreadCPUTime).try_into().ok()
    }
}

/// Without such clocks there is no cost in the report.
#[cfg(not(unix))]
mod clock {
    use std::time::Duration;

    pub(super) fn process() -> Option<Duration> {
        None
    }

    pub(super) fn thread() -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_pays_for_both_places_and_for_those_that_were_lost() {
        let cost = Cost::of(Duration::from_micros(100), 700.0, 400.0, 1_000, 500).unwrap();
        assert_eq!(
            cost,
            Cost {
                service: 600.0,
                pipeline: 200.0
            }
        );
        assert_eq!(cost.total(), 800.0);
        assert_eq!(Cost::of(Duration::from_micros(100), 700.0, 400.0, 1_000, 0), None);
    }

    #[cfg(unix)]
    #[test]
    fn one_end_of_seven_is_timed_and_every_one_happens() {
        let (meter, ends) = (EndMeter::default(), Cell::new(0));
        for _ in 0..70 {
            meter.time(|| {
                ends.set(ends.get() + 1);
                work(Duration::from_micros(20));
            });
        }
        assert_eq!((ends.get(), meter.timed.load(Ordering::Relaxed)), (70, 10));
        assert!(meter.mean().unwrap() > 20_000.0, "{meter:?}");
        meter.restart();
        assert_eq!(meter.mean(), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_thread_reported_is_not_of_the_rest() {
        let others = OtherThreads::default();
        others.report();
        let reported = || others.0.load(Ordering::Relaxed);
        let before = reported();
        work(Duration::from_millis(2));
        others.report();
        assert!(
            reported() - before >= 2_000_000,
            "only what is new: {} after {before}",
            reported()
        );
        others.0.store(u64::MAX, Ordering::Relaxed);
        others
            .0
            .fetch_sub(clock::process().unwrap().as_nanos() as u64, Ordering::Relaxed);
        assert_eq!(others.rest(), Some(Duration::ZERO));
    }

    /// Keeps this thread busy.
    fn work(cpu: Duration) {
        let start = clock::thread().unwrap();
        while clock::thread().unwrap() - start < cpu {}
    }
}
