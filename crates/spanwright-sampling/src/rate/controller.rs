//! What share to keep, from how much was offered.

use std::time::{Duration, Instant};

use super::history::{GRAIN, History};
use super::recent::Recent;
use crate::ease::Ease;

/// Holds the expected number of spans kept per second at a target, whatever is offered.
///
/// ```text
/// factor = min(1, ratio, target * ease * (1 + clamp(credit / (target * HORIZON), -1/2, 1/2)) / rate)
/// ```
///
/// Feed-forward: the share is the target by the rate at which spans are offered, and follows that rate as fast as a change of it
/// can be told from chance ([`History`]). What the estimate gets wrong is a *credit*, and is made up for. No randomness comes
/// into it: what is held is the sum of probabilities, which is known exactly.
#[derive(Debug)]
pub(super) struct Controller {
    goal: Goal,
    history: History,
    recent: Recent,
    last_tick: Option<Instant>,
    /// What was read when no time had passed.
    carried: Reading,
    /// What should be kept by now and is not, in spans. Negative: kept too many.
    credit: f64,
    /// What pressure leaves of the target.
    ease: Ease,
    /// The target per second that the plan is made for.
    target: Option<f64>,
    /// The longest time between two ticks of late, in seconds.
    interval: f64,
    /// Whether everything is kept that is offered.
    is_saturated: bool,
    plan: Plan,
}

/// What a controller is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Goal {
    /// So many kept per second.
    pub(super) per_second: Option<f64>,
    /// At most this share of what is offered.
    pub(super) ratio: Option<f64>,
    /// Never more in one second than this many times `per_second`.
    pub(super) max_burst: Option<f64>,
    /// How much of what was missed is made up for, in seconds of the target.
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
    /// The mean of what is wanted of an offered span.
    pub(super) mean_wanted: f64,
}

/// Within how many seconds a credit is made up for. With 1, traffic that is on and off each second keeps too few over its first
/// minute; with 4, clumps of 20 at a hundred a second do.
const HORIZON: f64 = 1.5;

/// The most by which making up raises or lowers the target.
const MAX_CORRECTION: f64 = 0.5;

/// The share of the largest credit that is granted while everything is kept. It is not known whether a pause belongs to the
/// traffic or ends it: the whole would make for a burst after each idle minute, and none would never give pauses their due.
const IDLE_CREDIT: f64 = 0.25;

/// At low rates a second is no arrivals at all: a credit may always reach what so many bring.
const CREDIT_ARRIVALS: f64 = 10.0;
const MAX_CREDIT_SECONDS: f64 = 30.0;

/// What is taken for the rate before anything is known of it, per second: too high, since too few for a tenth of a second are
/// made up for, and a service that starts under load is not to begin with everything.
const PRIOR_RATE: f64 = 1000.0;

/// A tick that comes late is expected to come late again, up to so many seconds.
const MAX_INTERVAL: f64 = 2.0;

/// Less time than this says nothing of a rate.
const MIN_ELAPSED: Duration = Duration::from_micros(100);

impl Controller {
    pub(super) fn new(goal: Goal) -> Self {
        let mut controller = Self {
            goal,
            history: History::new(),
            recent: Recent::new(),
            last_tick: None,
            carried: Reading::default(),
            credit: 0.0,
            ease: Ease::FULL,
            target: None,
            interval: GRAIN,
            is_saturated: false,
            plan: Plan {
                factor: 1.0,
                quota: f64::INFINITY,
                ceiling: f64::INFINITY,
                mean_wanted: 1.0,
            },
        };
        controller.make_plan(PRIOR_RATE, 1.0);
        controller
    }

    /// It is `now`, and `reading` came since the last tick.
    ///
    /// A tick that comes without any time since the last, or with a time that has gone back, changes nothing: what it brings is
    /// counted with the next.
    pub(super) fn tick(&mut self, now: Instant, reading: Reading, pressure: f32) {
        let reading = self.carried.plus(reading);
        let Some(last_tick) = self.last_tick else {
            // What came before the first tick came in an unknown time.
            self.last_tick = Some(now);
            self.recent.add(now, reading.expected);
            return;
        };
        let elapsed = now.saturating_duration_since(last_tick);
        if elapsed < MIN_ELAPSED {
            self.carried = reading;
            return;
        }
        self.last_tick = Some(now);
        self.carried = Reading::default();
        let seconds = elapsed.as_secs_f64();
        self.interval += (GRAIN - self.interval) * (seconds / MAX_INTERVAL).min(1.0);
        self.interval = self.interval.max(seconds.min(MAX_INTERVAL));

        self.settle(seconds, reading.expected);
        self.ease.follow(seconds, pressure);
        self.recent.add(now, reading.expected);
        if reading.offered > 0.0 {
            // A hundred spans say enough of a mean.
            let weight = (reading.offered / 100.0).min(1.0);
            self.plan.mean_wanted += (reading.wanted / reading.offered - self.plan.mean_wanted) * weight;
        }
        self.history.observe(elapsed, reading.wanted);
        self.make_plan(self.history.rate(), self.history.dispersion());
    }

    pub(super) const fn plan(&self) -> Plan {
        self.plan
    }

    pub(super) const fn goal(&self) -> Goal {
        self.goal
    }

    /// Another goal, from the next tick on.
    pub(super) const fn set_goal(&mut self, goal: Goal) {
        self.goal = goal;
    }

    /// The rate of what is wanted, per second.
    pub(super) fn rate(&self) -> f64 {
        self.history.rate()
    }

    /// Adds what should have been kept by the plan to the credit, and takes off what was.
    fn settle(&mut self, seconds: f64, expected: f64) {
        let Some(target) = self.target else { return };
        let arrivals = CREDIT_ARRIVALS / self.history.rate().max(f64::MIN_POSITIVE);
        let limit = target * self.goal.max_credit.max(arrivals.min(MAX_CREDIT_SECONDS));
        let most = if self.is_saturated {
            // Where everything is kept that comes, little was missed; and what was missed before is soon out of date.
            let left = self.credit * (1.0 - seconds / HORIZON);
            left.max(IDLE_CREDIT * self.goal.max_credit * target).min(limit)
        } else {
            limit
        };
        self.credit = (self.credit + target * seconds - expected).clamp(-limit, most);
    }

    fn make_plan(&mut self, rate: f64, dispersion: f64) {
        let target = self.goal.per_second.map(|target| target * self.ease.share());
        if let (Some(old), Some(new)) = (self.target, target) {
            // In seconds of the target it stays what it was.
            self.credit *= new / old;
        }
        self.target = target;
        let mut factor: f64 = 1.0;
        if let Some(ratio) = self.goal.ratio {
            // Of what is offered; of what is wanted it is more.
            factor = factor.min(ratio * self.ease.share() / self.plan.mean_wanted);
        }
        let share = factor;
        if let Some(target) = target {
            let correction = (self.credit / (target * HORIZON)).clamp(-MAX_CORRECTION, MAX_CORRECTION);
            factor = factor.min(target * (1.0 + correction) / rate);
        }
        self.is_saturated = factor >= share;
        self.plan.factor = factor;
        self.plan.quota = self.quota(rate, dispersion);
        self.plan.ceiling = self.ceiling();
    }

    /// What may come before somebody looks: about what is expected until the next tick and some more by chance, but less where
    /// little is known yet, or where it would cost much of the target if it were wrong.
    fn quota(&self, rate: f64, dispersion: f64) -> f64 {
        let Some(target) = self.target else {
            return f64::INFINITY;
        };
        let mean = rate * self.interval;
        let usual = 1.3 * mean + 5.0 * (dispersion * (mean + 1.0)).sqrt() + 8.0;
        // After a change, one look each time that what is known has doubled.
        let known = self.history.count().max(5.0 * dispersion.sqrt() + 8.0);
        // Beyond the mean, no more than three tenths of a second's target.
        let harmless = (0.3 * target / self.plan.factor).max(1.0).max(mean);
        usual.min(known).min(harmless)
    }

    fn ceiling(&self) -> f64 {
        match (self.goal.max_burst, self.goal.per_second) {
            (Some(times), Some(target)) => (times * target - self.recent.sum()).max(0.0),
            _ => f64::INFINITY,
        }
    }
}

impl Reading {
    fn plus(self, other: Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            wanted: self.wanted + other.wanted,
            expected: self.expected + other.expected,
        }
    }
}
