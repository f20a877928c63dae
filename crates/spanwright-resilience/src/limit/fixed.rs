//! A limit that stays.

use spanwright_core::BuildError;

use super::{Limit, LimitSample};

/// As many as were said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FixedLimit(usize);

impl FixedLimit {
    /// This many, 1 and more.
    ///
    /// # Errors
    ///
    /// 0.
    pub fn new(limit: usize) -> Result<Self, BuildError> {
        BuildError::check_range("limit", limit, 1..=usize::MAX).map(Self)
    }
}

impl Limit for FixedLimit {
    fn limit(&self) -> usize {
        self.0
    }

    fn on_sample(&mut self, _: &LimitSample) {}
}
