//! What a server grants each rule.

/// An answer to statistics.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Targets {
    pub(super) targets: Vec<Target>,
    /// When any rule was last changed, in seconds since 1970 by the server's clock.
    pub(super) last_modification: Option<f64>,
    /// Statistics that were not taken.
    pub(super) unprocessed: Vec<Unprocessed>,
}

/// For one rule. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Target {
    pub(super) rule: String,
    /// 0 to 1.
    pub(super) fixed_rate: Option<f64>,
    /// This service's part of the reservoir, per second; finite, from 0.
    pub(super) quota: Option<f64>,
    /// Until when it has that, in seconds since 1970.
    pub(super) quota_ends: Option<f64>,
    /// The time between two reports, in seconds.
    pub(super) interval_seconds: Option<f64>,
}

/// Of which rule, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unprocessed {
    pub(super) rule: String,
    pub(super) why: String,
}
