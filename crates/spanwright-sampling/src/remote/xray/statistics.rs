//! What a rule has counted, for the server.

use serde_json::{Value, json};

/// Counts of a rule.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    /// Spans that it decided about.
    pub(super) requests: u64,
    /// Those of them that were kept.
    pub(super) sampled: u64,
    /// Those of them that were kept for a reservoir without a quota.
    pub(super) borrowed: u64,
}

/// What a rule has counted since the last report that was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Statistics {
    pub(super) rule: String,
    pub(super) counts: Counts,
}

impl Counts {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            sampled: self.sampled + other.sampled,
            borrowed: self.borrowed + other.borrowed,
        }
    }
}

impl Statistics {
    /// One of the `SamplingStatisticsDocuments`; `timestamp` in seconds since 1970.
    pub(super) fn document(&self, client_id: &str, timestamp: u64) -> Value {
        json!({
            "ClientID": client_id,
            "RuleName": self.rule,
            "RequestCount": self.counts.requests,
            "SampledCount": self.counts.sampled,
            "BorrowCount": self.counts.borrowed,
            "Timestamp": timestamp,
        })
    }
}
