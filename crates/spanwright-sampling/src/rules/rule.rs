//! Which sampler is asked about which spans.

use std::sync::Arc;

use spanwright_core::BuildError;

use super::predicate::{IntoPredicate, Predicate};

/// For spans of which all its predicates are true, a sampler.
///
/// A rule without predicates is for all spans.
#[derive(Debug)]
pub struct Rule<S = ()> {
    pub(super) name: Arc<str>,
    pub(super) predicates: Result<Vec<Predicate>, BuildError>,
    pub(super) sampler: S,
}

impl Rule {
    /// A rule that is counted and explained by this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            predicates: Ok(Vec::new()),
            sampler: (),
        }
    }
}

impl<S> Rule<S> {
    /// Only for spans of which this is true as well.
    ///
    /// Takes a predicate, or the result of making one: an error comes to light when the sampler is built, and names the rule.
    #[must_use]
    pub fn when(mut self, predicate: impl IntoPredicate) -> Self {
        if let Ok(predicates) = &mut self.predicates {
            match predicate.into_predicate() {
                Ok(predicate) => predicates.push(predicate),
                Err(error) => self.predicates = Err(error),
            }
        }
        self
    }

    /// The sampler to ask about these spans.
    #[must_use]
    pub fn then<T>(self, sampler: T) -> Rule<T> {
        Rule {
            name: self.name,
            predicates: self.predicates,
            sampler,
        }
    }
}
