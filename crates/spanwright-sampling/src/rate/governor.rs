//! The part of a controller that decisions touch.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use spanwright_core::Pressure;

use super::controller::{Controller, Goal, Reading};
use super::stats::RateStats;
use crate::counter::{Counters, ROWS, Row};
use crate::probability::{RANGE, Threshold};
use crate::ticker::{Tick, Waker};

/// Counts what is offered and says what share of it to keep.
///
/// A decision loads the share, counts in its thread's row, and holds the row's count against the row's *trip*, which is in the
/// same cache line. Only a decision that reaches the trip does more ([`look`](Self::look)): it adds up all rows. If other rows
/// have left enough of what was expected in this tick, the row gets a part of that; if not, there is a burst, the share is halved
/// at once, and a tick is asked for that finds the right one.
pub(super) struct Governor {
    gate: Gate,
    rows: Counters,
    watch: Watch,
    /// Whether an early tick is wanted.
    is_called: AtomicBool,
    waker: Mutex<Option<Waker>>,
    control: Mutex<Control>,
    pressure: Pressure,
}

/// The share to keep, [`ONE`] being everything and 0 nothing, below the number of the plan that it is from.
///
/// On a line of its own: every decision reads it, and the rest of a governor is written to.
#[repr(align(128))]
struct Gate {
    word: AtomicU64,
    /// Whether what is wanted differs from what is offered.
    has_delegate: bool,
}

/// What [`Governor::look`] holds the rows against. Read beside the way of decisions only.
#[derive(Default)]
struct Watch {
    /// The sum of the rows' wanted and expected at the tick, and how much more there may be, all in units of [`ONE`].
    wanted: AtomicU64,
    quota: AtomicU64,
    expected: AtomicU64,
    ceiling: AtomicU64,
    /// The mean of what one offer wants.
    mean: AtomicU64,
    /// How many rows are in use.
    rows: AtomicU64,
    trips: AtomicU64,
}

struct Control {
    controller: Controller,
    totals: Totals,
    rows: [Share; ROWS],
    plans: u64,
}

#[derive(Clone, Copy, Default)]
struct Share {
    offered: u64,
    /// Offers per tick, of late.
    usual: f64,
}

/// The sums of all rows at the last tick.
#[derive(Clone, Copy, Default)]
struct Totals {
    offered: u64,
    wanted: u64,
    expected: u64,
    /// What has been expected so far, not in units, so that it does not wrap around.
    expected_kept: f64,
}

/// Asked about.
const OFFERED: usize = 0;
/// Sum of the probabilities wanted, only where another sampler comes first.
const WANTED: usize = 1;
/// Sum of the probabilities given.
const EXPECTED: usize = 2;
/// Dropped at the ceiling.
const LIMITED: usize = 3;
/// The count of offers at which to look.
const TRIP: usize = 4;
const COLUMNS: usize = 5;

/// A probability of 1. Thresholds are made of whole units of it, so that their sum is exact; a row's sum wraps around after four
/// billion, which is seen as a difference from tick to tick only.
const ONE: u64 = 1 << UNIT_BITS;
const UNIT_BITS: u32 = 32;
/// From units to the 56 bits of a threshold.
const SHIFT: u32 = 56 - UNIT_BITS;
const FACTOR: u64 = (ONE << 1) - 1;

impl Governor {
    pub(super) fn new(goal: Goal, has_delegate: bool, pressure: Pressure) -> Self {
        let governor = Self {
            gate: Gate {
                word: AtomicU64::new(ONE),
                has_delegate,
            },
            rows: Counters::new(COLUMNS),
            watch: Watch::default(),
            is_called: AtomicBool::new(false),
            waker: Mutex::new(None),
            control: Mutex::new(Control {
                controller: Controller::new(goal),
                totals: Totals::default(),
                rows: [Share::default(); ROWS],
                plans: 0,
            }),
            pressure,
        };
        governor.publish(&mut governor.control.lock());
        governor
    }

    /// At what threshold to keep a span that somebody else would keep at `wanted`, or would not keep. `None` at the hard ceiling.
    ///
    /// # Cost
    ///
    /// Two loads, two additions in a row that only this thread writes to, a comparison. No lock, no clock, no allocation.
    pub(super) fn decide(&self, wanted: Threshold) -> Option<Threshold> {
        self.decide_in(self.rows.own(), wanted, 1)
    }

    /// What would be decided. Counts nothing.
    pub(super) fn rehearse(&self, wanted: Threshold) -> Option<Threshold> {
        Some(self.gate.factor())
            .filter(|factor| *factor > 0)
            .map(|factor| lower(wanted, factor))
    }

    /// A span was asked about that is dropped, or kept, for another reason.
    pub(super) fn note(&self, is_kept: bool) {
        self.count(self.rows.own(), 1, 0, if is_kept { ONE } else { 0 });
    }

    /// Decides about `count` spans at once, in a given row.
    pub(super) fn decide_in(&self, row: Row<'_>, wanted: Threshold, count: u64) -> Option<Threshold> {
        let factor = self.gate.factor();
        if factor == 0 {
            row.add(OFFERED, count);
            row.add(LIMITED, count);
            return None;
        }
        let threshold = lower(wanted, factor);
        self.count(row, count, units_of(wanted), units_of(threshold));
        Some(threshold)
    }

    fn count(&self, row: Row<'_>, count: u64, wanted: u64, expected: u64) {
        if self.gate.has_delegate {
            row.add(WANTED, wanted.wrapping_mul(count));
        }
        row.add(EXPECTED, expected.wrapping_mul(count));
        let offered = row.add(OFFERED, count);
        if offered >= row.get(TRIP) {
            self.look(row, offered);
        }
    }

    /// Whether all that was expected until the next tick has come already.
    #[cold]
    fn look(&self, row: Row<'_>, offered: u64) {
        let watch = &self.watch;
        // Acquire: with the release in `publish`, the watch is at least as new as the plan in the gate.
        let gate = self.gate.word.load(Ordering::Acquire);
        let factor = gate & FACTOR;
        let wanted = self.wanted().wrapping_sub(watch.wanted.load(Ordering::Relaxed));
        let expected = self
            .rows
            .sum(EXPECTED)
            .wrapping_sub(watch.expected.load(Ordering::Relaxed));
        let quota = watch.quota.load(Ordering::Relaxed);
        let ceiling_left = watch.ceiling.load(Ordering::Relaxed).saturating_sub(expected);

        let (mut room, mut next) = (quota.saturating_sub(wanted), factor);
        if ceiling_left == 0 {
            next = 0;
        } else if room == 0 {
            // Half of the share for the next as many, and so on, until a tick knows better: without a clock it cannot be told how
            // much too much it is, and this way even a hundred times as much is kept no more than seven times.
            (room, next) = (quota, (factor / 2).max(1));
        }
        if next != factor {
            // Relaxed: nothing is published by it. If it fails, another thread has done the same, or a tick has done better.
            let order = Ordering::Relaxed;
            if self
                .gate
                .word
                .compare_exchange(gate, gate - factor + next, order, order)
                .is_ok()
            {
                watch.quota.store(quota.saturating_mul(2), Ordering::Relaxed);
                watch.trips.fetch_add(1, Ordering::Relaxed);
                self.call();
            }
        }
        let offers = (room as f64).min(ceiling_left as f64 / next.max(1) as f64 * ONE as f64)
            / watch.mean.load(Ordering::Relaxed).max(1) as f64;
        let part = offers / watch.rows.load(Ordering::Relaxed).max(1) as f64;
        row.set(TRIP, offered.saturating_add((part as u64).max(1)));
    }

    fn call(&self) {
        // Relaxed: a flag that stands alone.
        if !self.is_called.swap(true, Ordering::Relaxed) {
            if let Some(waker) = &*self.waker.lock() {
                waker.wake();
            }
        }
    }

    /// Whether a burst asks for a tick ahead of time.
    pub(super) fn wants_tick(&self) -> bool {
        self.is_called.load(Ordering::Relaxed)
    }

    pub(super) fn goal(&self) -> Goal {
        self.control.lock().controller.goal()
    }

    pub(super) fn change_goal(&self, change: impl FnOnce(&mut Goal)) {
        let mut control = self.control.lock();
        let mut goal = control.controller.goal();
        change(&mut goal);
        control.controller.set_goal(goal);
        drop(control);
        self.call();
    }

    pub(super) fn stats(&self) -> RateStats {
        let control = self.control.lock();
        let fresh = self.since(&control.totals);
        let factor = self.gate.factor();
        RateStats {
            offered: self.rows.sum(OFFERED),
            expected_kept: control.totals.expected_kept + fresh.expected,
            limited: self.rows.sum(LIMITED),
            probability: factor as f64 / ONE as f64,
            threshold: self.rehearse(Threshold::ALWAYS),
            estimated_per_second: control.controller.rate(),
            pressure: self.pressure.get(),
            trips: self.watch.trips.load(Ordering::Relaxed),
        }
    }

    /// The sum of what was wanted, in units; wraps around.
    fn wanted(&self) -> u64 {
        if self.gate.has_delegate {
            self.rows.sum(WANTED)
        } else {
            self.rows.sum(OFFERED).wrapping_mul(ONE)
        }
    }

    fn since(&self, totals: &Totals) -> Reading {
        let amount = |now: u64, then: u64| now.wrapping_sub(then) as f64 / ONE as f64;
        Reading {
            offered: self.rows.sum(OFFERED).wrapping_sub(totals.offered) as f64,
            wanted: amount(self.wanted(), totals.wanted),
            expected: amount(self.rows.sum(EXPECTED), totals.expected),
        }
    }

    fn publish(&self, control: &mut Control) {
        let plan = control.controller.plan();
        let (watch, totals) = (&self.watch, &control.totals);
        let all: f64 = control.rows.iter().map(|row| row.usual).sum();
        let used = control.rows.iter().filter(|row| row.usual >= 0.5).count();
        watch.wanted.store(totals.wanted, Ordering::Relaxed);
        watch.expected.store(totals.expected, Ordering::Relaxed);
        watch.quota.store(units(plan.quota).max(1), Ordering::Relaxed);
        watch.ceiling.store(units(plan.ceiling), Ordering::Relaxed);
        watch.mean.store(units(plan.mean_wanted).max(1), Ordering::Relaxed);
        // One more, for a row that begins to be used.
        watch.rows.store(used as u64 + 1, Ordering::Relaxed);

        control.plans += 1;
        let factor = if units(plan.ceiling) == 0 {
            0
        } else {
            units(plan.factor).clamp(1, ONE)
        };
        // Release: whoever sees this plan's number sees the watch that belongs to it, or a newer one.
        let gate = (control.plans << (UNIT_BITS + 1)) | factor;
        self.gate.word.store(gate, Ordering::Release);

        let offers = plan.quota.min(plan.ceiling / plan.factor) / plan.mean_wanted.max(1.0 / ONE as f64);
        for (index, share) in control.rows.iter().enumerate() {
            let part = if all > 0.0 { offers * share.usual / all } else { 0.0 };
            self.rows
                .row(index)
                .set(TRIP, share.offered.saturating_add((part as u64).max(1)));
        }
    }
}

impl Tick for Governor {
    fn tick(&self, now: Instant) {
        let control = &mut *self.control.lock();
        self.is_called.store(false, Ordering::Relaxed);
        let reading = self.since(&control.totals);
        let (wanted, expected) = (self.wanted(), self.rows.sum(EXPECTED));
        control.totals = Totals {
            offered: self.rows.sum(OFFERED),
            wanted,
            expected,
            expected_kept: control.totals.expected_kept + reading.expected,
        };
        for (index, share) in control.rows.iter_mut().enumerate() {
            let offered = self.rows.row(index).get(OFFERED);
            let fresh = offered.wrapping_sub(share.offered) as f64;
            *share = Share {
                offered,
                usual: share.usual + (fresh - share.usual) * 0.2,
            };
        }
        control.controller.tick(now, reading, self.pressure.get());
        self.publish(control);
    }

    fn attach(&self, waker: Waker) {
        *self.waker.lock() = Some(waker);
    }
}

impl Gate {
    fn factor(&self) -> u64 {
        // Relaxed: a decision needs nothing else of the plan.
        self.word.load(Ordering::Relaxed) & FACTOR
    }
}

/// The threshold that keeps the share `factor` of what `wanted` keeps.
fn lower(wanted: Threshold, factor: u64) -> Threshold {
    if factor == ONE {
        return wanted;
    }
    let share = if wanted == Threshold::ALWAYS {
        factor
    } else {
        // Both are below 2^32 + 1, and one of them below 2^32.
        ((units_of(wanted) * factor) >> UNIT_BITS).max(1)
    };
    Threshold::from_bits(RANGE - (share << SHIFT)).unwrap_or(wanted)
}

/// The probability of a threshold, in units, never 0.
fn units_of(threshold: Threshold) -> u64 {
    ((RANGE - threshold.bits()) >> SHIFT).max(1)
}

fn units(amount: f64) -> u64 {
    (amount * ONE as f64) as u64
}

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governor")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
