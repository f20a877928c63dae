//! By where the parent is, and whether it was sampled.

use std::sync::Arc;

use crate::composable::ComposableSampler;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::{ParentOrigin, StartingSpan};
use crate::tally::Tally;

/// Asks one of five samplers, by where the parent is and whether it was sampled.
///
/// | parent | asked | default |
/// |---|---|---|
/// | none | the root's | |
/// | remote, sampled | `remote_parent_sampled` | as the parent |
/// | remote, not sampled | `remote_parent_not_sampled` | not sampled |
/// | local, sampled | `local_parent_sampled` | as the parent |
/// | local, not sampled | `local_parent_not_sampled` | not sampled |
///
/// # Weights
///
/// A sampler that is asked only because the parent was sampled sees a part of the traffic, so its threshold alone says too little:
/// what is kept then must have reached both. That is `max(T of the parent, T)`, and nothing reliable if the parent has none. Spans
/// whose parent was not sampled are those with a randomness below a threshold that nobody has written down: what a sampler keeps of
/// them has no weight. The specification's `ParentBased` hands such thresholds on as if they had.
///
/// # Source
///
/// [SDK, ParentBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased).
#[derive(Debug)]
pub(super) struct ByParent {
    pub(super) root: Branch,
    pub(super) remote_parent_sampled: Option<Branch>,
    pub(super) remote_parent_not_sampled: Option<Branch>,
    pub(super) local_parent_sampled: Option<Branch>,
    pub(super) local_parent_not_sampled: Option<Branch>,
}

pub(super) type Branch = Arc<dyn ComposableSampler>;

impl ByParent {
    fn branch(&self, origin: ParentOrigin, is_sampled: bool) -> Option<&Branch> {
        match (origin, is_sampled) {
            (ParentOrigin::None, _) => Some(&self.root),
            (ParentOrigin::Local, true) => self.local_parent_sampled.as_ref(),
            (ParentOrigin::Local, false) => self.local_parent_not_sampled.as_ref(),
            (ParentOrigin::Remote, true) => self.remote_parent_sampled.as_ref(),
            (ParentOrigin::Remote, false) => self.remote_parent_not_sampled.as_ref(),
        }
    }

    fn branches(&self) -> [(&'static str, Option<&Branch>); 5] {
        [
            ("root", Some(&self.root)),
            ("remoteParentSampled", self.remote_parent_sampled.as_ref()),
            ("remoteParentNotSampled", self.remote_parent_not_sampled.as_ref()),
            ("localParentSampled", self.local_parent_sampled.as_ref()),
            ("localParentNotSampled", self.local_parent_not_sampled.as_ref()),
        ]
    }
}

impl ComposableSampler for ByParent {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let origin = span.parent_origin();
        let is_sampled = span.parent().is_some_and(|parent| parent.is_sampled());
        let branch = self.branch(origin, is_sampled);
        span.explain(|| format!("parent based: {}", situation(origin, is_sampled, branch.is_some())));
        match (branch, is_sampled) {
            (Some(root), _) if origin == ParentOrigin::None => root.sampling_intent(span),
            (Some(branch), true) => within_parent(branch.sampling_intent(span), span.parent_threshold()),
            (Some(branch), false) => branch.sampling_intent(span).unreliable(),
            (None, true) => as_parent(span),
            (None, false) => Intent::drop(Reason::Parent),
        }
    }

    fn description(&self) -> String {
        let branches = self.branches().into_iter();
        let described = branches.filter_map(|(name, branch)| Some(format!("{name}={}", branch?.description())));
        format!("ComposableParentBased{{{}}}", described.collect::<Vec<_>>().join(","))
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        let branches = self.branches().into_iter().filter_map(|(_, branch)| branch);
        branches.for_each(|branch| branch.visit_tallies(visit));
    }
}

/// What is wanted of the traces that the parent's sampler has kept.
fn within_parent<'a>(wanted: Intent<'a>, parent: Option<Threshold>) -> Intent<'a> {
    let (Some(own), Some(parent)) = (wanted.threshold(), parent) else {
        return wanted.unreliable();
    };
    // Whoever wants every span wants what there is, and that is as likely as the parent was.
    if own == Threshold::ALWAYS {
        return wanted.with_reliable_threshold(parent);
    }
    if !wanted.is_reliable() {
        return wanted;
    }
    let reason = wanted.reason();
    wanted.with_threshold(Some(own.max(parent)), reason)
}

fn as_parent<'a>(span: &StartingSpan<'a>) -> Intent<'a> {
    match span.parent_threshold() {
        Some(threshold) => Intent::keep_at(threshold, Reason::Parent),
        None => Intent::keep_at(Threshold::ALWAYS, Reason::Parent).unreliable(),
    }
}

fn situation(origin: ParentOrigin, is_sampled: bool, has_branch: bool) -> String {
    let origin = match origin {
        ParentOrigin::None => return "no parent, so the root's sampler is asked".to_owned(),
        ParentOrigin::Local => "local",
        ParentOrigin::Remote => "remote",
    };
    let was = if is_sampled { "was" } else { "was not" };
    let then = if has_branch {
        "its branch is asked"
    } else {
        "so it is with the span"
    };
    format!("the {origin} parent {was} sampled, {then}")
}

#[cfg(test)]
mod tests {
    use opentelemetry::TraceId;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};

    use super::*;
    use crate::composable::{AlwaysOff, AlwaysOn, Probability};

    const HALF: &str = "8";

    fn probability(ratio: f64) -> Option<Branch> {
        Some(Arc::new(Probability::new(ratio).expect("a ratio")))
    }

    fn with_remote_parent_sampled(branch: Option<Branch>) -> ByParent {
        ByParent {
            root: Arc::new(AlwaysOn),
            remote_parent_sampled: branch,
            remote_parent_not_sampled: None,
            local_parent_sampled: None,
            local_parent_not_sampled: None,
        }
    }

    /// `th` of what is wanted: `-` for nothing, and a question mark where it is not reliable.
    fn wanted(sampler: &ByParent, is_remote: bool, is_sampled: bool, th: Option<&str>) -> String {
        let trace_id = TraceId::from(u128::from(u64::MAX));
        let ot = th.map(|th| TraceState::from_key_value([("ot", format!("th:{th}"))]).expect("a trace state"));
        let flags = TraceFlags::default().with_sampled(is_sampled);
        let parent = SpanContext::new(trace_id, SpanId::from(1), flags, is_remote, ot.unwrap_or_default());
        let span = StartingSpan::new(Some(&parent), trace_id, "span", &SpanKind::Server);
        let intent = sampler.sampling_intent(&span);
        match intent.threshold() {
            None => "-".to_owned(),
            Some(threshold) if intent.is_reliable() => threshold.to_string(),
            Some(threshold) => format!("{threshold}?"),
        }
    }

    #[test]
    fn each_parent_has_its_branch() {
        let sampler = ByParent {
            root: Arc::new(AlwaysOff),
            remote_parent_sampled: probability(0.25),
            remote_parent_not_sampled: probability(0.125),
            local_parent_sampled: Some(Arc::new(AlwaysOff)),
            local_parent_not_sampled: Some(Arc::new(AlwaysOn)),
        };
        assert_eq!(wanted(&sampler, true, true, Some(HALF)), "c");
        assert_eq!(wanted(&sampler, true, false, None), "e?");
        assert_eq!(wanted(&sampler, false, true, Some(HALF)), "-");
        assert_eq!(wanted(&sampler, false, false, None), "0?");
        let root = StartingSpan::new(None, TraceId::from(1), "span", &SpanKind::Server);
        assert_eq!(sampler.sampling_intent(&root).reason(), Reason::AlwaysOff);
        assert_eq!(
            sampler.description(),
            "ComposableParentBased{root=ComposableAlwaysOff,remoteParentSampled=ComposableProbability{0.25},\
             remoteParentNotSampled=ComposableProbability{0.125},localParentSampled=ComposableAlwaysOff,\
             localParentNotSampled=ComposableAlwaysOn}"
        );
    }

    #[test]
    fn without_a_branch_it_is_as_the_parent() {
        let sampler = with_remote_parent_sampled(None);
        for is_remote in [true, false] {
            assert_eq!(wanted(&sampler, is_remote, true, Some(HALF)), HALF);
            assert_eq!(wanted(&sampler, is_remote, true, None), "0?");
            assert_eq!(wanted(&sampler, is_remote, false, None), "-");
        }
    }

    /// A larger share than the parent's cannot be had of its traces, and must not be said to be.
    #[test]
    fn what_is_kept_has_reached_both_thresholds() {
        let with = |ratio| with_remote_parent_sampled(probability(ratio));
        assert_eq!(wanted(&with(0.75), true, true, Some(HALF)), HALF);
        assert_eq!(wanted(&with(0.25), true, true, Some(HALF)), "c");
        assert_eq!(wanted(&with(0.25), true, true, None), "c?");
        let always = with_remote_parent_sampled(Some(Arc::new(AlwaysOn)));
        assert_eq!(wanted(&always, true, true, Some(HALF)), HALF);
        assert_eq!(wanted(&always, true, true, None), "0?");
    }
}
