//! The settings of a breaker.

use std::time::Duration;

use spanwright_core::BuildError;

/// When a breaker opens, and for how long.
///
/// # Source
///
/// The names and the idea are resilience4j's; its defaults are for a service that makes a hundred calls a second, and an exporter
/// makes a few.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// How long a call counts. Default: 30 s. 1 ms to 1 h.
    pub window: Duration,
    /// The least calls in the window before their shares mean anything. Default: 5. 1 and more.
    pub min_calls: u64,
    /// The share of failed calls that opens it. Default: 0.5. Above 0, up to 1.
    pub failure_share: f64,
    /// From when a call is slow. Default: 60 s, which is more than an export may take: no call is.
    pub slow_call: Duration,
    /// The share of slow or failed calls that opens it, where one of them is slow. Default: 1. Above 0, up to 1.
    pub slow_share: f64,
    /// How long it stays open the first time, half of it by chance; doubled each time that the probe fails. Default: 1 s. 1 ms to
    /// `longest_open`.
    pub open: Duration,
    /// The longest that it stays open, unless the server asks for more. Default: 30 s. Up to 1 h.
    pub longest_open: Duration,
}

const LONGEST: Duration = Duration::from_secs(3600);
const LEAST: Duration = Duration::from_millis(1);

impl BreakerConfig {
    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// The first setting that is outside of its range.
    pub fn validate(&self) -> Result<(), BuildError> {
        BuildError::check_range("breaker.window", self.window, LEAST..=LONGEST)?;
        BuildError::check_range("breaker.min_calls", self.min_calls, 1..=u64::MAX)?;
        BuildError::check_range("breaker.failure_share", self.failure_share, f64::MIN_POSITIVE..=1.0)?;
        BuildError::check_range("breaker.slow_share", self.slow_share, f64::MIN_POSITIVE..=1.0)?;
        BuildError::check_range("breaker.longest_open", self.longest_open, LEAST..=LONGEST)?;
        BuildError::check_range("breaker.open", self.open, LEAST..=self.longest_open)?;
        Ok(())
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            min_calls: 5,
            failure_share: 0.5,
            slow_call: Duration::from_secs(60),
            slow_share: 1.0,
            open: Duration::from_secs(1),
            longest_open: Duration::from_secs(30),
        }
    }
}
