//! Samplers of a budget over keys as a configuration has them.

use spanwright_core::BuildError;

use super::settings::Node;
use crate::keys::{PerKeyBuilder, PerKeySampler, SpanKey};

/// `spanwright/per_key`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PerKeyNode {
    /// What spans are told apart by; their names if there is none.
    pub(super) keys: Vec<KeyPart>,
    pub(super) target_per_second: Option<f64>,
    pub(super) min_per_second: Option<f64>,
    pub(super) max_keys: Option<u32>,
    pub(super) overflow_share: Option<f64>,
    /// The texts of a key's parts, and what it counts for.
    pub(super) weights: Vec<(Vec<String>, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum KeyPart {
    Attribute(String),
    SpanName,
}

impl PerKeyNode {
    /// What can be said without the surroundings.
    pub(super) fn builder(&self) -> PerKeyBuilder {
        let mut builder = PerKeySampler::builder();
        if let Some(key) = self.keys.iter().map(KeyPart::key).reduce(SpanKey::and) {
            builder = builder.key(key);
        }
        if let Some(target) = self.target_per_second {
            builder = builder.target_per_second(target);
        }
        if let Some(floor) = self.min_per_second {
            builder = builder.min_per_second(floor);
        }
        if let Some(max) = self.max_keys {
            builder = builder.max_keys(max as usize);
        }
        if let Some(share) = self.overflow_share {
            builder = builder.overflow_share(share);
        }
        let weights = self.weights.iter();
        weights.fold(builder, |builder, (key, weight)| builder.with_weight(key, *weight))
    }

    /// Whether it can be made. Made with room for one key: the memory for them is taken at once.
    pub(super) fn try_out(&self) -> Result<(), BuildError> {
        self.builder().max_keys(1).build_composable().map(drop)
    }

    /// Whether a key can count for so many.
    pub(super) fn check_weight(weight: f64) -> Result<(), BuildError> {
        let builder = PerKeySampler::builder().target_per_second(1.0).max_keys(1);
        builder.with_weight([""], weight).build_composable().map(drop)
    }

    /// How many keys it has room for.
    pub(super) fn room(&self) -> usize {
        self.max_keys
            .map_or(PerKeyBuilder::DEFAULT_MAX_KEYS, |max| max as usize)
    }
}

impl KeyPart {
    fn key(&self) -> SpanKey {
        match self {
            Self::Attribute(name) => SpanKey::attribute(name.clone()),
            Self::SpanName => SpanKey::span_name(),
        }
    }
}

/// The keys of all of a document's samplers: what one alone may have, 180 MB. More is a slip of the pen.
pub(super) const MAX_KEYS: u32 = 1_000_000;

/// How many keys the samplers of a configuration have room for.
pub(super) fn room(node: &Node) -> usize {
    let of = |nodes: &mut dyn Iterator<Item = &Node>| nodes.map(room).sum();
    match node {
        Node::PerKey(settings) => settings.room(),
        Node::AlwaysOff | Node::AlwaysOn | Node::PlainAlwaysOn | Node::Probability { .. } | Node::XRay(_) => 0,
        Node::Adaptive(settings) => of(&mut settings.sampler.iter()),
        Node::Annotating { sampler, .. } => room(sampler),
        Node::AnyOf { samplers } => of(&mut samplers.iter()),
        Node::JaegerRemote(settings) => of(&mut settings.initial.iter().map(|initial| &**initial)),
        Node::ParentBased(branches) => of(&mut branches.iter()),
        Node::ParentThreshold { root } => room(root),
        Node::RateLimiting(settings) => of(&mut settings.sampler.iter()),
        Node::RuleBased { rules } => of(&mut rules.iter().map(|rule| &rule.sampler)),
    }
}
