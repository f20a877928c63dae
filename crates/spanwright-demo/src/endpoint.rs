//! What stands in front of a receiver, and how it is.

/// An endpoint as its pipeline sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    /// Whether its circuit breaker lets requests through.
    pub(crate) breaker: &'static str,
    /// How often that opened.
    pub(crate) opened: u64,
    /// How many requests may be under way.
    pub(crate) limit: u64,
}

/// One word of each, for a cell.
pub(crate) fn joined(endpoints: &[Endpoint], word: impl Fn(&Endpoint) -> String) -> String {
    let words: Vec<_> = endpoints.iter().map(word).collect();
    words.join(" / ")
}
