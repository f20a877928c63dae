//! What a composable sampler wants for a span.

use std::cmp::Ordering;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceState;

use crate::probability::{Randomness, Threshold};
use crate::reason::Reason;
use crate::tally::Tally;

/// What a composable sampler wants: a threshold, and what else goes with the span if its randomness reaches it.
///
/// It borrows from the sampler that made it, and allocates nothing in the common cases.
#[derive(Debug)]
pub struct Intent<'a> {
    threshold: Option<Threshold>,
    is_reliable: bool,
    reason: Reason,
    rule: Option<&'a Tally>,
    notes: Notes<'a>,
    trace_state: Option<TraceState>,
}

#[derive(Debug)]
enum Notes<'a> {
    None,
    One(&'a [KeyValue]),
    Many(Vec<Note<'a>>),
}

/// Attributes for a span whose randomness reaches `from`.
#[derive(Clone, Copy, Debug)]
struct Note<'a> {
    from: Threshold,
    attributes: &'a [KeyValue],
}

impl<'a> Intent<'a> {
    /// The span is not to be sampled.
    #[must_use]
    #[inline]
    pub const fn drop(reason: Reason) -> Self {
        Self::new(None, reason)
    }

    /// The span is to be sampled if its trace's randomness reaches `threshold`.
    #[must_use]
    #[inline]
    pub const fn keep_at(threshold: Threshold, reason: Reason) -> Self {
        Self::new(Some(threshold), reason)
    }

    #[inline]
    const fn new(threshold: Option<Threshold>, reason: Reason) -> Self {
        Self {
            threshold,
            is_reliable: threshold.is_some(),
            reason,
            rule: None,
            notes: Notes::None,
            trace_state: None,
        }
    }

    /// The threshold says nothing of how many spans the kept ones stand for: it must not be written down, and is held against
    /// fresh randomness.
    #[must_use]
    #[inline]
    pub fn unreliable(mut self) -> Self {
        self.is_reliable = false;
        self
    }

    /// By which rule; the innermost one counts.
    #[must_use]
    pub fn by_rule(mut self, rule: &'a Tally) -> Self {
        self.rule.get_or_insert(rule);
        self
    }

    /// Attributes for the span, if it is sampled.
    #[must_use]
    pub fn with_attributes(mut self, attributes: &'a [KeyValue]) -> Self {
        let from = self.threshold.unwrap_or_default();
        self.notes = match self.notes {
            _ if attributes.is_empty() => return self,
            Notes::None => Notes::One(attributes),
            Notes::One(first) => Notes::Many(vec![
                Note {
                    from,
                    attributes: first,
                },
                Note { from, attributes },
            ]),
            Notes::Many(mut notes) => {
                notes.push(Note { from, attributes });
                Notes::Many(notes)
            }
        };
        self
    }

    /// Another trace state than the parent's. Its `ot` member is not the business of a composable sampler and is set later.
    #[must_use]
    pub fn with_trace_state(mut self, trace_state: TraceState) -> Self {
        self.trace_state = Some(trace_state);
        self
    }

    /// With the same attributes and reasons, another threshold. For samplers that lower what another one wants.
    #[must_use]
    pub fn with_threshold(mut self, threshold: Option<Threshold>, reason: Reason) -> Self {
        self.threshold = threshold;
        self.is_reliable &= threshold.is_some();
        self.reason = reason;
        self
    }

    /// With the same attributes and reasons, a threshold that somebody else has vouched for.
    #[cfg(feature = "config")]
    #[must_use]
    pub(crate) fn with_reliable_threshold(mut self, threshold: Threshold) -> Self {
        self.threshold = Some(threshold);
        self.is_reliable = true;
        self
    }

    /// What the randomness must reach; `None` to drop.
    #[must_use]
    #[inline]
    pub fn threshold(&self) -> Option<Threshold> {
        self.threshold
    }

    /// Whether the threshold says how many spans a kept one stands for.
    #[must_use]
    #[inline]
    pub fn is_reliable(&self) -> bool {
        self.is_reliable
    }

    /// Why.
    #[must_use]
    #[inline]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// By which rule, if by one.
    #[must_use]
    #[inline]
    pub fn rule(&self) -> Option<&'a Tally> {
        self.rule
    }

    /// The trace state that it wants instead of the parent's.
    #[must_use]
    #[inline]
    pub fn trace_state(&self) -> Option<&TraceState> {
        self.trace_state.as_ref()
    }

    /// The attributes of a span that is sampled with this randomness. Of those with the same key, the last one counts.
    pub fn attributes(&self, randomness: Randomness) -> impl Iterator<Item = &'a KeyValue> {
        let (one, many) = match &self.notes {
            Notes::None => (None, [].as_slice()),
            Notes::One(attributes) => (Some(*attributes), [].as_slice()),
            Notes::Many(notes) => (None, notes.as_slice()),
        };
        let many = many.iter().filter(move |note| note.from.keeps(randomness));
        one.into_iter().chain(many.map(|note| note.attributes)).flatten()
    }

    /// Whether it wants nothing but to keep or to drop.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.trace_state.is_none() && matches!(self.notes, Notes::None)
    }

    /// The same, each key once.
    pub(crate) fn merged_attributes(&self, randomness: Randomness) -> Vec<KeyValue> {
        match &self.notes {
            Notes::None => Vec::new(),
            Notes::One(attributes) => attributes.to_vec(),
            Notes::Many(_) => merged(self.attributes(randomness)),
        }
    }

    /// Of two samplers that would each keep the span, both: the lower threshold decides, and each one's attributes are for the
    /// spans that it would have kept itself.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        let (Some(mine), Some(others)) = (self.threshold, other.threshold) else {
            return if self.threshold.is_some() { self } else { other };
        };
        let (threshold, is_mine) = (mine.min(others), mine <= others);
        // At the same threshold it is enough that one of the two vouches for it.
        let is_reliable = match mine.cmp(&others) {
            Ordering::Less => self.is_reliable,
            Ordering::Equal => self.is_reliable || other.is_reliable,
            Ordering::Greater => other.is_reliable,
        };
        let notes = match (self.notes, other.notes) {
            (Notes::None, Notes::None) => Notes::None,
            (earlier, later) => {
                let mut all = earlier.into_many(mine);
                all.extend(later.into_many(others));
                Notes::Many(all)
            }
        };
        let mine = (self.reason, self.rule, self.trace_state);
        let others = (other.reason, other.rule, other.trace_state);
        let ((reason, rule, trace_state), loser) = if is_mine { (mine, others) } else { (others, mine) };
        Self {
            threshold: Some(threshold),
            is_reliable,
            reason,
            rule,
            notes,
            trace_state: trace_state.or(loser.2),
        }
    }
}

impl<'a> Notes<'a> {
    fn into_many(self, from: Threshold) -> Vec<Note<'a>> {
        match self {
            Self::None => Vec::new(),
            Self::One(attributes) => vec![Note { from, attributes }],
            Self::Many(notes) => notes,
        }
    }
}

fn merged<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<KeyValue> {
    let mut merged: Vec<KeyValue> = Vec::new();
    for attribute in attributes {
        match merged.iter_mut().find(|earlier| earlier.key == attribute.key) {
            Some(earlier) => earlier.clone_from(attribute),
            None => merged.push(attribute.clone()),
        }
    }
    merged
}
