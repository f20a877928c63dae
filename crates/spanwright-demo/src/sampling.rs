//! Which traces are kept: a few ways, each with a name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::ShouldSample;
use spanwright_core::{BuildError, Pressure};
use spanwright_sampling::{
    AdaptiveSampler, AlwaysOn, AlwaysRecord, ComposableSampler, CompositeSampler, ConsistentProbability,
    ParentThreshold, PerKeySampler, Predicate, PrioritySampler, Probability, RateLimitingSampler, Reason, Rule,
    RuleBased, SamplerStats, SpanKey, TailPolicy, TailSampler, TailStats,
};

use crate::choices::Sampling;

/// For every way that holds a rate: traces per second.
const PER_SECOND: f64 = 100.0;
/// For every way that keeps a share.
const RATIO: f64 = 0.1;
/// What a request of the shop takes if one of its backends is slow.
const SLOW: Duration = Duration::from_millis(30);

/// A sampler, what decides at the end of traces, if anything does, and how to look at both.
pub(crate) struct Sampler {
    pub(crate) head: Box<dyn ShouldSample>,
    pub(crate) tail: Option<TailSampler>,
    pub(crate) watch: Watch,
}

/// Looks at what was decided. Clones look at the same.
#[derive(Clone)]
pub(crate) enum Watch {
    Head(Arc<dyn Fn() -> SamplerStats + Send + Sync>),
    Tail(TailSampler),
}

/// How many of the traces that began here are kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) kept: u64,
    pub(crate) dropped: u64,
    /// The same by rule or policy, or by reason where there is neither.
    pub(crate) by: Vec<Why>,
}

/// A reason, and what was decided for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Why {
    pub(crate) name: String,
    pub(crate) kept: u64,
    pub(crate) dropped: u64,
}

impl Sampler {
    /// The sampler of this name. What adapts lowers its rate under `pressure`.
    pub(crate) fn start(sampling: Sampling, pressure: Pressure) -> Result<Self, BuildError> {
        Ok(match sampling {
            Sampling::AlwaysOn => Self::head(always_on()),
            Sampling::Ratio => Self::head(ConsistentProbability::of(RATIO)?),
            Sampling::RateLimiting => Self::head(RateLimitingSampler::traces_per_second(PER_SECOND).spawn()?),
            Sampling::Adaptive => Self::head(
                AdaptiveSampler::builder()
                    .target_per_second(PER_SECOND)
                    .with_pressure(pressure)
                    .spawn()?,
            ),
            Sampling::Priority => Self::head(
                PrioritySampler::builder()
                    .with_priority("checkout", 1.0)
                    .with_priority("recommend", 0.2)
                    .with_default_ratio(0.01)
                    .build()?,
            ),
            Sampling::Rules => Self::head(CompositeSampler::new(ParentThreshold::new(rules()?))),
            Sampling::PerKey => Self::head(
                PerKeySampler::builder()
                    .key(SpanKey::attribute("http.route"))
                    .target_per_second(PER_SECOND)
                    .spawn()?,
            ),
            Sampling::Tail => {
                let tail = TailSampler::builder()
                    .with_policy(TailPolicy::errors())
                    .with_policy(TailPolicy::slower_than(SLOW))
                    .with_policy(TailPolicy::probability(0.01))
                    .build()?;
                Self {
                    head: Box::new(AlwaysRecord::new(always_on())),
                    watch: Watch::Tail(tail.clone()),
                    tail: Some(tail),
                }
            }
        })
    }

    fn head<S: ComposableSampler>(sampler: CompositeSampler<S>) -> Self {
        let watched = sampler.clone();
        Self {
            head: Box::new(sampler),
            tail: None,
            watch: Watch::Head(Arc::new(move || watched.stats())),
        }
    }
}

fn always_on() -> CompositeSampler<ParentThreshold<AlwaysOn>> {
    CompositeSampler::new(ParentThreshold::new(AlwaysOn))
}

/// Looking is rare, buying is not to be missed.
fn rules() -> Result<RuleBased, BuildError> {
    RuleBased::builder()
        .rule(
            Rule::new("buying")
                .when(Predicate::name_glob("GET /checkout*"))
                .then(AlwaysOn),
        )
        .rule(
            Rule::new("looking")
                .when(Predicate::attribute_values("http.route", ["/catalog/{id}"]))
                .then(Probability::new(0.01)?),
        )
        .rule(Rule::new("rest").then(Probability::new(RATIO)?))
        .build()
}

impl Watch {
    pub(crate) fn kept(&self) -> Kept {
        match self {
            Self::Head(stats) => Kept::by_head(&stats()),
            Self::Tail(tail) => Kept::by_tail(&tail.stats()),
        }
    }
}

impl Kept {
    /// Of all traces, the share that is kept, 0 to 1. `None` if there were none.
    pub(crate) fn share(&self) -> Option<f64> {
        let all = self.kept + self.dropped;
        (all > 0).then(|| self.kept as f64 / all as f64)
    }

    /// What was decided since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            kept: self.kept.saturating_sub(earlier.kept),
            dropped: self.dropped.saturating_sub(earlier.dropped),
            by: Vec::new(),
        }
    }

    /// Whoever has a parent follows it, and is no trace of its own.
    fn by_head(stats: &SamplerStats) -> Self {
        let rules = stats
            .rules
            .iter()
            .map(|count| Why::new(&count.rule, count.kept, count.dropped));
        let roots = stats.decisions.iter().filter(|count| count.reason != Reason::Parent);
        let reasons = roots.map(|count| Why::new(count.reason.as_str(), count.kept, count.dropped));
        let by: Vec<_> = if stats.rules.is_empty() {
            reasons.collect()
        } else {
            rules.collect()
        };
        Self::sum(by)
    }

    fn by_tail(stats: &TailStats) -> Self {
        let policies = stats.policies.iter();
        Self::sum(
            policies
                .map(|count| Why::new(&count.policy, count.kept, count.dropped))
                .collect(),
        )
    }

    fn sum(by: Vec<Why>) -> Self {
        Self {
            kept: by.iter().map(|why| why.kept).sum(),
            dropped: by.iter().map(|why| why.dropped).sum(),
            by,
        }
    }
}

impl Why {
    fn new(name: &str, kept: u64, dropped: u64) -> Self {
        Self {
            name: name.to_owned(),
            kept,
            dropped,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.kept()).finish()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceContextExt, TraceId};
    use opentelemetry::{Context, KeyValue};

    use super::*;

    fn decide(sampler: &Sampler, route: &str, traces: u128) {
        for trace in 1..=traces {
            let id = TraceId::from(trace.wrapping_mul(0x9e37_79b9_7f4a_7c15_9e37_79b9_7f4a_7c15));
            let attributes = [KeyValue::new("http.route", route.to_owned())];
            let name = format!("GET {route}");
            sampler
                .head
                .should_sample(None, id, &name, &SpanKind::Server, &attributes, &[]);
        }
    }

    #[test]
    fn every_name_makes_a_sampler_and_traces_are_counted_by_why() {
        for sampling in Sampling::ALL {
            let sampler = Sampler::start(*sampling, Pressure::new()).expect("well-formed");
            decide(&sampler, "/catalog/{id}", 1000);
            let kept = sampler.watch.kept();
            let decided = if *sampling == Sampling::Tail { 0 } else { 1000 };
            assert_eq!(
                kept.kept + kept.dropped,
                decided,
                "{sampling:?}: the tail decides later"
            );
        }
    }

    #[test]
    fn rules_are_shown_by_name_and_children_do_not_count() {
        let sampler = Sampler::start(Sampling::Rules, Pressure::new()).expect("well-formed");
        decide(&sampler, "/checkout", 50);
        decide(&sampler, "/catalog/{id}", 1000);
        let parent = opentelemetry::trace::SpanContext::new(
            TraceId::from(7),
            opentelemetry::trace::SpanId::from(7),
            opentelemetry::trace::TraceFlags::SAMPLED,
            false,
            opentelemetry::trace::TraceState::NONE,
        );
        let parent = Context::new().with_remote_span_context(parent);
        sampler
            .head
            .should_sample(Some(&parent), TraceId::from(7), "child", &SpanKind::Internal, &[], &[]);
        let kept = sampler.watch.kept();
        assert_eq!(kept.by[0], Why::new("buying", 50, 0));
        assert_eq!(kept.by[1].kept + kept.by[1].dropped, 1000);
        assert_eq!(kept.kept + kept.dropped, 1050);
        assert!(kept.by[1].kept < 40, "{kept:?}");
    }
}
