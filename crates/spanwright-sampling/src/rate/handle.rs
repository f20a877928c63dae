//! Changing a target while it is being held.

use std::fmt;
use std::sync::Arc;

use spanwright_core::BuildError;

use super::check;
use super::governor::Governor;
use super::stats::RateStats;

/// Changes the target of a running [`Adaptive`](crate::Adaptive) or [`RateLimiting`](crate::RateLimiting), and reads its figures.
///
/// Clones are the same handle. A change takes effect at the next tick, which is asked for at once.
#[derive(Clone)]
pub struct RateHandle {
    governor: Arc<Governor>,
}

impl RateHandle {
    pub(super) const fn new(governor: Arc<Governor>) -> Self {
        Self { governor }
    }

    /// From now on so many per second; for an [`Adaptive`](crate::Adaptive) with a target share, at most so many.
    ///
    /// # Errors
    ///
    /// Not a finite number above 0. The old target stays.
    pub fn set_target_per_second(&self, target: f64) -> Result<(), BuildError> {
        let target = check::rate("target_per_second", Some(target))?;
        self.governor.change_goal(|goal| goal.per_second = target);
        Ok(())
    }

    /// From now on at most this share of what is offered; where there is a target per second, the lower of the two counts.
    ///
    /// # Errors
    ///
    /// Not above 0 and up to 1. The old target stays.
    pub fn set_target_ratio(&self, ratio: f64) -> Result<(), BuildError> {
        let ratio = check::ratio("target_ratio", Some(ratio))?;
        self.governor.change_goal(|goal| goal.ratio = ratio);
        Ok(())
    }

    /// What was counted and found so far.
    #[must_use]
    pub fn stats(&self) -> RateStats {
        self.governor.stats()
    }
}

impl fmt::Debug for RateHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateHandle").field("stats", &self.stats()).finish()
    }
}
