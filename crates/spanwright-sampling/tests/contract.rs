//! Every sampler of the crate holds to the same contract.

mod support;

use opentelemetry::KeyValue;
use spanwright_sampling::{
    Adaptive, AdaptiveSampler, AlwaysOff, AlwaysOffSampler, AlwaysOn, AlwaysOnSampler, AlwaysRecord, Annotating, AnyOf,
    ComposableSampler, CompositeSampler, ConsistentProbability, ParentBased, ParentThreshold, PerKeySampler, Precision,
    Predicate, PrioritySampler, Probability, RateLimiting, RateLimitingSampler, Rule, RuleBased, Shadow,
};

use self::support::contract::{hold, hold_without_weights};

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
    composite(
        RuleBased::builder()
            .rule(Rule::new("get").when(Predicate::name_contains("GET")).then(half()))
            .build()
            .unwrap(),
    );
    composite(RuleBased::builder().build().unwrap());
    composite(Adaptive::builder().target_per_second(1.0).build().unwrap());
    composite(RateLimiting::traces_per_second(1.0).build().unwrap());
    composite(RateLimiting::spans_per_second(1.0).build().unwrap());
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
    hold(ConsistentProbability::of(0.5).unwrap(), |sampler| sampler.stats());
    hold(
        PrioritySampler::builder().with_priority("GET", 0.5).build().unwrap(),
        |sampler| sampler.stats(),
    );
    hold(
        AdaptiveSampler::builder().target_per_second(1.0).build().unwrap(),
        |sampler| (sampler.stats(), sampler.handle().stats()),
    );
    hold(
        RateLimitingSampler::traces_per_second(1.0).build().unwrap(),
        |sampler| sampler.stats(),
    );
    hold(
        PerKeySampler::builder().target_per_second(1.0).build().unwrap(),
        |sampler| (sampler.stats(), sampler.key_stats()),
    );
    hold(ParentBased::builder(parent()).build(), |_| ());
    hold(AlwaysRecord::new(parent()), |sampler| sampler.root().stats());
    hold(AlwaysOffSampler, |_| ());
    hold_without_weights(AlwaysOnSampler, |_| ());
    hold(Shadow::new(parent(), CompositeSampler::new(AlwaysOn)), |sampler| {
        sampler.stats()
    });
}
