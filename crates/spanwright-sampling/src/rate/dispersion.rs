//! How far counts may stray by chance.

use super::history::{GRAIN, Slot};

/// How clumped arrivals are: the variance of counts by their mean (the Fano factor), 1 for a Poisson process.
///
/// Without it, clumped traffic looks like a rate that changes all the time. A controller that takes every clump for a new rate
/// keeps 44 % too few.
#[derive(Debug)]
pub(super) struct Dispersion {
    factor: f64,
    /// What has come since the last full tick.
    open: Slot,
    /// Seconds since the rate last changed, and whether upwards.
    since_change: f64,
    was_up: bool,
}

/// How much a tick counts for: what was is forgotten within five seconds.
const WEIGHT: f64 = 0.02;

/// The most that a tick counts for, as a multiple of the factor: one step does not make a habit, but one clump after the other
/// does, within a few. With 10, traffic that is on and off each second is understood too late to keep its mean within 3 % over the
/// first minute.
const MAX_SURPRISE: f64 = 100.0;

/// Changes that take each other back within so many seconds are no changes of the rate but what the traffic is like: on and off
/// each second, say.
const REVERSAL_SECONDS: f64 = 2.5;

/// By how much a reversal raises the factor. Without it, the mean of traffic that is on and off each second is a quarter too low;
/// with 2, it is so for longer than the suite grants. With 8, a sine of 20 seconds is followed half as well.
const REVERSAL: f64 = 6.0;

impl Dispersion {
    pub(super) const fn new() -> Self {
        Self {
            factor: 1.0,
            open: Slot::EMPTY,
            since_change: f64::INFINITY,
            was_up: false,
        }
    }

    /// `new` came where `rate` per second was expected, if anything was.
    pub(super) fn observe(&mut self, new: Slot, rate: Option<f64>) {
        self.since_change += new.seconds;
        self.open = self.open.plus(new);
        let Some(rate) = rate.filter(|_| self.open.seconds >= 0.9 * GRAIN) else {
            return;
        };
        let open = std::mem::replace(&mut self.open, Slot::EMPTY);
        let mean = rate * open.seconds;
        let surprise = (open.count - mean).powi(2) / mean.max(0.05);
        let weight = 1.0 - (1.0 - WEIGHT).powf(open.seconds / GRAIN);
        self.factor += (surprise.min(MAX_SURPRISE * self.factor) - self.factor) * weight;
        self.factor = self.factor.max(1.0);
    }

    /// The rate has changed for good, or so it seems.
    pub(super) fn change(&mut self, is_up: bool) {
        if self.since_change < REVERSAL_SECONDS && self.was_up != is_up {
            self.factor *= REVERSAL;
        }
        self.since_change = 0.0;
        self.was_up = is_up;
    }

    /// The Fano factor, at least 1.
    pub(super) const fn factor(&self) -> f64 {
        self.factor
    }
}
