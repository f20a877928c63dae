//! What another sampler would have decided.

use std::fmt;
use std::sync::Arc;

use crate::counter::Counters;
use crate::sampler::{Decision, Outcome, Sampler};
use crate::span::{ParentOrigin, StartingSpan};

/// Decides as one sampler does, and counts what another would have decided, without acting on it.
///
/// To try a configuration on the traffic of production before it counts. Both samplers are asked about every span, so that one that
/// adapts sees the traffic that it would have. Spans with a local parent follow what was really decided for that, under either; what
/// is to be compared are the others.
///
/// # Cost
///
/// Both decisions, and a nanosecond to count.
#[derive(Clone)]
pub struct Shadow<S, T> {
    acting: S,
    shadow: T,
    counters: Arc<Counters>,
}

/// How the decisions of two samplers compare.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShadowStats {
    /// Spans without a parent in this process, for which both decided by themselves.
    pub local_roots: Comparison,
    /// Spans with one.
    pub children: Comparison,
}

/// How many spans two samplers kept and dropped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Kept, and the other would have kept them too.
    pub kept_by_both: u64,
    /// Kept, and the other would have dropped them.
    pub kept_by_acting: u64,
    /// Dropped, and the other would have kept them.
    pub kept_by_shadow: u64,
    /// Dropped, and the other would have dropped them too.
    pub dropped_by_both: u64,
}

const LOCAL_ROOTS: usize = 0;
const CHILDREN: usize = 4;
const COUNTERS: usize = 8;

impl<S: Sampler, T: Sampler> Shadow<S, T> {
    /// `acting` decides, and `shadow` is asked too.
    pub fn new(acting: S, shadow: T) -> Self {
        Self {
            acting,
            shadow,
            counters: Arc::new(Counters::new(COUNTERS)),
        }
    }

    /// The one that decides.
    pub const fn acting(&self) -> &S {
        &self.acting
    }

    /// The one that would have decided.
    pub const fn shadow(&self) -> &T {
        &self.shadow
    }

    /// How their decisions compare so far.
    #[must_use]
    pub fn stats(&self) -> ShadowStats {
        ShadowStats {
            local_roots: self.comparison(LOCAL_ROOTS),
            children: self.comparison(CHILDREN),
        }
    }

    fn comparison(&self, first: usize) -> Comparison {
        let count = |acting, shadow| self.counters.sum(first + column(acting, shadow));
        Comparison {
            kept_by_both: count(true, true),
            kept_by_acting: count(true, false),
            kept_by_shadow: count(false, true),
            dropped_by_both: count(false, false),
        }
    }
}

impl Comparison {
    /// How many spans the acting sampler has kept.
    #[must_use]
    pub const fn kept(&self) -> u64 {
        self.kept_by_both + self.kept_by_acting
    }

    /// How many the other one would have kept.
    #[must_use]
    pub const fn would_be_kept(&self) -> u64 {
        self.kept_by_both + self.kept_by_shadow
    }
}

impl<S: Sampler, T: Sampler> Sampler for Shadow<S, T> {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        let decision = self.acting.sample(span);
        span.explain(|| "in the shadow, without effect:".to_owned());
        let shadow = self.shadow.sample(span);
        if !span.is_rehearsal() {
            let first = match span.parent_origin() {
                ParentOrigin::Local => CHILDREN,
                ParentOrigin::None | ParentOrigin::Remote => LOCAL_ROOTS,
            };
            self.counters
                .add(first + column(is_kept(&decision), is_kept(&shadow)), 1);
        }
        decision
    }

    fn description(&self) -> String {
        format!("Shadow{{{},{}}}", self.acting.description(), self.shadow.description())
    }
}

const fn column(acting: bool, shadow: bool) -> usize {
    2 * acting as usize + shadow as usize
}

fn is_kept(decision: &Decision) -> bool {
    decision.outcome == Outcome::RecordAndSample
}

impl<S: fmt::Debug, T: fmt::Debug> fmt::Debug for Shadow<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow")
            .field("acting", &self.acting)
            .field("shadow", &self.shadow)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::TraceId;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};

    use super::*;
    use crate::composable::{AlwaysOff, AlwaysOn, ParentThreshold, Probability};
    use crate::composite::CompositeSampler;

    fn half() -> CompositeSampler<ParentThreshold<Probability>> {
        CompositeSampler::new(ParentThreshold::new(Probability::new(0.5).expect("a ratio")))
    }

    /// Kept by half of all samplers, or not.
    fn trace(is_kept: bool) -> TraceId {
        TraceId::from(if is_kept { u128::from(u64::MAX) } else { 1 << 64 })
    }

    #[test]
    fn the_acting_one_decides_and_the_difference_is_counted() {
        let sampler = Shadow::new(CompositeSampler::new(AlwaysOn), half());
        for is_kept in [true, false, false] {
            let span = StartingSpan::new(None, trace(is_kept), "span", &SpanKind::Server);
            assert_eq!(sampler.sample(&span).outcome, Outcome::RecordAndSample);
        }
        let roots = sampler.stats().local_roots;
        assert_eq!(
            (roots.kept_by_both, roots.kept_by_acting, roots.kept_by_shadow),
            (1, 2, 0)
        );
        assert_eq!((roots.kept(), roots.would_be_kept(), roots.dropped_by_both), (3, 1, 0));
        assert_eq!(sampler.stats().children, Comparison::default());
        assert_eq!(
            sampler.shadow().stats().dropped(),
            2,
            "the shadow has accounts of its own"
        );
    }

    #[test]
    fn a_child_in_this_process_counts_apart_and_a_question_not_at_all() {
        let sampler = Shadow::new(half(), CompositeSampler::new(AlwaysOff));
        let flags = TraceFlags::SAMPLED;
        let parent = SpanContext::new(trace(true), SpanId::from(1), flags, false, TraceState::NONE);
        let span = StartingSpan::new(Some(&parent), trace(true), "span", &SpanKind::Internal);
        assert_eq!(sampler.sample(&span).outcome, Outcome::RecordAndSample);
        let stats = sampler.stats();
        assert_eq!(
            (stats.children.kept_by_acting, stats.local_roots),
            (1, Comparison::default())
        );
        let steps = sampler.explain(&span);
        assert_eq!(sampler.stats(), stats);
        assert!(steps.last().expect("steps").starts_with("dropped"));
    }
}
