//! A sampler's decision about a span that starts, and nothing else.

use std::any::Any;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, KeyValue, TraceId};
use opentelemetry_sdk::trace::{Sampler as StockSampler, SamplingDecision, SamplingResult, ShouldSample};
use spanwright_core::{Clock, SystemClock};
use spanwright_sampling::{
    AdaptiveSampler, CompositeSampler, ConsistentProbability, ParentThreshold, PerKeySampler, Predicate, Probability,
    Rule, RuleBased, SpanKey,
};

use crate::command::Failure;
use crate::measure::thread_cpu;
use crate::sample::Sample;
use crate::settings::{Settings, Side};

/// Spans that are decided about again and again; they are made before.
const BATCH: usize = 512;

/// Batches that are not timed, and for an adaptive sampler a second that it does not see again.
const WARM_UP: usize = 100;

/// So rare that what is measured is the decision and not the keeping.
const RARE: f64 = 1e-6;

/// What is decided about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Case {
    /// A root under a fixed probability, dropped.
    #[default]
    Probability,
    /// A root under a controller that holds one trace per second, dropped.
    Adaptive,
    /// A root that the last of ten rules with globs is for, dropped.
    Rules,
    /// A root under a budget that five hundred routes share, dropped.
    Keys,
    /// A root that is kept, with its threshold written to the trace state.
    Root,
    /// The child of a sampled parent whose trace state has a threshold and two members of others.
    Child,
}

/// How long it takes.
pub(crate) fn time(settings: &Settings) -> Result<Sample, Failure> {
    let sampler = sampler(settings)?;
    let barrier = Barrier::new(settings.threads);
    let cost = thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads)
            .map(|number| {
                let (sampler, barrier) = (&*sampler, &barrier);
                scope.spawn(move || application_thread(sampler, barrier, settings, number as u64))
            })
            .collect();
        let mut costs = threads.into_iter().map(thread::ScopedJoinHandle::join);
        costs.try_fold((Duration::ZERO, Duration::ZERO, 0), |sum, cost| {
            let cost = cost?;
            Ok((sum.0 + cost.0, sum.1 + cost.1, sum.2 + cost.2))
        })
    });
    let (cpu, wall, kept) = cost.map_err(|_: Box<dyn Any + Send>| "a thread panicked")?;
    Ok(Sample::default()
        .with_ns("cpu_ns", cpu)
        .with_ns("wall_ns", wall)
        .with("measured", settings.threads * settings.batches * BATCH)
        .with("kept", kept))
}

/// How often it asks for memory. Under [`CountingAllocator`](spanwright_testing::CountingAllocator) only.
pub(crate) fn allocations(settings: &Settings) -> Result<Sample, Failure> {
    let sampler = sampler(settings)?;
    let spans = Spans::new(settings.case, 1);
    spans.decide(&*sampler);
    let mut count = 0;
    for _ in 0..settings.batches {
        count += spanwright_testing::allocations(|| _ = spans.decide(&*sampler)).count;
    }
    Ok(Sample::default()
        .with("allocations", count)
        .with("measured", settings.batches * BATCH))
}

fn sampler(settings: &Settings) -> Result<Box<dyn ShouldSample>, Failure> {
    Ok(match (settings.side, settings.case) {
        (Side::Noop, _) => Box::new(Nothing),
        (Side::Ours, case) => ours(case)?,
        (Side::Stock, Case::Probability | Case::Adaptive | Case::Rules | Case::Keys) => {
            StockSampler::parent_based(StockSampler::TraceIdRatioBased(RARE)).into()
        }
        (Side::Stock, Case::Root | Case::Child) => StockSampler::parent_based(StockSampler::AlwaysOn).into(),
    })
}

fn ours(case: Case) -> Result<Box<dyn ShouldSample>, Failure> {
    Ok(match case {
        Case::Probability => Box::new(ConsistentProbability::of(RARE)?),
        Case::Adaptive => Box::new(AdaptiveSampler::builder().target_per_second(1.0).spawn()?),
        Case::Rules => Box::new(CompositeSampler::new(ParentThreshold::new(rules()?))),
        Case::Keys => Box::new(
            PerKeySampler::builder()
                .key(SpanKey::span_name())
                .target_per_second(1.0)
                .spawn()?,
        ),
        Case::Root | Case::Child => Box::new(ConsistentProbability::of(0.9999)?),
    })
}

/// Ten globs that have much in common, as routes have.
fn rules() -> Result<RuleBased, Failure> {
    let mut rules = RuleBased::builder();
    for number in 0..10 {
        let pattern = format!("GET /api/v{number}/*");
        let rule = Rule::new(pattern.clone()).when(Predicate::name_glob(&pattern)?);
        rules = rules.rule(rule.then(Probability::new(RARE)?));
    }
    Ok(rules.build()?)
}

fn application_thread(
    sampler: &dyn ShouldSample,
    barrier: &Barrier,
    settings: &Settings,
    number: u64,
) -> (Duration, Duration, usize) {
    let spans = Spans::new(settings.case, number + 1);
    (0..WARM_UP).for_each(|_| _ = spans.decide(sampler));
    barrier.wait();
    let (wall, cpu): (Instant, _) = (SystemClock.now(), thread_cpu());
    let kept = (0..settings.batches).map(|_| spans.decide(sampler)).sum();
    (thread_cpu() - cpu, SystemClock.now() - wall, kept)
}

/// Spans that are about to start.
struct Spans {
    ids_and_names: Vec<(TraceId, String)>,
    /// As the SDK passes it: without a parent, an empty one.
    parent: Context,
    attributes: [KeyValue; 3],
}

impl Spans {
    fn new(case: Case, seed: u64) -> Self {
        let name = |number: usize| match case {
            Case::Keys => format!("GET /api/v1/resource-{number}"),
            _ => "GET /api/v9/orders/{id}".to_owned(),
        };
        let mut ids = Ids(seed);
        Self {
            ids_and_names: (0..BATCH)
                .map(|number| (TraceId::from(ids.next()), name(number)))
                .collect(),
            parent: if case == Case::Child {
                sampled_parent()
            } else {
                Context::new()
            },
            attributes: [
                KeyValue::new("http.request.method", "GET"),
                KeyValue::new("http.route", "/api/v9/orders/{id}"),
                KeyValue::new("server.port", 443),
            ],
        }
    }

    /// A function of its own, so that a profiler can be told to count this and nothing else.
    #[inline(never)]
    fn decide(&self, sampler: &dyn ShouldSample) -> usize {
        let mut kept = 0;
        for (id, name) in &self.ids_and_names {
            let result = sampler.should_sample(
                black_box(Some(&self.parent)),
                black_box(*id),
                name,
                &SpanKind::Server,
                &self.attributes,
                &[],
            );
            kept += usize::from(black_box(result).decision == SamplingDecision::RecordAndSample);
        }
        kept
    }
}

fn sampled_parent() -> Context {
    let members = [("ot", "th:0"), ("vendor", "00f067aa0ba902b7"), ("other", "t61rcWkgMzE")];
    let trace_state = TraceState::from_key_value(members).unwrap_or_default();
    let flags = TraceFlags::SAMPLED;
    let parent = SpanContext::new(TraceId::from(u128::MAX), SpanId::from(1), flags, true, trace_state);
    Context::new().with_remote_span_context(parent)
}

/// Splitmix64.
struct Ids(u64);

impl Ids {
    fn next(&mut self) -> u128 {
        let mut half = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        u128::from(half()) << 64 | u128::from(half())
    }
}

/// What asking costs.
#[derive(Clone, Debug)]
struct Nothing;

impl ShouldSample for Nothing {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

impl FromStr for Case {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        Ok(match name {
            "probability" => Self::Probability,
            "adaptive" => Self::Adaptive,
            "rules" => Self::Rules,
            "keys" => Self::Keys,
            "root" => Self::Root,
            "child" => Self::Child,
            _ => return Err("a case is probability, adaptive, rules, keys, root or child"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_ten_rules_is_the_one_that_decides() {
        let sampler = CompositeSampler::new(rules().expect("well-formed"));
        let spans = Spans::new(Case::Rules, 1);
        spans.decide(&sampler);
        let stats = sampler.stats();
        assert_eq!(stats.rules.len(), 10);
        assert_eq!(stats.rules[9].dropped, BATCH as u64, "{stats:?}");
    }

    #[test]
    fn a_kept_root_has_its_threshold_and_a_child_its_parents_and_the_other_members() {
        let sampler = ours(Case::Root).expect("well-formed");
        let id = TraceId::from(u128::MAX);
        let state = |parent| {
            sampler
                .should_sample(parent, id, "x", &SpanKind::Server, &[], &[])
                .trace_state
        };
        assert!(state(None).header().starts_with("ot=th:"), "{}", state(None).header());
        assert_eq!(
            state(Some(&sampled_parent())).header(),
            "ot=th:0,vendor=00f067aa0ba902b7,other=t61rcWkgMzE"
        );
    }
}
