//! Sharing the budget out anew.

use super::cells::Cells;
use super::columns::{COLUMNS, FIRST_HOT, threshold_of_probability};
use super::engine::{Engine, LONGEST_IDLE, Outlook, Owner};
use super::level::{self, Demand};
use super::state::{Changes, Phase, State};
use super::table::Plan;

/// The spans since the last pass of the keys that do not show a change by themselves, against what was expected of them, both
/// weighted by what was kept.
#[derive(Default)]
struct Common {
    seen: f64,
    expected: f64,
    squares: f64,
}

/// A change that all keys have in common must be this large; what is smaller is made up for by credit.
const LEAST_CHANGE: f64 = 1.25;
const MOST_CHANGE: f64 = 1000.0;
const SIGMAS: f64 = 5.0;

/// A key with such a share of all spans, and at least so many of them per second, gets a column, and keeps it down to half of that.
/// No more keys can have that share than there are columns; and below that rate threads do not meet.
const HOT_SHARE: f64 = 1.0 / (COLUMNS - FIRST_HOT) as f64;
const HOT_RATE: f64 = 200.0;

/// Ticks for which a column is kept for the late counts of its last key.
const LATE_TICKS: u64 = 20;

/// The share of a second's spans that may have no cell without others being turned out: both buckets of a key are full now and then.
const TOLERATED_OVERFLOW: f64 = 0.001;

/// While more are turned away, those that were idle for half as long as before make room, down to this.
const SHORTEST_IDLE: f32 = 5.0;

impl Engine {
    /// Looks at each cell and shares the budget out anew, `seconds` after the last time.
    ///
    /// # Cost
    ///
    /// O(cells), without an allocation: each is looked at three times, and the demands of the keys two or three times more.
    pub(super) fn pass(&mut self, cells: &Cells, seconds: f64, is_due: bool) {
        self.totals.passes += 1;
        let changes = self.drain(cells, seconds as f32);
        if is_due {
            self.turn_away(cells);
        }
        self.observe(cells, seconds as f32, changes);
        self.share();
        self.plan(cells);
    }

    /// Takes the counts out of the cells. Returns by how much all keys have changed together.
    fn drain(&mut self, cells: &Cells, seconds: f32) -> Changes {
        let (mut rare, mut known) = (Common::default(), Common::default());
        let (mut first_seen, mut unseen) = (0.0, 0.0);
        for slot in 0..self.states.len() {
            let Some(cell) = cells.table.occupant(slot) else {
                continue;
            };
            if self.states[slot].phase == Phase::Vacant {
                self.states[slot] = State::claimed(self.weight(cell.fingerprint()));
                self.totals.claimed += 1;
            }
            let state = &mut self.states[slot];
            let count = cells.table.drain(slot);
            self.totals.in_cells += count;
            state.recent += count as f32;
            if let Phase::Hot(_) = state.phase {
                // Late counts of the time before it had a column.
                state.estimate.add(count as f32);
            }
            if state.phase != Phase::Settled {
                continue;
            }
            if state.estimate.count() <= 0.0 {
                first_seen += state.recent.min(1.0);
                unseen += 1.0;
            }
            if !state.is_contradicted(seconds) {
                let common = if state.estimate.is_rare() {
                    &mut rare
                } else {
                    &mut known
                };
                common.add(state, f64::from(seconds));
            }
        }
        self.unseen.observe(first_seen, seconds);
        if unseen > 0.0 {
            self.usual_rate = (self.unseen.count() + 1.0) / self.unseen.seconds() / unseen;
        }
        let dispersion = self.dispersion();
        Changes {
            rare: rare.factor(dispersion) as f32,
            known: known.factor(dispersion) as f32,
        }
    }

    /// How long idle keys are kept, and how many there are without a cell.
    fn turn_away(&mut self, cells: &Cells) {
        let overflow = std::mem::take(&mut self.overflow_in_pass);
        if overflow > 0 {
            self.totals.overflow_keys = cells.turned_away.take();
        }
        self.idle_limit = if overflow as f64 > self.total_rate * TOLERATED_OVERFLOW {
            (self.idle_limit / 2.0).max(SHORTEST_IDLE)
        } else {
            (self.idle_limit * 1.1).min(LONGEST_IDLE)
        };
    }

    /// Takes in what was counted, frees the cells of idle keys, and asks the others for their demands.
    fn observe(&mut self, cells: &Cells, seconds: f32, changes: Changes) {
        let usual = self.usual_rate;
        self.demands.clear();
        self.total_rate = f64::from(self.others.own_rate());
        let mut settled_now = 0.0;
        for slot in 0..self.states.len() {
            if self.states[slot].phase == Phase::Vacant {
                continue;
            }
            let has_settled = self.states[slot].observe(seconds, changes);
            if self.states[slot].idle >= self.idle_limit {
                self.free(cells, slot);
                continue;
            }
            let state = &mut self.states[slot];
            if !state.has_budget() {
                continue;
            }
            if state.phase == Phase::Settled {
                state.rate = state.estimate.rate(usual);
            }
            if has_settled {
                settled_now += state.estimate.own_rate();
            }
            self.total_rate += f64::from(state.rate);
            self.demands.push(Demand {
                rate: state.rate,
                weight: state.weight,
            });
        }
        // Those that have a budget now are no longer among the others.
        let rate = self.others.own_rate();
        if settled_now > 0.0 && rate > 0.0 {
            self.others.scale((1.0 - settled_now / rate).max(1.0 / 64.0));
        }
    }

    /// Finds the level.
    fn share(&mut self) {
        let weights: f64 = self.demands.iter().map(|demand| f64::from(demand.weight)).sum();
        let share = self.terms.overflow_share;
        let weight = if weights > 0.0 {
            weights * share / (1.0 - share)
        } else {
            1.0
        };
        self.demands.push(Demand {
            rate: self.others.own_rate(),
            weight: weight as f32,
        });
        let budget = self.plannable();
        self.level = level::fill(&self.demands, budget, self.level);
        self.allowance = if self.level.is_finite() {
            self.level * weight
        } else {
            budget * share
        };
    }

    /// Gives each cell its threshold, and the hottest keys their columns.
    fn plan(&mut self, cells: &Cells) {
        self.settled = Outlook::default();
        let hot_rate = (self.total_rate * HOT_SHARE).max(HOT_RATE) as f32;
        for slot in 0..self.states.len() {
            let state = self.states[slot];
            match state.phase {
                Phase::Hot(_) if state.rate >= hot_rate / 2.0 => continue,
                Phase::Hot(column) => {
                    let until = self.ticks + LATE_TICKS;
                    self.owners[usize::from(column)] = Owner::Late(slot, until);
                    self.states[slot].phase = Phase::Settled;
                }
                Phase::Settled if state.rate >= hot_rate => {
                    if let Some(column) = self.free_column() {
                        self.owners[column] = Owner::Cell(slot);
                        self.states[slot].phase = Phase::Hot(column as u8);
                        cells.table.set_plan(slot, Plan::Hot(column));
                        continue;
                    }
                }
                Phase::Settled => {}
                Phase::Vacant | Phase::Claimed | Phase::Young => continue,
            }
            let probability = self.probability(f64::from(state.rate), f64::from(state.weight));
            self.states[slot].probability = probability as f32;
            self.settled.add(f64::from(state.rate), probability);
            let threshold = threshold_of_probability(probability);
            cells.table.set_plan(slot, Plan::Settled(threshold));
        }
    }

    fn free_column(&self) -> Option<usize> {
        (FIRST_HOT..COLUMNS).find(|column| matches!(self.owners[*column], Owner::Nobody))
    }

    fn free(&mut self, cells: &Cells, slot: usize) {
        if let Phase::Hot(column) = self.states[slot].phase {
            self.owners[usize::from(column)] = Owner::Late(slot, self.ticks + LATE_TICKS);
        }
        self.states[slot] = State::default();
        if let Some(cell) = cells.table.occupant(slot) {
            self.totals.in_cells += cells.table.free(cell);
            self.totals.freed += 1;
        }
    }
}

impl Common {
    fn add(&mut self, state: &State, seconds: f64) {
        let probability = f64::from(state.probability);
        self.seen += f64::from(state.recent) * probability;
        self.expected += f64::from(state.rate) * seconds * probability;
        self.squares += f64::from(state.rate) * seconds * probability * probability;
    }

    /// 1 if there is no such change.
    fn factor(&self, dispersion: f64) -> f64 {
        if self.expected <= 0.0 {
            return 1.0;
        }
        let chance = SIGMAS * (dispersion * self.squares).sqrt() + 3.0 * self.squares / self.expected;
        let factor = self.seen / self.expected;
        let is_large = !(1.0 / LEAST_CHANGE..=LEAST_CHANGE).contains(&factor);
        if is_large && (self.seen - self.expected).abs() > chance {
            factor.clamp(1.0 / MOST_CHANGE, MOST_CHANGE)
        } else {
            1.0
        }
    }
}
