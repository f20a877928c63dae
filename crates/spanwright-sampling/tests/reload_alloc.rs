//! What a decision costs in memory: nothing that the sampler inside would not cost alone.

use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use spanwright_core::Env;
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, ComposableSampler, CompositeSampler, ConfiguredSampler, ParentThreshold, Probability,
    ReloadableSampler, Sampler, StartingSpan,
};
use spanwright_testing::{Allocations, CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn cost(sampler: &impl Sampler) -> Allocations {
    let decide = || {
        let span = StartingSpan::new(None, TraceId::from(u128::MAX), "span", &SpanKind::Server);
        sampler.sample(&span)
    };
    // The first one of a thread takes its place among those that count.
    decide();
    allocations(|| drop(decide()))
}

fn costs_as_much_inside(sampler: impl ComposableSampler + Clone) {
    let alone = cost(&CompositeSampler::new(sampler.clone()));
    let reloadable = ReloadableSampler::builder().build().expect("no settings");
    reloadable.handle().replace(sampler);
    assert_eq!(cost(&reloadable), alone);
}

#[test]
fn a_reloadable_sampler_allocates_what_the_one_inside_does() {
    costs_as_much_inside(AlwaysOff);
    costs_as_much_inside(AlwaysOn);
    costs_as_much_inside(ParentThreshold::new(Probability::new(0.5).expect("a ratio")));
}

/// A service that says nothing of sampling does not pay for trace states.
#[test]
fn the_default_sampler_of_the_environment_allocates_nothing() {
    for name in ["", "always_on", "always_off", "parentbased_always_on"] {
        let sampler = ConfiguredSampler::from_env(&Env::from_pairs([("OTEL_TRACES_SAMPLER", name)]));
        assert_eq!(cost(&sampler), Allocations::default(), "{name}");
    }
}
