//! How a budget is kept to and shared, tick by tick.
//!
//! Each tick learns from the columns: what all decisions came to, what hot keys and keys without a budget are at. Once a second, or
//! at once if the sum is not what was foreseen, a *pass* (`pass.rs`) looks at every cell and shares the budget out anew. Time and
//! pressure come in; thresholds go out.

use std::time::{Duration, Instant};

use super::cells::Cells;
use super::columns::{COLUMNS, EXPECTED_UNIT, FIRST_HOT, Forecast, MIN_PROBABILITY, OVERFLOW, YOUNG};
use super::estimate::Estimate;
use super::level::Demand;
use super::state::State;
use super::stats::{KeyShare, KeyStats};
use super::table::Fingerprint;
use crate::ease::Ease;
use crate::ticker::Ticker;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Spans per second.
    pub(super) target: f64,
    /// Spans per second of each key that has a cell, beside the target.
    pub(super) floor: f64,
    /// The share of the target that is kept for spans without a budget of their own, if they need it.
    pub(super) overflow_share: f64,
    /// Of keys that count for more or less than one, in the order of the keys.
    pub(super) weights: Vec<(Fingerprint, f32)>,
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) terms: Terms,
    pub(super) states: Box<[State]>,
    /// Of the pass. Kept, so that a pass allocates nothing.
    pub(super) demands: Vec<Demand>,
    pub(super) owners: [Owner; COLUMNS],
    /// What the columns had at the last tick.
    counted: [u64; COLUMNS],
    granted: u64,
    /// Spans without a budget of their own.
    pub(super) others: Estimate,
    /// How many of the keys that were not seen again since they are watched are seen, and what that makes for one of them. Each
    /// counts once, so that a frequent one among them does not speak for the others.
    pub(super) unseen: Estimate,
    pub(super) usual_rate: f32,
    /// What the others may keep, per second.
    pub(super) allowance: f64,
    last_tick: Option<Instant>,
    last_pass: Option<Instant>,
    /// The last pass that was not due to a surprise.
    last_regular: Option<Instant>,
    /// Seconds that a tick is expected to be away.
    interval: f64,
    credit: f64,
    ease: Ease,
    /// The ease by which the budget was shared.
    shared_ease: f64,
    dispersion: f64,
    bias: Bias,
    /// What the cells will come to, by the last pass.
    pub(super) settled: Outlook,
    outlook: Outlook,
    pub(super) level: f64,
    pub(super) total_rate: f64,
    pub(super) idle_limit: f32,
    pub(super) ticks: u64,
    pub(super) overflow_in_pass: u64,
    pub(super) totals: Totals,
}

/// Whose a column is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Owner {
    #[default]
    Nobody,
    Cell(usize),
    /// No longer, but late counts are still its own until that tick.
    Late(usize, u64),
}

/// What is foreseen, per second: the sum of probabilities and of their squares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outlook {
    expected: f64,
    squares: f64,
}

/// What decisions came to, of what was foreseen.
///
/// Where most keys are rare, their estimates are few counts each, and those that are too low and too high do not make up for each
/// other in `1 / rate`; and keys that are idle by chance lose their cells. That shifts the sum by some percent, always to one side.
#[derive(Clone, Copy, Debug, Default)]
struct Bias {
    seen: f64,
    foreseen: f64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) in_cells: u64,
    pub(super) claimed: u64,
    pub(super) freed: u64,
    pub(super) passes: u64,
    pub(super) overflow_keys: u64,
    expected_kept: f64,
}

const PASS_INTERVAL: f64 = 1.0;
const INTERVAL: f64 = Ticker::INTERVAL.as_millis() as f64 / 1000.0;

/// Ticks that come faster wait for the next: too little has happened.
const MIN_ELAPSED: Duration = Duration::from_millis(10);

/// Credit is paid back, and debts are, over so many seconds.
const HORIZON: f64 = 5.0;

/// Seconds of the target that may be missing: kept small, because a burst would use it all at once.
const MAX_CREDIT: f64 = 1.0;
/// Seconds of the target that may be owed: enough to halve it.
const MAX_DEBT: f64 = 2.5;

/// Seconds for which the bias of the estimates is remembered, and how far it can go: beyond that something has changed instead.
const BIAS_MEMORY: f64 = 30.0;
const MAX_BIAS: f64 = 2.0;

/// The budget is shared anew when it has moved by such a part.
const EASE_STEP: f64 = 0.1;

/// So many standard deviations off the outlook are a surprise.
const SIGMAS: f64 = 5.0;
/// And such a share of it.
const LEAST_SURPRISE: f64 = 0.2;
const DISPERSION_WEIGHT: f64 = 0.02;

/// How long a cell without spans keeps its key: several windows of the slowest estimate would say nothing more.
pub(super) const LONGEST_IDLE: f32 = 60.0;

impl Engine {
    pub(super) fn new(terms: Terms, cells: &Cells) -> Self {
        let slots = cells.table.slots();
        let allowance = terms.target;
        let mut engine = Self {
            terms,
            states: vec![State::default(); slots].into_boxed_slice(),
            demands: Vec::with_capacity(slots + 1),
            owners: [Owner::Nobody; COLUMNS],
            counted: [0; COLUMNS],
            granted: 0,
            others: Estimate::default(),
            unseen: Estimate::default(),
            usual_rate: 1.0,
            allowance,
            last_tick: None,
            last_pass: None,
            last_regular: None,
            interval: INTERVAL,
            credit: 0.0,
            ease: Ease::FULL,
            shared_ease: 1.0,
            dispersion: 1.0,
            bias: Bias::default(),
            settled: Outlook::default(),
            outlook: Outlook::default(),
            level: f64::INFINITY,
            total_rate: 0.0,
            idle_limit: LONGEST_IDLE,
            ticks: 0,
            overflow_in_pass: 0,
            totals: Totals::default(),
        };
        engine.publish(cells, 0.0);
        engine
    }

    /// It is `now`, and the pipeline is under so much pressure, 0 to 1.
    ///
    /// A tick without time since the last one does nothing: what was counted waits for the next.
    pub(super) fn tick(&mut self, cells: &Cells, now: Instant, pressure: f32) {
        let (Some(last), Some(last_pass), Some(last_regular)) = (self.last_tick, self.last_pass, self.last_regular)
        else {
            // What came before the first tick came in an unknown time.
            (self.last_tick, self.last_pass, self.last_regular) = (Some(now), Some(now), Some(now));
            self.take_granted(cells);
            self.collect(cells, 0.0);
            return;
        };
        let elapsed = now.saturating_duration_since(last);
        if elapsed < MIN_ELAPSED {
            return;
        }
        let seconds = elapsed.as_secs_f64();
        self.last_tick = Some(now);
        self.ticks += 1;
        // A tick that comes late will again; but one pause of minutes is no reason to foresee another.
        self.interval = seconds.clamp(INTERVAL, PASS_INTERVAL);
        self.ease.follow(seconds, pressure);
        let granted = self.take_granted(cells);
        self.settle(seconds, granted);
        self.collect(cells, seconds);

        let mut since_pass = now.saturating_duration_since(last_pass).as_secs_f64();
        let since_regular = now.saturating_duration_since(last_regular).as_secs_f64();
        // Half a tick of tolerance, so that a tick that is a little early does not put a pass off.
        let is_due = since_regular + INTERVAL / 2.0 >= PASS_INTERVAL;
        let is_surprised = self.is_surprised(seconds, granted);
        let is_eased = (self.ease.share() - self.shared_ease).abs() > EASE_STEP * self.shared_ease;
        if !is_surprised {
            self.bias.observe(seconds, granted, self.outlook.expected * seconds);
        }
        if is_due || is_surprised || is_eased {
            self.pass(cells, since_pass, is_due);
            self.shared_ease = self.ease.share();
            self.last_pass = Some(now);
            since_pass = 0.0;
        }
        if is_due {
            self.last_regular = Some(now);
        }
        self.publish(cells, since_pass);
    }

    /// Spans per second that may be kept now.
    pub(super) fn budget(&self) -> f64 {
        self.terms.target * self.ease.share() + self.credit / HORIZON
    }

    /// What is to be foreseen for the budget to be kept.
    pub(super) fn plannable(&self) -> f64 {
        self.budget() / self.bias.factor()
    }

    /// The probability of a key of this rate and weight.
    pub(super) fn probability(&self, rate: f64, weight: f64) -> f64 {
        let share = (self.level * weight).max(self.terms.floor * self.ease.share());
        (share / rate).clamp(MIN_PROBABILITY, 1.0)
    }

    pub(super) fn dispersion(&self) -> f64 {
        self.dispersion
    }

    pub(super) fn stats(&self, cells: &Cells) -> KeyStats {
        let waiting: u64 = (0..cells.table.slots()).map(|slot| cells.table.peek(slot)).sum();
        let hot: u64 = (FIRST_HOT..COLUMNS).map(|column| cells.columns.sum(column)).sum();
        let overflow_spans = cells.columns.sum(OVERFLOW);
        let granted = cells.columns.expected().wrapping_sub(self.granted);
        KeyStats {
            keys: cells.table.live(),
            max_keys: cells.table.max_keys(),
            claimed_keys: self.totals.claimed,
            freed_keys: self.totals.freed,
            overflow_keys: self.totals.overflow_keys,
            overflow_spans,
            offered: self.totals.in_cells + waiting + hot + overflow_spans,
            expected_kept: self.totals.expected_kept + granted as f64 / EXPECTED_UNIT,
            level: self.level,
            budget: self.budget(),
            generation: self.totals.passes,
        }
    }

    /// The `count` keys with the most spans, most first.
    pub(super) fn top(&self, cells: &Cells, count: usize) -> Vec<KeyShare> {
        let slots = (0..self.states.len()).filter(|slot| self.states[*slot].has_budget());
        let mut slots: Vec<usize> = slots.collect();
        let by_rate = |a: &usize, b: &usize| self.states[*b].rate.total_cmp(&self.states[*a].rate);
        if count < slots.len() {
            slots.select_nth_unstable_by(count, by_rate);
            slots.truncate(count);
        }
        slots.sort_unstable_by(by_rate);
        let share = |slot: usize| {
            let occupant = cells.table.occupant(slot)?;
            Some(KeyShare {
                key: cells.texts.get(slot, occupant.generation())?,
                offered_per_second: f64::from(self.states[slot].rate),
                probability: f64::from(self.states[slot].probability),
            })
        };
        slots.into_iter().filter_map(share).collect()
    }

    /// What the decisions since the last tick will keep.
    fn take_granted(&mut self, cells: &Cells) -> f64 {
        let sum = cells.columns.expected();
        let granted = sum.wrapping_sub(std::mem::replace(&mut self.granted, sum)) as f64 / EXPECTED_UNIT;
        self.totals.expected_kept += granted;
        granted
    }

    /// Adds what should have been kept to the credit, and takes off what was.
    fn settle(&mut self, seconds: f64, granted: f64) {
        let target = self.terms.target * self.ease.share();
        let credit = self.credit + target * seconds - granted;
        // Where there is enough for all, nothing is missed, and what was missed before is out of date.
        let most = if self.level.is_finite() {
            MAX_CREDIT * target
        } else {
            self.credit.max(0.0) * (1.0 - (seconds / HORIZON).min(1.0))
        };
        self.credit = credit.clamp(-MAX_DEBT * target, most);
    }

    /// Takes in what the columns counted.
    fn collect(&mut self, cells: &Cells, seconds: f64) {
        let seconds = seconds as f32;
        let mut others = 0;
        for column in OVERFLOW..COLUMNS {
            let sum = cells.columns.sum(column);
            let count = sum.wrapping_sub(std::mem::replace(&mut self.counted[column], sum));
            match (column, self.owners[column]) {
                (OVERFLOW, _) => {
                    others += count;
                    self.overflow_in_pass += count;
                }
                (YOUNG, _) => others += count,
                (_, Owner::Nobody) => {}
                (_, Owner::Cell(slot)) => {
                    let state = &mut self.states[slot];
                    state.recent += count as f32;
                    state.estimate.observe(count as f32, seconds);
                    state.rate = state.estimate.own_rate().max(f32::MIN_POSITIVE);
                }
                (_, Owner::Late(slot, until)) => {
                    self.states[slot].recent += count as f32;
                    if self.ticks >= until {
                        self.owners[column] = Owner::Nobody;
                    }
                }
            }
        }
        if seconds > 0.0 {
            self.others.observe(others as f32, seconds);
        }
    }

    /// Whether the decisions of the last tick came to something else than was foreseen.
    ///
    /// How far apart ticks usually are is learned (the Fano factor): clumps must not be taken for changes.
    fn is_surprised(&mut self, seconds: f64, granted: f64) -> bool {
        let bias = self.bias.factor();
        let foreseen = self.outlook.expected * seconds * bias;
        let variance = self.outlook.squares * seconds * bias;
        let deviation = granted - foreseen;
        let one = if foreseen > 0.0 { variance / foreseen } else { 1.0 };
        let chance = SIGMAS * (self.dispersion * variance).sqrt() + 3.0 * one;
        // Less than that is made up for by credit, and not worth a pass.
        let limit = chance.max(LEAST_SURPRISE * foreseen);
        if variance > 0.0 {
            // One tick that is far off is a change; it takes several to show that ticks always are.
            let ratio = (deviation * deviation / variance).min(SIGMAS * SIGMAS * self.dispersion);
            self.dispersion = (self.dispersion + DISPERSION_WEIGHT * (ratio - self.dispersion)).max(1.0);
        }
        deviation.abs() > limit
    }

    /// Tells the cells how to decide until the next tick, which is `since_pass` and an interval after the last pass.
    fn publish(&mut self, cells: &Cells, since_pass: f64) {
        self.outlook = self.settled;
        for column in FIRST_HOT..COLUMNS {
            if let Owner::Cell(slot) = self.owners[column] {
                let (rate, weight) = (self.states[slot].rate, self.states[slot].weight);
                let probability = self.probability(f64::from(rate), f64::from(weight));
                self.states[slot].probability = probability as f32;
                self.outlook.add(f64::from(rate), probability);
                let expected = f64::from(rate) * self.interval;
                let quota = expected + slack(2.0 * expected);
                let forecast = Forecast {
                    probability,
                    expected,
                    quota,
                };
                cells.columns.forecast(column, forecast);
            }
        }

        let rate = f64::from(self.others.own_rate());
        let allowance = if self.level.is_finite() {
            self.allowance
        } else {
            // What the others leave.
            (self.plannable() - self.outlook.expected).max(self.allowance)
        };
        let probability = (allowance / rate.max(f64::MIN_POSITIVE)).clamp(MIN_PROBABILITY, 1.0);
        self.outlook.add(rate, probability);
        let expected = rate * self.interval;
        let quota = (expected + slack(expected)).max(allowance * self.interval / probability);
        let forecast = Forecast {
            probability,
            expected,
            quota,
        };
        cells.columns.forecast(OVERFLOW, forecast);

        let foreseen = (self.outlook.expected * self.bias.factor()).max(self.budget()) * self.interval;
        let chance = SIGMAS * (self.dispersion * self.outlook.squares * self.interval).sqrt();
        cells.columns.forecast_total(1.5 * foreseen + chance + 4.0);

        let level = (self.level * self.heaviest()).min(self.budget()).max(self.terms.floor);
        let until_next = level * (since_pass + self.interval);
        cells.set_quota(until_next + slack(until_next));
    }

    pub(super) fn weight(&self, key: Fingerprint) -> f32 {
        let weights = &self.terms.weights;
        let place = weights.binary_search_by_key(&key, |(key, _)| *key);
        place.map_or(1.0, |place| weights[place].1)
    }

    fn heaviest(&self) -> f64 {
        let weights = self.terms.weights.iter().map(|(_, weight)| f64::from(*weight));
        weights.fold(1.0, f64::max)
    }
}

impl Bias {
    fn observe(&mut self, seconds: f64, seen: f64, foreseen: f64) {
        let kept = (-seconds / BIAS_MEMORY).exp();
        self.seen = self.seen * kept + seen;
        self.foreseen = self.foreseen * kept + foreseen;
    }

    fn factor(&self) -> f64 {
        if self.foreseen > 0.0 {
            (self.seen / self.foreseen).clamp(1.0 / MAX_BIAS, MAX_BIAS)
        } else {
            1.0
        }
    }
}

impl Outlook {
    pub(super) fn add(&mut self, rate: f64, probability: f64) {
        self.expected += rate * probability;
        self.squares += rate * probability * probability;
    }
}

/// By how much more than expected may come without being a burst.
fn slack(expected: f64) -> f64 {
    4.0 * expected.sqrt() + 4.0
}
