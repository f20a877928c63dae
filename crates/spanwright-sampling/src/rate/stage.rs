//! What adaptive and limiting samplers have in common.

use std::sync::Arc;

use super::governor::Governor;
use crate::composable::ComposableSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::StartingSpan;

/// Keeps a share of what another sampler wants, or of everything.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) governor: Arc<Governor>,
    delegate: Option<Arc<dyn ComposableSampler>>,
    reason: Reason,
}

impl Stage {
    pub(super) fn new(governor: Governor, delegate: Option<Arc<dyn ComposableSampler>>, reason: Reason) -> Self {
        Self {
            governor: Arc::new(governor),
            delegate,
            reason,
        }
    }

    #[inline(always)]
    pub(super) fn intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        if let Some(delegate) = &self.delegate {
            return self.intent_for(*span, &**delegate);
        }
        let threshold = if span.is_rehearsal() {
            self.governor.rehearse(Threshold::ALWAYS)
        } else {
            self.governor.decide()
        };
        self.explain(span, threshold);
        match threshold {
            Some(threshold) => Intent::keep_at(threshold, self.reason),
            None => Intent::drop(Reason::Burst),
        }
    }

    /// `goal`, and what comes first.
    pub(super) fn description(&self, name: &str, goal: &str) -> String {
        match &self.delegate {
            Some(delegate) => format!("{name}{{{goal},{}}}", delegate.description()),
            None => format!("{name}{{{goal}}}"),
        }
    }

    #[inline(never)]
    fn intent_for<'a>(&self, span: StartingSpan<'a>, delegate: &'a dyn ComposableSampler) -> Intent<'a> {
        let span = &span;
        let intent = delegate.sampling_intent(span);
        let Some(wanted) = intent.threshold() else {
            if !span.is_rehearsal() {
                self.governor.note_unwanted();
            }
            return intent;
        };
        let threshold = if span.is_rehearsal() {
            self.governor.rehearse(wanted)
        } else {
            // A parent that was kept at a threshold says something of the trace's randomness.
            let given = span.parent_threshold().filter(|_| intent.is_reliable());
            self.governor.decide_for(wanted, given.unwrap_or_default())
        };
        self.explain(span, threshold);
        let reason = if threshold.is_some() {
            self.reason
        } else {
            Reason::Burst
        };
        intent.with_threshold(threshold, reason)
    }

    #[inline(always)]
    fn explain(&self, span: &StartingSpan<'_>, threshold: Option<Threshold>) {
        span.explain(|| match threshold {
            Some(threshold) => format!("{}: wants a share of {}", self.reason, threshold.probability()),
            None => format!("{}: as much as may be was kept within a second", self.reason),
        });
    }
}
