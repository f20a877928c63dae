//! CPU time: what the process used, and what of it one exported span cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The CPU time of a thread, as that thread reported it last.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadClock(Arc<AtomicU64>);

/// Reads the process's clock now and then, while requests are counted.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Not a part of what is measured.
    receiver: ThreadClock,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    requests: u64,
    cpu: Duration,
}

/// The CPU time of one request, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PerRequest {
    mean: f64,
    /// Of the mean.
    standard_error: f64,
}

/// The CPU time of one exported span, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) per_span: f64,
    /// The true value lies within so much of it, 19 times of 20, as far as chance goes.
    pub(crate) uncertainty: f64,
}

impl ThreadClock {
    /// Called on the thread that it is about.
    pub(crate) fn report(&self) {
        if let Some(cpu) = clock::thread() {
            // Relaxed: a figure by itself.
            self.0.store(cpu.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Meter {
    pub(crate) fn new(receiver: ThreadClock) -> Self {
        Self {
            receiver,
            samples: Vec::new(),
        }
    }

    /// Notes how much time was used for the `requests` so far.
    pub(crate) fn sample(&mut self, requests: u64) {
        if let Some(process) = clock::process() {
            let cpu = process.saturating_sub(self.receiver.read());
            self.samples.push(Sample { requests, cpu });
        }
    }

    /// Forgets what was before now: the first requests pay for what is only done once.
    pub(crate) fn restart(&mut self) {
        self.samples.clear();
    }

    /// From the first sample to the last; the spread is that of the intervals between. `None` if there are fewer than two
    /// intervals with requests in them.
    pub(crate) fn per_request(&self) -> Option<PerRequest> {
        let mean = per_request(self.samples.first()?, self.samples.last()?)?;
        let intervals: Vec<f64> = self
            .samples
            .windows(2)
            .filter_map(|pair| per_request(&pair[0], &pair[1]))
            .collect();
        let count = intervals.len() as f64;
        let middle = intervals.iter().sum::<f64>() / count;
        let squares: f64 = intervals.iter().map(|value| (value - middle).powi(2)).sum();
        let standard_error = (squares / (count - 1.0) / count).sqrt();
        (intervals.len() > 1).then_some(PerRequest { mean, standard_error })
    }
}

impl Cost {
    /// What remains of `run` when `baseline`, the same load without export, is taken away.
    pub(crate) fn of(run: PerRequest, baseline: PerRequest, requests: u64, exported: u64) -> Option<Self> {
        let scale = requests as f64 / exported as f64;
        let standard_error = run.standard_error.hypot(baseline.standard_error);
        (exported > 0).then_some(Self {
            per_span: (run.mean - baseline.mean) * scale,
            uncertainty: 2.0 * standard_error * scale,
        })
    }

    /// Whether it can be told from nothing.
    pub(crate) fn is_significant(&self) -> bool {
        self.per_span > self.uncertainty
    }
}

fn per_request(from: &Sample, to: &Sample) -> Option<f64> {
    let requests = to.requests - from.requests;
    (requests > 0).then(|| to.cpu.saturating_sub(from.cpu).as_nanos() as f64 / requests as f64)
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

    fn meter(samples: &[(u64, u64)]) -> Meter {
        let samples = samples.iter().map(|&(requests, cpu)| Sample {
            requests,
            cpu: Duration::from_nanos(cpu),
        });
        Meter {
            receiver: ThreadClock::default(),
            samples: samples.collect(),
        }
    }

    #[test]
    fn a_request_costs_what_all_of_them_do_and_the_intervals_tell_how_sure_that_is() {
        // 10, 30 and 20 each; at the end 30 more after the last request.
        let measured = meter(&[(5, 1_000), (10, 1_050), (15, 1_200), (20, 1_300), (20, 1_330)])
            .per_request()
            .unwrap();
        assert_eq!(measured.mean, 22.0);
        assert!(
            (measured.standard_error - 10.0 / 3_f64.sqrt()).abs() < 1e-9,
            "{measured:?}"
        );
    }

    #[test]
    fn one_interval_says_nothing_of_the_spread() {
        assert_eq!(meter(&[(0, 0), (5, 100)]).per_request(), None);
        assert_eq!(meter(&[]).per_request(), None);
    }

    #[test]
    fn a_span_costs_what_the_baseline_does_not() {
        let run = PerRequest {
            mean: 50_000.0,
            standard_error: 300.0,
        };
        let baseline = PerRequest {
            mean: 46_000.0,
            standard_error: 400.0,
        };
        let cost = Cost::of(run, baseline, 100, 400).unwrap();
        assert_eq!(
            cost,
            Cost {
                per_span: 1_000.0,
                uncertainty: 250.0
            }
        );
        assert!(cost.is_significant());
        assert!(!Cost::of(baseline, run, 100, 400).unwrap().is_significant());
        assert_eq!(Cost::of(run, baseline, 100, 0), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_the_receiver_used_is_taken_off() {
        let clock = ThreadClock::default();
        let mut meter = Meter::new(clock.clone());
        meter.sample(0);
        assert!(meter.samples[0].cpu > Duration::ZERO);
        clock.report();
        assert!(clock.read() > Duration::ZERO);
        clock.0.store(u64::MAX, Ordering::Relaxed);
        meter.sample(0);
        assert_eq!(meter.samples[1].cpu, Duration::ZERO);
    }
}
