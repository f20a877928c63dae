//! Every sampler of the crate holds to the same contract.

mod support;

use opentelemetry::KeyValue;
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, Annotating, AnyOf, ComposableSampler, CompositeSampler, ParentThreshold, Precision,
    Probability, Shadow,
};

use self::support::contract::hold;

fn half() -> Probability {
    Probability::new(0.5).expect("in range")
}

fn composite(sampler: impl ComposableSampler) {
    hold(CompositeSampler::new(sampler), |sampler| sampler.stats());
}

/// A line for each of them.
#[test]
fn composable_samplers_hold_the_contract() {
    composite(AlwaysOff);
    composite(AlwaysOn);
    composite(half());
    composite(half().with_precision(Precision::new(1).unwrap()));
    composite(Probability::new(0.0).unwrap());
    composite(Probability::new(1.0 / 3.0).unwrap());
    composite(ParentThreshold::new(half()));
    composite(Annotating::new(half(), [KeyValue::new("a", 1)]));
    composite(AnyOf::new([
        Box::new(half()) as Box<dyn ComposableSampler>,
        Box::new(AlwaysOff),
    ]));
    composite(AnyOf::new([
        Box::new(half()) as Box<dyn ComposableSampler>,
        Box::new(ParentThreshold::new(AlwaysOff)),
    ]));
}

/// A line for each of them.
#[test]
fn samplers_hold_the_contract() {
    let parent = || CompositeSampler::new(ParentThreshold::new(half()));
    hold(parent().with_trust_parent_threshold(true), |sampler| sampler.stats());
    hold(parent().with_explicit_randomness(true), |sampler| sampler.stats());
    hold(parent().with_adjusted_count(true), |sampler| sampler.stats());
    hold(Shadow::new(parent(), CompositeSampler::new(AlwaysOn)), |sampler| {
        sampler.stats()
    });
}
