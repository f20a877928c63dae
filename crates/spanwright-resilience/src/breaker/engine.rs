//! The state machine: time and chance come in, permits go out.

use std::time::{Duration, Instant};

use super::config::BreakerConfig;
use crate::window::Window;
use spanwright_core::Random;

/// Whether calls go through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a breaker has these three states")]
pub enum BreakerState {
    /// All of them.
    Closed,
    /// One, to see.
    HalfOpen,
    /// None.
    Open,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// Says nothing of whether the other side is there: it answered that this call is wrong, or that it has too many.
    Neutral,
    /// It was done, in this time.
    Success {
        /// From the permit to the answer.
        elapsed: Duration,
    },
    /// The other side is not there.
    Unavailable {
        /// How long it asked to be left alone, if it did.
        server_delay: Option<Duration>,
    },
}

/// A circuit breaker without clock, lock or generator of its own.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    config: BreakerConfig,
    /// Calls, those that failed, those that were slow.
    window: Window<3>,
    state: State,
    /// Calls permitted before the last change of state have nothing to say any more.
    generation: u64,
    /// Times that it opened without a success between.
    openings: u32,
    /// Somebody waits until then.
    hurried_until: Option<Instant>,
    counts: BreakerCounts,
}

/// What a breaker has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BreakerCounts {
    /// Times that it opened.
    pub opened: u64,
    /// Calls that it did not let through.
    pub refused: u64,
    /// Calls that came back after the state had changed, and did not count.
    pub late: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        until: Instant,
        /// Until when the server asked for it.
        asked_until: Instant,
    },
    HalfOpen {
        is_probing: bool,
    },
}

/// Lets one call through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    generation: u64,
    is_probe: bool,
}

impl Engine {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self {
            window: Window::new(config.window),
            config,
            state: State::Closed,
            generation: 0,
            openings: 0,
            hurried_until: None,
            counts: BreakerCounts::default(),
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::Open { .. } => BreakerState::Open,
        }
    }

    pub(super) fn counts(&self) -> BreakerCounts {
        self.counts
    }

    /// Lets a call through, or says how long not. Zero: until the probe that is under way comes back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        let wait = self.closed_for(now);
        if let Some(wait) = wait {
            self.counts.refused += 1;
            return Err(wait);
        }
        let is_probe = !matches!(self.state, State::Closed);
        if is_probe {
            self.change(State::HalfOpen { is_probing: true }, self.is_open());
        }
        Ok(Ticket {
            generation: self.generation,
            is_probe,
        })
    }

    /// How long no call is let through; `None` if one is.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed | State::HalfOpen { is_probing: false } => None,
            State::HalfOpen { is_probing: true } => Some(Duration::ZERO),
            State::Open { until, .. } => {
                let left = until.saturating_duration_since(now);
                (!left.is_zero()).then_some(left)
            }
        }
    }

    /// Somebody waits until then: if it is open by its own choice, the next call may be the probe, and if that fails, the next one
    /// need not wait for longer than the first time.
    pub(super) fn hurry(&mut self, now: Instant, waits_until: Instant) {
        self.hurried_until = self.hurried_until.max(Some(waits_until));
        if let State::Open { until, asked_until } = &mut self.state {
            *until = now.max(*asked_until).min(*until);
        }
    }

    /// The call has come back.
    pub(super) fn record(&mut self, now: Instant, ticket: Ticket, outcome: CallOutcome, random: &mut impl Random) {
        if ticket.generation != self.generation {
            self.counts.late += 1;
            return;
        }
        if ticket.is_probe {
            match outcome {
                CallOutcome::Success { .. } => self.close(),
                CallOutcome::Unavailable { server_delay } => self.open(now, server_delay, random),
                CallOutcome::Neutral => self.state = State::HalfOpen { is_probing: false },
            }
            return;
        }
        let (counts, server_delay) = match outcome {
            CallOutcome::Neutral => return,
            CallOutcome::Success { elapsed } => ([1, 0, u64::from(elapsed >= self.config.slow_call)], None),
            CallOutcome::Unavailable { server_delay } => ([1, 1, 0], server_delay),
        };
        self.window.add(now, counts);
        if self.is_too_much(now) {
            self.open(now, server_delay, random);
        }
    }

    /// The call was given up before it came back, and says nothing: another may take its place.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if ticket.is_probe && ticket.generation == self.generation {
            self.state = State::HalfOpen { is_probing: false };
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    fn is_too_much(&mut self, now: Instant) -> bool {
        let [calls, failures, slow] = self.window.sum(now);
        let share = |part: u64| part as f64 / calls as f64;
        calls >= self.config.min_calls
            && (share(failures) >= self.config.failure_share
                || (slow > 0 && share(slow + failures) >= self.config.slow_share))
    }

    fn open(&mut self, now: Instant, server_delay: Option<Duration>, random: &mut impl Random) {
        let is_hurried = self.hurried_until.is_some_and(|until| now < until);
        let doubled = if is_hurried {
            1
        } else {
            2_u32.saturating_pow(self.openings)
        };
        let bound = self.config.open.saturating_mul(doubled).min(self.config.longest_open);
        // Half of it for sure, so that a breaker that opens again stays open longer, and half by chance.
        let pause = bound.mul_f64(0.5 + 0.5 * random.unit());
        let pause = pause.max(server_delay.unwrap_or_default());
        self.openings = self.openings.saturating_add(1);
        self.counts.opened += 1;
        let open = State::Open {
            until: now + pause,
            asked_until: now + server_delay.unwrap_or_default(),
        };
        self.change(open, true);
    }

    fn close(&mut self) {
        self.openings = 0;
        self.change(State::Closed, true);
    }

    fn change(&mut self, state: State, is_new: bool) {
        self.state = state;
        if is_new {
            self.generation += 1;
            self.window.clear();
        }
    }
}
