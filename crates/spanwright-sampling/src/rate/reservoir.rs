//! So many per second, and a share of the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use spanwright_core::Pressure;

use super::controller::Goal;
use super::governor::Governor;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::ticker::{Tick, Waker};

/// Keeps a number of spans per second, and of the others a share.
///
/// ```text
/// p = r + share * (1 - r)        r: what a rate limit of so many per second would keep
/// ```
///
/// A bucket of tokens would keep the first ones of each second, and nobody could tell how many spans these stand for. Here both parts
/// are one threshold, which follows the rate of what is offered ([`RateLimiting`](super::RateLimiting)).
#[derive(Debug)]
pub(crate) struct Reservoir {
    governor: Governor,
    /// Whether there is anything in it: none at all is no goal for a controller.
    is_open: AtomicBool,
}

/// What is made up for, in seconds of the reservoir: one, as a bucket that is filled anew each second.
const MAX_CREDIT: f64 = 1.0;

/// Of a reservoir that has never been open: something, so that there is a rate when it is opened.
const CLOSED: f64 = 1.0;

impl Reservoir {
    /// `per_second` is finite, from 0.
    pub(crate) fn new(per_second: f64) -> Self {
        let is_open = per_second > 0.0;
        let goal = Goal {
            per_second: Some(if is_open { per_second } else { CLOSED }),
            ratio: None,
            max_burst: None,
            max_credit: MAX_CREDIT,
        };
        Self {
            governor: Governor::new(goal, false, Pressure::new()),
            is_open: AtomicBool::new(is_open),
        }
    }

    /// From the next tick on `per_second`: finite, from 0.
    pub(crate) fn set_per_second(&self, per_second: f64) {
        // Relaxed, here and below: a flag that stands alone.
        self.is_open.store(per_second > 0.0, Ordering::Relaxed);
        if per_second > 0.0 && self.governor.goal().per_second != Some(per_second) {
            self.governor.change_goal(|goal| goal.per_second = Some(per_second));
        }
    }

    /// The threshold for a span, with `share`, 0 to 1, of what the reservoir does not keep; and which of the two keeps more. `counts`
    /// if it is a span and not only a question.
    ///
    /// # Cost
    ///
    /// As [`Governor::decide`], and a few operations on numbers.
    pub(crate) fn decide(&self, share: f64, counts: bool) -> (Option<Threshold>, Reason) {
        let reserved = if !self.is_open.load(Ordering::Relaxed) {
            if counts {
                self.governor.note_unwanted();
            }
            None
        } else if counts {
            self.governor.decide()
        } else {
            self.governor.rehearse(Threshold::ALWAYS)
        };
        let part = reserved.map_or(0.0, Threshold::probability);
        let rest = share * (1.0 - part);
        let threshold = if rest > 0.0 {
            Threshold::from_probability(part + rest)
        } else {
            reserved
        };
        let reason = if part > rest {
            Reason::RateLimit
        } else {
            Reason::Probability
        };
        (threshold, reason)
    }

    /// The sum of the probabilities with which it kept spans so far, without those by the share.
    pub(crate) fn expected_kept(&self) -> f64 {
        self.governor.stats().expected_kept
    }
}

impl Tick for Reservoir {
    fn tick(&self, now: Instant) {
        self.governor.tick(now);
    }

    fn attach(&self, waker: Waker) {
        self.governor.attach(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticker::Ticker;
    use spanwright_core::{Clock, ManualClock};

    /// The sums of the probabilities of each second, at a hundred spans per second.
    fn run(reservoir: &Reservoir, share: f64, clock: &ManualClock, seconds: usize) -> Vec<f64> {
        let tenth = || {
            let kept: f64 = (0..10)
                .map(|_| reservoir.decide(share, true).0.map_or(0.0, Threshold::probability))
                .sum();
            clock.advance(Ticker::INTERVAL);
            reservoir.tick(clock.now());
            kept
        };
        (0..seconds).map(|_| (0..10).map(|_| tenth()).sum()).collect()
    }

    #[test]
    fn so_many_are_kept_and_the_share_of_the_rest() {
        let clock = ManualClock::new();
        let reservoir = Reservoir::new(10.0);
        run(&reservoir, 0.05, &clock, 5);
        // 10, and a twentieth of 90.
        for kept in run(&reservoir, 0.05, &clock, 60) {
            assert!((14.0..15.0).contains(&kept), "{kept}");
        }
        assert!((640.0..660.0).contains(&reservoir.expected_kept()));
        assert_eq!(reservoir.decide(0.0, false).1, Reason::RateLimit);
        assert_eq!(reservoir.decide(0.5, false).1, Reason::Probability);
        assert_eq!(reservoir.decide(1.0, false).0, Some(Threshold::ALWAYS));
    }

    #[test]
    fn a_reservoir_may_be_empty_and_be_filled_again() {
        let clock = ManualClock::new();
        let reservoir = Reservoir::new(0.0);
        assert!(run(&reservoir, 0.0, &clock, 5).iter().all(|kept| *kept == 0.0));
        assert_eq!(reservoir.decide(0.0, true).0, None);
        assert!((reservoir.decide(0.25, true).0.map_or(0.0, Threshold::probability) - 0.25).abs() < 1e-9);
        reservoir.set_per_second(20.0);
        let seconds = run(&reservoir, 0.0, &clock, 10);
        assert!(seconds.iter().all(|kept| (10.0..31.0).contains(kept)), "{seconds:?}");
        assert!((18.0..22.0).contains(&seconds[9]), "{seconds:?}");
        reservoir.set_per_second(0.0);
        assert_eq!(run(&reservoir, 0.0, &clock, 1), [0.0]);
    }

    #[test]
    fn what_comes_now_and_then_is_kept_and_of_a_heap_after_a_pause_little() {
        let clock = ManualClock::new();
        let reservoir = Reservoir::new(1.0);
        let decide = |share| reservoir.decide(share, true).0.map_or(0.0, Threshold::probability);
        run(&reservoir, 0.0, &clock, 5);
        let pause = |seconds: usize| {
            for _ in 0..seconds * 10 {
                clock.advance(Ticker::INTERVAL);
                reservoir.tick(clock.now());
            }
        };
        pause(60);
        for _ in 0..20 {
            assert_eq!(decide(0.0), 1.0);
            pause(10);
        }
        // All at once, with no tick between: the share is halved again and again.
        let kept: f64 = (0..1000).map(|_| decide(0.0)).sum();
        assert!(kept < 12.0, "{kept} of a thousand");
    }
}
