//! Trying again, for any async operation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spanwright_core::{Backoff, BuildError, Clock, SystemClock};
use tokio::sync::watch;
use tokio::time::sleep;

use super::budget::RetryBudget;
use super::policy::{Attempts, GiveUp, RetryAdvice, RetryDecision, RetryLimits};
use super::stats::{RetryStats, Tally};
use crate::random::ThreadRandom;

/// Tries operations again that failed for a reason that may pass: after delays that grow, within limits of each, and within a budget
/// of all of them together.
///
/// It adapts by that budget: the more operations succeed, the more retries there are to spend, and when all of them fail, hardly any.
/// Each operation waits by itself; none waits for another. Clones are the same strategy.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use spanwright_resilience::{AdaptiveRetryStrategy, RetryAdvice, RetryBudget};
///
/// // A fifth of all operations may be tried again, and ten a second besides.
/// let budget = RetryBudget::new(0.2, 10.0)?;
/// let strategy = AdaptiveRetryStrategy::builder().with_budget(budget).with_max_attempts(4).build()?;
/// let mut calls = 0;
/// let answer = strategy
///     .run(
///         || {
///             calls += 1;
///             let result = if calls < 3 { Err("busy") } else { Ok(42) };
///             async move { result }
///         },
///         |_error| RetryAdvice::Retry { server_delay: None },
///     )
///     .await;
/// assert_eq!(answer, Ok(42));
/// assert_eq!(strategy.stats().retries, 2);
/// # Ok::<_, spanwright_core::BuildError>(())
/// # }).unwrap();
/// ```
///
/// # Cost
///
/// A lock for some nanoseconds, once an attempt.
#[derive(Clone)]
pub struct AdaptiveRetryStrategy {
    shared: Arc<Shared>,
}

/// Makes an [`AdaptiveRetryStrategy`].
#[derive(Debug)]
pub struct AdaptiveRetryStrategyBuilder {
    backoff: Backoff,
    budget: RetryBudget,
    limits: RetryLimits,
    clock: Box<dyn Clock>,
}

struct Shared {
    backoff: Backoff,
    limits: RetryLimits,
    clock: Box<dyn Clock>,
    state: Mutex<State>,
    is_shutdown: watch::Sender<bool>,
}

struct State {
    budget: RetryBudget,
    tally: Tally,
}

impl AdaptiveRetryStrategy {
    /// Full jitter from 100 ms to 5 s, a fifth of the operations as budget, no limit for a single one.
    #[must_use]
    pub fn builder() -> AdaptiveRetryStrategyBuilder {
        AdaptiveRetryStrategyBuilder {
            backoff: Backoff::default(),
            budget: RetryBudget::default(),
            limits: RetryLimits::default(),
            clock: Box::new(SystemClock),
        }
    }

    /// Calls `operation`, and calls it again after a failure that `advice` says may pass.
    ///
    /// Dropped half way, the operation counts as neither.
    ///
    /// # Errors
    ///
    /// The last error.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time, when it has to wait.
    pub async fn run<T, E, O>(
        &self,
        mut operation: impl FnMut() -> O,
        advice: impl Fn(&E) -> RetryAdvice,
    ) -> Result<T, E>
    where
        O: Future<Output = Result<T, E>>,
    {
        let mut attempts = self.begin();
        loop {
            let error = match operation().await {
                Ok(value) => {
                    self.shared.state.lock().tally.succeeded(self.shared.clock.now());
                    return Ok(value);
                }
                Err(error) => error,
            };
            match self.failed(&mut attempts, advice(&error)) {
                RetryDecision::GiveUp(_) => return Err(error),
                RetryDecision::After(delay) => {
                    if !self.wait(delay).await {
                        self.give_up(GiveUp::Shutdown);
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Wakes whoever waits for a next attempt, and lets nobody wait again: each gets its last error.
    pub fn shutdown(&self) {
        self.shared.is_shutdown.send_replace(true);
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> RetryStats {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let State { budget, tally } = &mut *state;
        tally.stats(now, budget.room(now))
    }

    pub(super) fn begin(&self) -> Attempts {
        let Shared {
            backoff,
            limits,
            clock,
            state,
            ..
        } = &*self.shared;
        let mut state = state.lock();
        state.tally.begun();
        Attempts::begin(clock.now(), *backoff, *limits, &mut state.budget)
    }

    pub(super) fn failed(&self, attempts: &mut Attempts, advice: RetryAdvice) -> RetryDecision {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let State { budget, tally } = &mut *state;
        let decision = attempts.failed(now, advice, budget, &mut ThreadRandom);
        match decision {
            RetryDecision::After(delay) => tally.retried(delay),
            RetryDecision::GiveUp(reason) => tally.gave_up(now, reason),
        }
        decision
    }

    fn give_up(&self, reason: GiveUp) {
        let now = self.shared.clock.now();
        self.shared.state.lock().tally.gave_up(now, reason);
    }

    /// Whether it was waited for to the end.
    async fn wait(&self, delay: Duration) -> bool {
        let mut is_shutdown = self.shared.is_shutdown.subscribe();
        tokio::select! {
            biased;
            _ = is_shutdown.wait_for(|is_shutdown| *is_shutdown) => false,
            () = sleep(delay) => true,
        }
    }
}

impl AdaptiveRetryStrategyBuilder {
    /// The delays.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many retries all operations together may cost.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// The attempts of one operation, the first included; 1 and more. Default: without a limit.
    #[must_use]
    pub fn with_max_attempts(mut self, max: u32) -> Self {
        self.limits.max_attempts = Some(max);
        self
    }

    /// How long after its first attempt an operation may begin another. Default: without a limit.
    #[must_use]
    pub fn with_max_elapsed(mut self, max: Duration) -> Self {
        self.limits.max_elapsed = Some(max);
        self
    }

    /// By this clock. Waiting is by tokio's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The strategy.
    ///
    /// # Errors
    ///
    /// No attempt at all.
    pub fn build(self) -> Result<AdaptiveRetryStrategy, BuildError> {
        if let Some(max) = self.limits.max_attempts {
            BuildError::check_range("max_attempts", max, 1..=u32::MAX)?;
        }
        Ok(AdaptiveRetryStrategy {
            shared: Arc::new(Shared {
                backoff: self.backoff,
                limits: self.limits,
                clock: self.clock,
                state: Mutex::new(State {
                    budget: self.budget,
                    tally: Tally::default(),
                }),
                is_shutdown: watch::Sender::new(false),
            }),
        })
    }
}

impl fmt::Debug for AdaptiveRetryStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveRetryStrategy")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
