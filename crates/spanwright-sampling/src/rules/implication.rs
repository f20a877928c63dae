//! What follows from what.
//!
//! Each answer "yes" is certain, an answer "no" may only mean that it was not found out: whatever is built on it names less than
//! it could, but nothing wrong.

use std::sync::Arc;

use super::pattern::TextSet;
use super::predicate::Test;
use super::subject::Situations;

impl Test {
    /// Whether `other` is true of every span of which this is.
    pub(super) fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            _ if self.is_never() || other.is_always() => true,
            (Self::Any(cases), _) => cases.iter().all(|case| case.implies(other)),
            (_, Self::Any(cases)) => cases.iter().any(|case| self.implies(case)),
            (Self::Not(test), Self::Not(other)) => other.implies(test),
            (_, Self::Not(other)) => self.excludes(other),
            (Self::Situation { of, .. }, Self::Situation { of: other, .. }) => other.contains(*of),
            (Self::Name(texts), Self::Name(others)) => others.covers(texts),
            (
                Self::Attribute { key, texts },
                Self::Attribute {
                    key: asked,
                    texts: others,
                },
            ) => {
                key.name == asked.name
                    && match (texts, others) {
                        (_, None) => true,
                        // An array without elements is there, and fits nothing.
                        (None, Some(_)) => false,
                        (Some(texts), Some(others)) => others.covers(texts),
                    }
            }
            (Self::Custom { test, .. }, Self::Custom { test: other, .. }) => Arc::ptr_eq(test, other),
            _ => false,
        }
    }

    /// Whether no span is such that both are true of it.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            _ if self.is_never() || other.is_never() => true,
            (Self::Any(cases), test) | (test, Self::Any(cases)) => cases.iter().all(|case| case.excludes(test)),
            (Self::Not(test), other) | (other, Self::Not(test)) => other.implies(test),
            (Self::Situation { of, .. }, Self::Situation { of: other, .. }) => of.and(*other).is_empty(),
            (Self::Name(texts), Self::Name(others)) => texts.is_disjoint(others),
            // Two conditions on one attribute do not exclude each other: two elements of an array may each fit one.
            _ => false,
        }
    }

    pub(super) fn is_always(&self) -> bool {
        match self {
            Self::Situation { of, .. } => *of == Situations::ALL,
            Self::Name(texts) => texts.is_everything(),
            Self::Any(cases) => cases.iter().any(Self::is_always),
            Self::Not(test) => test.is_never(),
            Self::Attribute { .. } | Self::Custom { .. } => false,
        }
    }

    pub(super) fn is_never(&self) -> bool {
        match self {
            Self::Situation { of, .. } => of.is_empty(),
            Self::Name(texts) => texts.is_empty(),
            Self::Attribute { texts, .. } => texts.as_ref().is_some_and(TextSet::is_empty),
            Self::Any(cases) => cases.iter().all(Self::is_never),
            Self::Not(test) => test.is_always(),
            Self::Custom { .. } => false,
        }
    }
}
