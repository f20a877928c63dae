//! What share to keep, from how much was offered.

use std::time::{Duration, Instant};

use super::history::History;

/// What a controller is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Goal {
    /// So many kept per second.
    pub(super) per_second: Option<f64>,
    /// This share of what is offered.
    pub(super) ratio: Option<f64>,
    /// Never more in one second than this many times `per_second`.
    pub(super) max_burst: Option<f64>,
    /// How much of what was missed may be made up for, in seconds of the target.
    pub(super) max_credit: f64,
}

/// What has happened since the last tick.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// Spans that were asked about.
    pub(super) offered: f64,
    /// The sum of the probabilities with which they would be kept if nothing were limited: `offered`, unless another sampler
    /// comes first.
    pub(super) wanted: f64,
    /// The sum of the probabilities with which they were kept.
    pub(super) expected: f64,
}

/// What is to happen until the next tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// The share to keep of what is wanted.
    pub(super) factor: f64,
    /// When so much more is wanted, the plan is wrong and somebody should look.
    pub(super) quota: f64,
    /// When so much more is expected to be kept, nothing more must be.
    pub(super) ceiling: f64,
    /// The mean probability of what is wanted.
    pub(super) mean_wanted: f64,
}

/// Holds the expected number of spans kept per second at a target, whatever is offered.
///
/// Feed-forward: the share is the target by the rate at which spans are offered, and follows a change of that rate as fast as it
/// can be told from chance. What the estimate gets wrong is a *credit*, and is made up for. No randomness comes into it: the sum
/// of the probabilities is known exactly.
#[derive(Debug)]
pub(super) struct Controller {
    goal: Goal,
    history: History,
    last: Option<Instant>,
    /// What was read when no time had passed.
    carried: Reading,
    /// Expected to be kept by now and not kept, in spans. Negative: kept too many.
    credit: f64,
    /// What pressure leaves of the target.
    ease: f64,
    /// The mean probability of what is wanted.
    mean_wanted: f64,
    is_saturated: bool,
    intervals: Intervals,
    recent: Recent,
    plan: Plan,
}

/// How long it is from tick to tick.
#[derive(Debug)]
struct Intervals {
    longest: f64,
}

/// What was expected to be kept in each tenth of the last second.
#[derive(Debug)]
struct Recent {
    start: Option<Instant>,
    tenth: u64,
    expected: [f64; 11],
}

/// Until when a credit is to be made up for, in seconds. Half the time makes the share follow the noise of what is offered; twice
/// the time leaves more than 3 % of a minute open with clumps of 200.
const HORIZON: f64 = 2.0;

/// The most by which making up may raise or lower the target.
const MAX_CORRECTION: f64 = 0.5;

/// What is taken for the rate before anything is known of it, per second.
const PRIOR_RATE: f64 = 1000.0;

/// The least that pressure leaves of the target.
const MIN_EASE: f64 = 0.01;

/// How fast the target comes back after pressure: by this share of the way per second.
const RECOVERY: f64 = 0.5;

impl Controller {
    pub(super) fn new(goal: Goal) -> Self {
        let mut controller = Self {
            goal,
            history: History::new(),
            last: None,
            carried: Reading::default(),
            credit: 0.0,
            ease: 1.0,
            mean_wanted: 1.0,
            is_saturated: false,
            intervals: Intervals { longest: INTERVAL },
            recent: Recent::new(),
            plan: Plan {
                factor: 1.0,
                quota: f64::INFINITY,
                ceiling: f64::INFINITY,
                mean_wanted: 1.0,
            },
        };
        controller.plan = controller.make_plan(PRIOR_RATE, 1.0);
        controller
    }

    /// It is `now`, and `reading` came since the last tick.
    ///
    /// A tick without time since the last one only adds to the next.
    pub(super) fn tick(&mut self, now: Instant, reading: Reading, pressure: f32) -> Plan {
        let reading = self.carried.plus(reading);
        let Some(last) = self.last else {
            // What came before the first tick came in an unknown time.
            self.last = Some(now);
            self.recent.add(now, reading.expected);
            return self.plan;
        };
        let elapsed = now.saturating_duration_since(last);
        if elapsed < MIN_ELAPSED {
            self.carried = reading;
            return self.plan;
        }
        self.last = Some(now);
        self.carried = Reading::default();
        self.recent.add(now, reading.expected);
        let seconds = elapsed.as_secs_f64();
        self.intervals.observe(seconds);
        self.follow_pressure(seconds, pressure);
        if reading.offered > 0.0 {
            let mean = reading.wanted / reading.offered;
            let weight = (reading.offered / 100.0).min(1.0);
            self.mean_wanted += (mean - self.mean_wanted) * weight;
        }
        self.settle(seconds, reading.expected);
        self.history.observe(elapsed, reading.wanted);
        self.plan = self.make_plan(self.history.rate(), self.history.dispersion());
        self.plan
    }

    pub(super) fn goal(&self) -> Goal {
        self.goal
    }

    pub(super) fn set_goal(&mut self, goal: Goal) {
        if let (Some(old), Some(new)) = (self.goal.per_second, goal.per_second) {
            // In seconds of the target it stays the same.
            self.credit *= new / old;
        }
        self.goal = goal;
    }

    /// The rate of what is wanted, per second.
    pub(super) fn rate(&self) -> f64 {
        self.history.rate()
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    fn follow_pressure(&mut self, seconds: f64, pressure: f32) {
        let wanted = (1.0 - f64::from(pressure)).clamp(MIN_EASE, 1.0);
        let step = (RECOVERY * seconds).min(1.0);
        // Down at once, up slowly: or the queue would swing.
        self.ease = wanted.min(self.ease + (wanted - self.ease).max(0.0) * step);
    }

    /// Adds what should have been kept to the credit, and takes off what was.
    fn settle(&mut self, seconds: f64, expected: f64) {
        let Some(target) = self.target() else { return };
        let limit = self.goal.max_credit * target;
        let most = if self.is_saturated {
            // Where everything was kept that came, nothing was missed; and what was missed before is out of date.
            self.credit.max(0.0) * (1.0 - (seconds / HORIZON).min(1.0))
        } else {
            limit
        };
        let credit = self.credit + target * seconds - expected;
        self.credit = credit.clamp(-limit, most.min(limit));
    }

    fn target(&self) -> Option<f64> {
        self.goal.per_second.map(|target| target * self.ease)
    }

    fn make_plan(&mut self, rate: f64, dispersion: f64) -> Plan {
        let mut factor: f64 = 1.0;
        if let Some(ratio) = self.goal.ratio {
            factor = factor.min(ratio * self.ease / self.mean_wanted.max(ratio * self.ease));
        }
        let share = factor;
        if let Some(target) = self.target() {
            let correction = (self.credit / (target * HORIZON)).clamp(-MAX_CORRECTION, MAX_CORRECTION);
            factor = factor.min(target * (1.0 + correction) / rate);
        }
        self.is_saturated = factor >= share;
        Plan {
            factor,
            quota: self.quota(rate, dispersion, factor),
            ceiling: self.ceiling(),
            mean_wanted: self.mean_wanted,
        }
    }

    fn quota(&self, rate: f64, dispersion: f64, factor: f64) -> f64 {
        let Some(target) = self.target() else {
            return f64::INFINITY;
        };
        let mean = rate * self.intervals.longest;
        let usual = 1.3 * mean + 5.0 * (dispersion * (mean + 1.0)).sqrt() + 8.0;
        let unsure = (self.history.count()).max(8.0 + 5.0 * dispersion.sqrt());
        let harmless = (0.3 * target / factor).max(1.0);
        usual.min(unsure).min(harmless.max(mean))
    }

    fn ceiling(&self) -> f64 {
        match (self.goal.max_burst, self.goal.per_second) {
            (Some(burst), Some(target)) => (burst * target - self.recent.sum()).max(0.0),
            _ => f64::INFINITY,
        }
    }
}

/// The usual time between two ticks, in seconds.
const INTERVAL: f64 = 0.1;

/// Less time than this says nothing of a rate.
const MIN_ELAPSED: Duration = Duration::from_micros(100);

impl Reading {
    fn plus(self, other: Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            wanted: self.wanted + other.wanted,
            expected: self.expected + other.expected,
        }
    }
}

impl Intervals {
    fn observe(&mut self, seconds: f64) {
        // The longest of late: up at once, down within seconds.
        self.longest = (self.longest + (INTERVAL - self.longest) * (seconds / 2.0).min(1.0)).max(seconds.min(2.0));
    }
}

impl Recent {
    const fn new() -> Self {
        Self {
            start: None,
            tenth: 0,
            expected: [0.0; 11],
        }
    }

    fn add(&mut self, now: Instant, expected: f64) {
        let start = *self.start.get_or_insert(now);
        let tenth = (now.saturating_duration_since(start).as_millis() / 100) as u64;
        let passed = (tenth - self.tenth).min(11);
        for step in 1..=passed {
            self.expected[((self.tenth + step) % 11) as usize] = 0.0;
        }
        self.tenth = tenth;
        self.expected[(tenth % 11) as usize] += expected;
    }

    fn sum(&self) -> f64 {
        self.expected.iter().sum()
    }
}
