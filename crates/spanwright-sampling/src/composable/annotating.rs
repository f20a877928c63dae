//! A sampler with attributes.

use opentelemetry::KeyValue;

use super::ComposableSampler;
use crate::intent::Intent;
use crate::span::StartingSpan;
use crate::tally::Tally;

/// Wants what another sampler wants, and gives the spans that are sampled some attributes.
#[derive(Clone, Debug)]
pub struct Annotating<S> {
    sampler: S,
    attributes: Box<[KeyValue]>,
}

impl<S: ComposableSampler> Annotating<S> {
    /// Sampled spans of `sampler` get these attributes.
    pub fn new(sampler: S, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        Self {
            sampler,
            attributes: attributes.into_iter().collect(),
        }
    }
}

impl<S: ComposableSampler> ComposableSampler for Annotating<S> {
    #[inline]
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        self.sampler.sampling_intent(span).with_attributes(&self.attributes)
    }

    fn description(&self) -> String {
        let names: Vec<_> = self.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        format!(
            "ComposableAnnotating{{{},[{}]}}",
            self.sampler.description(),
            names.join(",")
        )
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        self.sampler.visit_tallies(visit);
    }
}
