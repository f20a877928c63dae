//! Whether to try again, and when.

use std::time::{Duration, Instant};

use spanwright_core::{Backoff, ErrorKind, ExportError, Random};

use super::budget::RetryBudget;

/// What an error says of trying again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RetryAdvice {
    /// It would fail again.
    Never,
    /// It may go well later; not before this delay, if the server named one.
    Retry {
        /// What the server asked for.
        server_delay: Option<Duration>,
    },
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum RetryDecision {
    /// Try again after this.
    After(Duration),
    /// Let it be.
    GiveUp(GiveUp),
}

/// Why an operation is not tried again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum GiveUp {
    /// There were as many attempts as there may be.
    Attempts,
    /// All operations together have used up their retries.
    Budget,
    /// It has taken, or would take, longer than it may.
    Elapsed,
    /// It would fail again.
    Permanent,
    /// The strategy is shut down.
    Shutdown,
}

/// How often and how long one operation is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RetryLimits {
    /// Attempts in all, the first included. Default: without a limit.
    pub max_attempts: Option<u32>,
    /// Time from the first attempt to the start of the last one. Default: without a limit.
    pub max_elapsed: Option<Duration>,
}

/// One operation and its attempts so far: time, chance and the shared budget come in, a decision goes out.
#[derive(Clone, Debug)]
pub struct Attempts {
    made: u32,
    began: Instant,
    backoff: Backoff,
    limits: RetryLimits,
}

impl Attempts {
    /// The first attempt begins now.
    pub fn begin(now: Instant, backoff: Backoff, limits: RetryLimits, budget: &mut RetryBudget) -> Self {
        budget.deposit(now);
        Self {
            made: 1,
            began: now,
            backoff,
            limits,
        }
    }

    /// How many were made, the first included.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// An attempt has failed. If the decision is to try again, that attempt is counted, and taken from the budget.
    pub fn failed(
        &mut self,
        now: Instant,
        advice: RetryAdvice,
        budget: &mut RetryBudget,
        random: &mut impl Random,
    ) -> RetryDecision {
        let RetryAdvice::Retry { server_delay } = advice else {
            return RetryDecision::GiveUp(GiveUp::Permanent);
        };
        if self.limits.max_attempts.is_some_and(|max| self.made >= max) {
            return RetryDecision::GiveUp(GiveUp::Attempts);
        }
        let delay = self.backoff.next_delay(server_delay, random);
        let elapsed = now.saturating_duration_since(self.began).saturating_add(delay);
        if self.limits.max_elapsed.is_some_and(|max| elapsed > max) {
            return RetryDecision::GiveUp(GiveUp::Elapsed);
        }
        if !budget.withdraw(now) {
            return RetryDecision::GiveUp(GiveUp::Budget);
        }
        self.made += 1;
        RetryDecision::After(delay)
    }
}

/// By the table of OTLP, which the exporter has looked the error up in.
///
/// # Source
///
/// [OTLP, failures](https://opentelemetry.io/docs/specs/otlp/#failures).
impl From<&ExportError> for RetryAdvice {
    fn from(error: &ExportError) -> Self {
        // A cancelled request was given up on our side, and not by mistake.
        if error.is_retryable() && error.kind() != ErrorKind::Cancelled {
            let server_delay = error.retry_after();
            Self::Retry { server_delay }
        } else {
            Self::Never
        }
    }
}

impl GiveUp {
    /// A word of low cardinality.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Elapsed => "elapsed",
            Self::Permanent => "permanent",
            Self::Shutdown => "shutdown",
        }
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::{Clock, ManualClock};

    use super::*;
    use spanwright_core::SeededRandom;

    const RETRY: RetryAdvice = RetryAdvice::Retry { server_delay: None };

    fn attempts(limits: RetryLimits, budget: &mut RetryBudget) -> (Attempts, ManualClock, SeededRandom) {
        let clock = ManualClock::new();
        let attempts = Attempts::begin(clock.now(), Backoff::default(), limits, budget);
        (attempts, clock, SeededRandom::new(1))
    }

    fn generous() -> RetryBudget {
        RetryBudget::new(1000.0, 1000.0).expect("in range")
    }

    #[test]
    fn a_permanent_error_is_never_tried_again() {
        let mut budget = generous();
        let (mut attempts, clock, mut random) = attempts(RetryLimits::default(), &mut budget);
        let decision = attempts.failed(clock.now(), RetryAdvice::Never, &mut budget, &mut random);
        assert_eq!(decision, RetryDecision::GiveUp(GiveUp::Permanent));
        assert_eq!(attempts.made(), 1);
    }

    #[test]
    fn attempts_are_counted_and_end_at_their_limit() {
        let mut budget = generous();
        let limits = RetryLimits {
            max_attempts: Some(3),
            ..RetryLimits::default()
        };
        let (mut attempts, clock, mut random) = attempts(limits, &mut budget);
        for _ in 0..2 {
            let decision = attempts.failed(clock.now(), RETRY, &mut budget, &mut random);
            assert!(matches!(decision, RetryDecision::After(_)));
        }
        let decision = attempts.failed(clock.now(), RETRY, &mut budget, &mut random);
        assert_eq!(
            (decision, attempts.made()),
            (RetryDecision::GiveUp(GiveUp::Attempts), 3)
        );
    }

    #[test]
    fn a_delay_that_would_end_too_late_is_not_waited_for() {
        let mut budget = generous();
        let limits = RetryLimits {
            max_elapsed: Some(Duration::from_secs(10)),
            ..RetryLimits::default()
        };
        let (mut attempts, clock, mut random) = attempts(limits, &mut budget);
        clock.advance(Duration::from_secs(4));
        let server_delay = Some(Duration::from_secs(6));
        let asked = RetryAdvice::Retry { server_delay };
        assert_eq!(
            attempts.failed(clock.now(), asked, &mut budget, &mut random),
            RetryDecision::After(Duration::from_secs(6))
        );
        clock.advance(Duration::from_millis(1));
        assert_eq!(
            attempts.failed(clock.now(), asked, &mut budget, &mut random),
            RetryDecision::GiveUp(GiveUp::Elapsed)
        );
    }

    #[test]
    fn without_limits_only_the_budget_ends_it() {
        let mut budget = RetryBudget::new(0.0, 0.5).expect("in range");
        let (mut attempts, clock, mut random) = attempts(RetryLimits::default(), &mut budget);
        for _ in 0..5 {
            let decision = attempts.failed(clock.now(), RETRY, &mut budget, &mut random);
            assert!(matches!(decision, RetryDecision::After(_)));
        }
        let decision = attempts.failed(clock.now(), RETRY, &mut budget, &mut random);
        assert_eq!(decision, RetryDecision::GiveUp(GiveUp::Budget));
    }

    #[test]
    fn the_kinds_of_an_export_error_are_advice() {
        for (kind, may_retry) in [
            (ErrorKind::Cancelled, false),
            (ErrorKind::Connect, true),
            (ErrorKind::Permanent, false),
            (ErrorKind::Retryable, true),
            (ErrorKind::TooLarge, false),
            (ErrorKind::Unauthenticated, false),
        ] {
            let server_delay = Some(Duration::from_secs(3));
            let error = ExportError::new(kind, "x", "").with_retry_after(server_delay);
            let advice = RetryAdvice::from(&error);
            assert_eq!(advice == RetryAdvice::Retry { server_delay }, may_retry, "{kind:?}");
        }
    }
}
