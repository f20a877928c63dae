//! How much was offered lately, and since when that says something about now.

use std::time::Duration;

/// The rate of a stream of arrivals, of which only counts are known.
///
/// Arrivals are remembered as slots (a time, a count): fine ones for the newest, coarser ones for the older. All that was before
/// the last change of the rate is forgotten, so that the mean over what is left is an estimate of now.
#[derive(Debug)]
pub(super) struct History {
    /// The oldest first.
    slots: Vec<Slot>,
    /// Whether the newest slot is shorter than a tick and takes what comes next.
    dispersion: Dispersion,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    seconds: f64,
    count: f64,
}

/// How clumped arrivals are: the variance of counts by their mean (the Fano factor), 1 for a Poisson process.
#[derive(Debug)]
struct Dispersion {
    /// What has come since the last full tick.
    open: Slot,
    squares: f64,
    means: f64,
}

/// The grain of the newest slots, in seconds: the interval of ticks.
const GRAIN: f64 = 0.1;

/// Slots older than this many seconds may be coarser, up to this share of their age.
const COARSENESS: f64 = 0.125;

/// The most slots that are held.
const MAX_SLOTS: usize = 50;

/// The least and the most that is remembered, in seconds.
const MIN_SPAN: f64 = 5.0;
const MAX_SPAN: f64 = 60.0;

/// Arrivals that make a good estimate: with 400 its standard deviation is 5 %.
const ENOUGH: f64 = 400.0;

/// Ages, in seconds, at which the newer arrivals are held against the older ones.
const AGES: [f64; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Standard deviations that make a change.
const SIGNIFICANCE: f64 = 4.0;

impl History {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::with_capacity(MAX_SLOTS + 1),
            dispersion: Dispersion::new(),
        }
    }

    /// `count` arrivals came in the time since the last call. Returns whether the rate has changed.
    pub(super) fn observe(&mut self, elapsed: Duration, count: f64) -> bool {
        let new = Slot {
            seconds: elapsed.as_secs_f64(),
            count,
        };
        self.dispersion.observe(new, self.mean());
        self.merge_or_push(new);
        let changed = self.forget_what_has_changed();
        self.compact();
        changed
    }

    /// The rate now, in arrivals per second: `(n + phi) / t`.
    ///
    /// Not `n / t`, because its inverse is what is used: for a Poisson process `E[t / (n + 1)] = 1 / rate`, while `t / n` is too
    /// large on average, by a fifth where five are expected, and without bound where none came.
    pub(super) fn rate(&self) -> f64 {
        let total = self.total();
        if total.seconds <= 0.0 {
            return 0.0;
        }
        (total.count + self.dispersion()) / total.seconds
    }

    /// The Fano factor, at least 1.
    pub(super) fn dispersion(&self) -> f64 {
        self.dispersion.factor()
    }

    /// Arrivals since the last change, as far as they are remembered.
    pub(super) fn count(&self) -> f64 {
        self.total().count
    }

    fn mean(&self) -> Option<f64> {
        let total = self.total();
        (total.seconds > 0.0).then(|| total.count / total.seconds)
    }

    fn total(&self) -> Slot {
        self.slots.iter().copied().fold(Slot::default(), Slot::plus)
    }

    fn merge_or_push(&mut self, new: Slot) {
        match self.slots.last_mut() {
            Some(newest) if newest.seconds + new.seconds <= GRAIN * 1.05 && new.seconds < GRAIN / 2.0 => {
                *newest = newest.plus(new);
            }
            _ => self.slots.push(new),
        }
    }

    /// Finds the age at which the newer arrivals differ the most from the older ones, and forgets the older ones if that is more
    /// than chance makes.
    fn forget_what_has_changed(&mut self) -> bool {
        let all = self.total();
        let dispersion = self.dispersion();
        let (mut newer, mut ages) = (Slot::default(), AGES.into_iter().peekable());
        let mut change = None;
        let mut largest = 1.0;
        for (index, slot) in self.slots.iter().enumerate().skip(1).rev() {
            newer = newer.plus(*slot);
            let is_newest = index + 1 == self.slots.len();
            let mut is_due = is_newest;
            while ages.next_if(|age| newer.seconds >= age * 0.95).is_some() {
                is_due = true;
            }
            if !is_due {
                continue;
            }
            let older = Slot {
                seconds: all.seconds - newer.seconds,
                count: all.count - newer.count,
            };
            let expected = older.count / older.seconds * newer.seconds;
            // What chance makes if both have one rate: of the newer count itself, and of the older one that predicts it.
            let variance = all.count / all.seconds * newer.seconds * (1.0 + newer.seconds / older.seconds);
            let limit = SIGNIFICANCE * (dispersion * variance + 1.0).sqrt() + 2.0;
            let excess = (newer.count - expected).abs() / limit;
            if excess > largest {
                (largest, change) = (excess, Some(index));
            }
        }
        if let Some(index) = change {
            self.slots.drain(..index);
        }
        change.is_some()
    }

    /// Forgets what is too old, and joins old neighbours.
    fn compact(&mut self) {
        let span = self.span();
        let (mut age, mut index) = (0.0, self.slots.len());
        while index > 0 {
            index -= 1;
            if age >= span {
                self.slots.drain(..=index);
                break;
            }
            let slot = self.slots[index];
            if let Some(older) = index.checked_sub(1).map(|index| self.slots[index]) {
                if slot.seconds + older.seconds <= age * COARSENESS {
                    self.slots[index - 1] = older.plus(slot);
                    self.slots.remove(index);
                    continue;
                }
            }
            age += slot.seconds;
        }
        while self.slots.len() > MAX_SLOTS {
            self.slots.remove(0);
        }
    }

    /// How far back to remember: until there is enough for a good estimate.
    fn span(&self) -> f64 {
        let rate = self.mean().unwrap_or(0.0);
        (ENOUGH * self.dispersion() / rate.max(f64::MIN_POSITIVE)).clamp(MIN_SPAN, MAX_SPAN)
    }
}

impl Slot {
    fn plus(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            count: self.count + other.count,
        }
    }
}

impl Dispersion {
    /// What is remembered after a tick.
    const MEMORY: f64 = 0.98;
    /// Arrivals that speak for a Poisson process before any have come.
    const PRIOR: f64 = 5.0;
    /// The most standard deviations that one tick counts for, so that a single step does not look like a habit.
    const CLAMP: f64 = 10.0;

    const fn new() -> Self {
        Self {
            open: Slot {
                seconds: 0.0,
                count: 0.0,
            },
            squares: 0.0,
            means: 0.0,
        }
    }

    fn observe(&mut self, new: Slot, rate: Option<f64>) {
        self.open = self.open.plus(new);
        let Some(rate) = rate.filter(|_| self.open.seconds >= GRAIN * 0.9) else {
            return;
        };
        let open = std::mem::take(&mut self.open);
        let mean = rate * open.seconds;
        let square = (open.count - mean).powi(2);
        let most = Self::CLAMP.powi(2) * self.factor() * (mean + 1.0);
        let memory = Self::MEMORY.powf(open.seconds / GRAIN);
        self.squares = self.squares * memory + square.min(most);
        self.means = self.means * memory + mean;
    }

    fn factor(&self) -> f64 {
        ((self.squares + Self::PRIOR) / (self.means + Self::PRIOR)).max(1.0)
    }
}
