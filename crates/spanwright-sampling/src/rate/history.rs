//! How much was offered lately, and since when that says something about now.

use std::time::Duration;

use super::dispersion::Dispersion;

/// The rate of a stream of arrivals of which only counts are known.
///
/// Counts are remembered as slots, fine ones for the last second and coarser ones for what is older, for 5 seconds, or up to a
/// minute where that many are needed for a good mean. Three questions are asked at every tick:
///
/// 1. *Has the rate changed?* The arrivals of the last tick, two ticks, half a second and so on up to ten seconds are held
///    against those before. What differs by more than four standard deviations is a change, and all before it is forgotten.
/// 2. *Since when does the mean say something about now?* Since the longest time in which no shorter one differs by more than 2.5.
///    This follows what drifts and has no step in it.
/// 3. *Where does it go?* The slope within that time, as far as it is certain, leads to the middle of the next tick.
///
/// A standard deviation is that of a Poisson process by the root of the [`Dispersion`].
///
/// # Source
///
/// The second is Lepski's method (1991) for choosing a bandwidth; the third is positive-part shrinkage (James and Stein, 1961).
#[derive(Debug)]
pub(super) struct History {
    /// The oldest first.
    slots: Vec<Slot>,
    dispersion: Dispersion,
    /// What says something about now.
    current: Slot,
    /// By what its mean is multiplied to be that of the next tick.
    trend: f64,
}

/// So many arrivals in so much time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) seconds: f64,
    pub(super) count: f64,
}

/// What came since a slot.
#[derive(Clone, Copy, Debug)]
struct Suffix {
    start: usize,
    sum: Slot,
}

/// One for each age, one for the newest slot, one for everything.
#[derive(Debug)]
struct Suffixes {
    found: [Suffix; AGES.len() + 2],
    count: usize,
}

/// The width of the newest slots, in seconds: the usual interval of ticks.
pub(super) const GRAIN: f64 = 0.1;

/// Older slots may be as wide as this share of their age, which makes 45 of a minute.
const COARSENESS: f64 = 0.125;

/// The most slots that are held: more come only from early ticks.
const MAX_SLOTS: usize = 50;

/// The least and the most that is remembered, in seconds.
const MIN_SPAN: f64 = 5.0;
const MAX_SPAN: f64 = 60.0;

/// Arrivals that make a good mean: with 400 its standard deviation is 5 %.
const ENOUGH: f64 = 400.0;

/// Ages, in seconds, at which newer arrivals are held against older ones.
const AGES: [f64; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Standard deviations that make a change. Ages times ticks are 70 questions a second: with 3, one is answered wrong every five
/// seconds.
const CHANGE: f64 = 4.0;

/// Standard deviations that end what says something about now. An error here costs precision for a tick and no memory.
const DRIFT: f64 = 2.5;

/// How certain a slope must be: by this many times its variance its square is lowered. With 4, a sine of 20 seconds is followed
/// half as well; with 0, the seconds of a constant rate stray by a quarter more.
const SHRINKAGE: f64 = 1.0;

impl History {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::with_capacity(MAX_SLOTS + 1),
            dispersion: Dispersion::new(),
            current: Slot::EMPTY,
            trend: 1.0,
        }
    }

    /// `count` arrivals came in the time since the last call.
    pub(super) fn observe(&mut self, elapsed: Duration, count: f64) {
        let new = Slot {
            seconds: elapsed.as_secs_f64(),
            count,
        };
        let expected = self.current.rate().map(|rate| rate * self.trend);
        self.slots.push(new);
        self.forget_what_has_changed();
        self.dispersion.observe(new, expected);
        self.compact();
        let start = self.find_current();
        self.current = sum(&self.slots[start..]);
        self.trend = self.find_trend(start);
    }

    /// The rate now, in arrivals per second: `(n + phi) / t`, with the trend. 0 before anything was observed.
    ///
    /// Not `n / t`, because its inverse is what is used: for a Poisson process `E[t / (n + 1)] = 1 / rate`, while `t / n` is too
    /// large on average, by a fifth where five are expected, and without bound where none came.
    pub(super) fn rate(&self) -> f64 {
        if self.slots.is_empty() {
            return 0.0;
        }
        (self.current.count + self.dispersion()) / self.current.seconds * self.trend
    }

    /// The variance of counts by their mean, at least 1.
    pub(super) const fn dispersion(&self) -> f64 {
        self.dispersion.factor()
    }

    /// Arrivals since the last change, as far as they are remembered.
    pub(super) fn count(&self) -> f64 {
        sum(&self.slots).count
    }

    /// What came since each of [`AGES`], the newest first, everything last.
    fn suffixes(&self) -> Suffixes {
        let mut suffixes = Suffixes::default();
        let mut newer = Slot::EMPTY;
        let mut age = 0;
        for (index, slot) in self.slots.iter().enumerate().rev() {
            let mut is_due = newer.seconds == 0.0 || index == 0;
            newer = newer.plus(*slot);
            while age < AGES.len() && newer.seconds >= 0.95 * AGES[age] {
                is_due = true;
                age += 1;
            }
            if is_due {
                suffixes.found[suffixes.count] = Suffix {
                    start: index,
                    sum: newer,
                };
                suffixes.count += 1;
            }
        }
        suffixes
    }

    /// Finds the age at which the newer arrivals differ the most from the older ones, and forgets the older ones if that is more
    /// than chance makes.
    fn forget_what_has_changed(&mut self) {
        let all = sum(&self.slots);
        let mut change = None;
        let mut largest = 1.0;
        for Suffix { start, sum: newer } in self.suffixes().iter().filter(|suffix| suffix.start > 0) {
            let older = Slot {
                seconds: all.seconds - newer.seconds,
                count: all.count - newer.count,
            };
            let expected = older.count / older.seconds * newer.seconds;
            // What chance makes if both have one rate: of the newer count itself, and of the older one that predicts it.
            let variance = all.count / all.seconds * newer.seconds * (1.0 + newer.seconds / older.seconds);
            let limit = CHANGE * (self.dispersion() * variance + 1.0).sqrt() + 2.0;
            let excess = (newer.count - expected).abs() / limit;
            if excess > largest {
                largest = excess;
                change = Some((*start, newer.count > expected));
            }
        }
        if let Some((start, is_up)) = change {
            self.slots.drain(..start);
            self.dispersion.change(is_up);
        }
    }

    /// Forgets what is too old, and joins old neighbours.
    fn compact(&mut self) {
        let all = sum(&self.slots);
        let needed = ENOUGH * self.dispersion() / (all.count / all.seconds);
        let span = needed.clamp(MIN_SPAN, MAX_SPAN);
        let (mut age, mut index) = (0.0, self.slots.len());
        while index > 0 {
            index -= 1;
            if age >= span {
                self.slots.drain(..=index);
                break;
            }
            let slot = self.slots[index];
            // What is younger than a tick stays apart: a burst begins somewhere in it.
            let width = if age < 0.95 * GRAIN {
                0.0
            } else {
                (COARSENESS * age).max(1.05 * GRAIN)
            };
            match index.checked_sub(1).map(|before| self.slots[before]) {
                Some(older) if older.seconds + slot.seconds <= width => {
                    self.slots[index - 1] = older.plus(slot);
                    self.slots.remove(index);
                }
                _ => age += slot.seconds,
            }
        }
        while self.slots.len() > MAX_SLOTS {
            let newest = self.slots.pop().unwrap_or(Slot::EMPTY);
            if let Some(last) = self.slots.last_mut() {
                *last = last.plus(newest);
            }
        }
    }

    /// Since when, at the longest, the rate has been what it is in each shorter time.
    fn find_current(&self) -> usize {
        let suffixes = self.suffixes();
        let fits = |place: usize| {
            let all = suffixes.found[place].sum;
            let rate = all.count / all.seconds;
            suffixes.found[..place].iter().all(|Suffix { sum: newer, .. }| {
                let mean = rate * newer.seconds;
                let variance = self.dispersion() * mean * (1.0 - newer.seconds / all.seconds);
                (newer.count - mean).abs() <= DRIFT * (variance + 1.0).sqrt()
            })
        };
        let longest = (0..suffixes.count).rev().find(|place| fits(*place)).unwrap_or(0);
        suffixes.found[longest].start
    }

    /// By what the rate in the middle of the next tick differs from the mean since `start`.
    fn find_trend(&self, start: usize) -> f64 {
        let slots = &self.slots[start..];
        let all = self.current;
        let rate = all.count / all.seconds;
        if slots.len() < 4 || rate <= 0.0 {
            return 1.0;
        }
        // The regression of the rate on the time, which is counted from the middle.
        let (mut time, mut moment, mut spread) = (-all.seconds / 2.0, 0.0, 0.0);
        for slot in slots {
            time += slot.seconds / 2.0;
            moment += time * (slot.count - rate * slot.seconds);
            spread += time * time * slot.seconds;
            time += slot.seconds / 2.0;
        }
        let slope = moment / spread;
        let variance = self.dispersion() * rate / spread;
        let certainty = (1.0 - SHRINKAGE * variance / (slope * slope)).max(0.0);
        let ahead = (all.seconds + GRAIN) / 2.0;
        (1.0 + certainty * slope * ahead / rate).clamp(0.5, 2.0)
    }
}

impl Suffixes {
    fn iter(&self) -> std::slice::Iter<'_, Suffix> {
        self.found[..self.count].iter()
    }
}

impl Default for Suffixes {
    fn default() -> Self {
        let none = Suffix {
            start: 0,
            sum: Slot::EMPTY,
        };
        Self {
            found: [none; AGES.len() + 2],
            count: 0,
        }
    }
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        seconds: 0.0,
        count: 0.0,
    };

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            count: self.count + other.count,
        }
    }

    fn rate(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.count / self.seconds)
    }
}

fn sum(slots: &[Slot]) -> Slot {
    slots.iter().copied().fold(Slot::EMPTY, Slot::plus)
}
