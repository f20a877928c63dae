//! What a per-key sampler has come to, for people and for monitoring.

/// What a [`PerKey`](crate::PerKey) sampler has counted, and how it shares its budget now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct KeyStats {
    /// Keys that have a cell.
    pub keys: usize,
    /// Keys that can have one.
    pub max_keys: usize,
    /// Keys that got a cell so far; one that was idle and came back counts again.
    pub claimed_keys: u64,
    /// Keys whose cells were freed because they were idle.
    pub freed_keys: u64,
    /// About how many different keys had to do without a cell in the last second in which any did.
    pub overflow_keys: u64,
    /// Spans of keys without a cell.
    pub overflow_spans: u64,
    /// Spans that were decided, those of the overflow included: each exactly once.
    pub offered: u64,
    /// The sum of their probabilities: how many of them are kept, without the noise of chance.
    pub expected_kept: f64,
    /// Spans per second that a key of weight 1 may keep now. Infinite if there is enough for every key.
    pub level: f64,
    /// Spans per second that may be kept now, as credit and pressure leave it of the target.
    pub budget: f64,
    /// How often the budget was shared out anew.
    pub generation: u64,
}

/// How a key fares.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyShare {
    /// The beginning of the key's text, 56 bytes at most; parts are set apart by spaces.
    pub key: String,
    /// Its spans per second, as estimated.
    pub offered_per_second: f64,
    /// The share of them that is kept.
    pub probability: f64,
}
