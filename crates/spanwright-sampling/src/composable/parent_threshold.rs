//! As the parent.

use super::ComposableSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::tally::Tally;

/// Wants what was decided for the parent, and asks another sampler where there is none.
///
/// A parent without a threshold that was sampled makes for a sampled span whose weight is unknown.
#[derive(Clone, Debug)]
pub struct ParentThreshold<R> {
    root: R,
}

impl<R: ComposableSampler> ParentThreshold<R> {
    /// `root` decides for spans without a parent.
    pub const fn new(root: R) -> Self {
        Self { root }
    }

    /// What decides for spans without a parent.
    pub const fn root(&self) -> &R {
        &self.root
    }
}

impl<R: ComposableSampler> ComposableSampler for ParentThreshold<R> {
    #[inline(always)]
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let Some(parent) = span.parent() else {
            span.explain(|| "parent threshold: no parent, so the root's sampler is asked".to_owned());
            return self.root.sampling_intent(span);
        };
        if let Some(threshold) = span.parent_threshold() {
            span.explain(|| format!("parent threshold: the parent has th:{threshold}"));
            return Intent::keep_at(threshold, Reason::Parent);
        }
        span.explain(|| {
            let was = if parent.is_sampled() { "was" } else { "was not" };
            format!("parent threshold: the parent has no threshold that can be used, and {was} sampled")
        });
        if parent.is_sampled() {
            Intent::keep_at(Threshold::ALWAYS, Reason::Parent).unreliable()
        } else {
            Intent::drop(Reason::Parent)
        }
    }

    fn description(&self) -> String {
        format!("ComposableParentThreshold{{root={}}}", self.root.description())
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        self.root.visit_tallies(visit);
    }
}
