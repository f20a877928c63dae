//! The part of a controller that decisions touch.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use spanwright_core::Pressure;

use super::controller::{Controller, Goal, Reading};
use super::stats::RateStats;
use super::units::{self, ONE};
use crate::counter::{Counters, ROWS, Row};
use crate::probability::Threshold;
use crate::ticker::{Tick, Waker};

/// Counts what is offered, and says what share of it to keep.
///
/// A decision loads the share, adds to its thread's row, and holds the row's count against the row's *trip*, which lies in the same
/// cache line. Only a decision that reaches it does more ([`look`](Self::look)), and adds up all rows. If the others have left
/// something of what was expected until the next tick, the row gets a part of that. If not, there is a burst: the share is halved
/// at once, and a tick is asked for that finds the right one.
///
/// Trips follow each row's part of the traffic. A service that does everything in one thread is met with the whole quota in that
/// thread's row; one whose threads take turns pays a look each time that a row has used up its part, which happens no more than
/// `rows * ln(quota)` times in a tick.
pub(super) struct Governor {
    gate: Gate,
    rows: Counters,
    watch: Watch,
    /// Whether a tick is wanted before its time.
    is_called: AtomicBool,
    waker: Mutex<Option<Waker>>,
    control: Mutex<Control>,
    pressure: Pressure,
}

/// What each decision reads. On lines of its own: the rest of a governor is written to.
#[repr(align(128))]
struct Gate {
    /// The share to keep, in [`units`], 0 at the hard ceiling; above it, the number of the plan that it is from.
    word: AtomicU64,
    /// Whether what is wanted is less than what is offered.
    has_delegate: bool,
}

/// What [`Governor::look`] holds the rows against, in [`units`] where nothing else is said.
#[derive(Default)]
struct Watch {
    /// What was wanted and expected at the last tick, and how much more may come of each.
    wanted: AtomicU64,
    quota: AtomicU64,
    expected: AtomicU64,
    ceiling: AtomicU64,
    /// The mean of what is wanted of an offered span.
    mean_wanted: AtomicU64,
    /// How many rows are in use.
    rows: AtomicU64,
    /// How many bursts there were.
    trips: AtomicU64,
}

/// What a tick knows.
struct Control {
    controller: Controller,
    totals: Totals,
    shares: [Share; ROWS],
    plans: u64,
}

/// The sums of all rows at the last tick.
#[derive(Clone, Copy, Default)]
struct Totals {
    offered: u64,
    wanted: u64,
    expected: u64,
    /// All that was expected so far, not in units, so that it does not wrap around.
    expected_kept: f64,
}

/// A row's part of the traffic.
#[derive(Clone, Copy, Default)]
struct Share {
    offered: u64,
    /// What a tick usually brings.
    usual: f64,
}

/// Asked about.
const OFFERED: usize = 0;
/// The sum of the probabilities wanted, in units; only where another sampler comes first.
const WANTED: usize = 1;
/// The sum of the probabilities given, in units.
const EXPECTED: usize = 2;
/// Dropped at the ceiling.
const LIMITED: usize = 3;
/// The count of [`OFFERED`] at which to look.
const TRIP: usize = 4;
const COLUMNS: usize = 5;

/// How fast a row's usual part follows, per tick.
const SHARE_WEIGHT: f64 = 0.2;

/// The part of the gate's word that is the share.
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
                shares: [Share::default(); ROWS],
                plans: 0,
            }),
            pressure,
        };
        governor.publish(&mut governor.control.lock());
        governor
    }

    /// The threshold at which to keep a span. `None` at the hard ceiling.
    ///
    /// # Cost
    ///
    /// A load of what all threads share, two additions and a comparison in a line that only this thread writes to. No lock, no
    /// clock, no allocation.
    #[inline(always)]
    pub(super) fn decide(&self) -> Option<Threshold> {
        self.decide_in(self.rows.own(), 1)
    }

    /// The same for `count` spans at once, in a given row.
    #[inline(always)]
    pub(super) fn decide_in(&self, row: Row<'_>, count: u64) -> Option<Threshold> {
        let factor = self.factor();
        if factor == 0 {
            return self.limit(row, count);
        }
        self.count(row, count, ONE, factor);
        Some(units::threshold(factor))
    }

    /// The threshold at which to keep a span that another sampler keeps at `wanted`, if it is known that its trace is one of those
    /// that are kept at `given`.
    pub(super) fn decide_for(&self, wanted: Threshold, given: Threshold) -> Option<Threshold> {
        let row = self.rows.own();
        let factor = self.factor();
        if factor == 0 {
            return self.limit(row, 1);
        }
        let threshold = units::lower(wanted, factor);
        self.count(row, 1, units::given(wanted, given), units::given(threshold, given));
        Some(threshold)
    }

    /// What would be decided. Counts nothing.
    pub(super) fn rehearse(&self, wanted: Threshold) -> Option<Threshold> {
        let factor = self.factor();
        (factor > 0).then(|| units::lower(wanted, factor))
    }

    /// Another sampler drops the span.
    pub(super) fn note_unwanted(&self) {
        self.count(self.rows.own(), 1, 0, 0);
    }

    /// The span follows one that was kept, or not.
    pub(super) fn note_follower(&self, is_kept: bool) {
        let wanted = self.watch.mean_wanted.load(Ordering::Relaxed);
        self.count(self.rows.own(), 1, wanted, if is_kept { ONE } else { 0 });
    }

    /// Whether a burst or another goal asks for a tick before its time.
    pub(super) fn wants_tick(&self) -> bool {
        // Relaxed: a flag that stands alone.
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
        let fresh = self.read().since(&control.totals);
        RateStats {
            offered: self.rows.sum(OFFERED),
            expected_kept: control.totals.expected_kept + fresh.expected,
            limited: self.rows.sum(LIMITED),
            probability: units::to_f64(self.factor()),
            threshold: self.rehearse(Threshold::ALWAYS),
            estimated_per_second: control.controller.rate(),
            pressure: self.pressure.get(),
            trips: self.watch.trips.load(Ordering::Relaxed),
        }
    }

    /// A row, for tests that take the part of all threads.
    #[cfg(test)]
    pub(super) fn row(&self, index: usize) -> Row<'_> {
        self.rows.row(index)
    }

    #[inline(always)]
    fn factor(&self) -> u64 {
        // Relaxed: a decision needs nothing else of the plan.
        self.gate.word.load(Ordering::Relaxed) & FACTOR
    }

    #[cold]
    fn limit(&self, row: Row<'_>, count: u64) -> Option<Threshold> {
        row.add(OFFERED, count);
        row.add(LIMITED, count);
        None
    }

    #[inline(always)]
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
    ///
    /// The loads and stores of the watch are relaxed: two threads that look at the same time may give away a row's part of the
    /// quota twice, which the next look sees.
    #[cold]
    fn look(&self, row: Row<'_>, offered: u64) {
        let watch = &self.watch;
        // Acquire, with the release in `publish`: the watch is at least as new as the plan in the gate.
        let word = self.gate.word.load(Ordering::Acquire);
        let factor = word & FACTOR;
        let sums = self.read();
        let wanted = sums.wanted.wrapping_sub(watch.wanted.load(Ordering::Relaxed));
        let expected = sums.expected.wrapping_sub(watch.expected.load(Ordering::Relaxed));
        let quota = watch.quota.load(Ordering::Relaxed);
        let ceiling = watch.ceiling.load(Ordering::Relaxed).saturating_sub(expected);

        let (mut room, mut next) = (quota.saturating_sub(wanted), factor);
        if ceiling == 0 {
            next = 0;
        } else if room == 0 {
            // Half of the share for as many as came so far, and so on, until a tick knows better. Without a clock it cannot be told
            // by how much this is too many; this way, a hundred times as many keep no more than eight times as much.
            (room, next) = (quota, (factor / 2).max(1));
        }
        if next != factor {
            // If it fails, another thread has done the same, or a tick has done better.
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            let exchange = self
                .gate
                .word
                .compare_exchange(word, word - factor + next, success, failure);
            if exchange.is_ok() {
                watch.quota.store(quota.saturating_mul(2), Ordering::Relaxed);
                watch.trips.fetch_add(1, Ordering::Relaxed);
                self.call();
            }
        }
        let room = units::to_f64(room).min(ceiling as f64 / next.max(1) as f64);
        let offers = room / units::to_f64(watch.mean_wanted.load(Ordering::Relaxed));
        let part = offers / watch.rows.load(Ordering::Relaxed) as f64;
        row.set(TRIP, offered.saturating_add((part as u64).max(1)));
    }

    /// Asks for a tick, once until it comes.
    fn call(&self) {
        // Relaxed: a flag that stands alone.
        if self.is_called.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }

    fn read(&self) -> Totals {
        let offered = self.rows.sum(OFFERED);
        Totals {
            offered,
            wanted: if self.gate.has_delegate {
                self.rows.sum(WANTED)
            } else {
                offered.wrapping_mul(ONE)
            },
            expected: self.rows.sum(EXPECTED),
            expected_kept: 0.0,
        }
    }

    /// Makes the controller's plan the one that decisions follow.
    fn publish(&self, control: &mut Control) {
        let plan = control.controller.plan();
        let (watch, totals) = (&self.watch, &control.totals);
        let shares = control.shares.iter().map(|share| share.usual);
        let all: f64 = shares.clone().sum();
        // Half a span per tick is use; and one more, for a row that comes into use.
        let rows = 1 + shares.filter(|usual| *usual >= 0.5).count() as u64;
        let mean_wanted = units::from_f64(plan.mean_wanted).max(1);
        watch.wanted.store(totals.wanted, Ordering::Relaxed);
        watch.quota.store(units::from_f64(plan.quota).max(1), Ordering::Relaxed);
        watch.expected.store(totals.expected, Ordering::Relaxed);
        watch.ceiling.store(units::from_f64(plan.ceiling), Ordering::Relaxed);
        watch.mean_wanted.store(mean_wanted, Ordering::Relaxed);
        watch.rows.store(rows, Ordering::Relaxed);

        control.plans += 1;
        let is_open = units::from_f64(plan.ceiling) > 0;
        let factor = if is_open {
            units::from_f64(plan.factor).clamp(1, ONE)
        } else {
            0
        };
        // Release: whoever sees this plan's number sees the watch that belongs to it, or a newer one.
        self.gate
            .word
            .store(control.plans << units::BITS << 1 | factor, Ordering::Release);

        let offers = plan.quota.min(plan.ceiling / plan.factor) / units::to_f64(mean_wanted);
        for (index, share) in control.shares.iter().enumerate() {
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
        // Before the rows are read: a call that comes meanwhile must not be lost.
        self.is_called.store(false, Ordering::Relaxed);
        let totals = self.read();
        let reading = totals.since(&control.totals);
        control.totals = Totals {
            expected_kept: control.totals.expected_kept + reading.expected,
            ..totals
        };
        for (index, share) in control.shares.iter_mut().enumerate() {
            let offered = self.rows.row(index).get(OFFERED);
            let fresh = offered.wrapping_sub(share.offered) as f64;
            *share = Share {
                offered,
                usual: share.usual + (fresh - share.usual) * SHARE_WEIGHT,
            };
        }
        control.controller.tick(now, reading, self.pressure.get());
        self.publish(control);
    }

    fn attach(&self, waker: Waker) {
        *self.waker.lock() = Some(waker);
    }
}

impl Totals {
    fn since(&self, earlier: &Self) -> Reading {
        let amount = |now: u64, then: u64| units::to_f64(now.wrapping_sub(then));
        Reading {
            offered: self.offered.wrapping_sub(earlier.offered) as f64,
            wanted: amount(self.wanted, earlier.wanted),
            expected: amount(self.expected, earlier.expected),
        }
    }
}

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governor")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
