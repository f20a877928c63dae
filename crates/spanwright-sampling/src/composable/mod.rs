//! Samplers that say what they want and leave the decision to the [`CompositeSampler`](crate::CompositeSampler).
//!
//! # Source
//!
//! [SDK, built-in composable samplers](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablesampler).

mod always;
mod annotating;
mod any_of;
mod parent_threshold;
mod probability;

use std::fmt;
use std::sync::Arc;

pub use self::{
    always::{AlwaysOff, AlwaysOn},
    annotating::Annotating,
    any_of::AnyOf,
    parent_threshold::ParentThreshold,
    probability::Probability,
};
use crate::intent::Intent;
use crate::span::StartingSpan;
use crate::tally::Tally;

/// Says with what probability a span is to be sampled, and leaves the decision to others.
///
/// # Contract
///
/// - What it wants may depend on the span's name, kind, attributes, links and parent; not on the trace id or its randomness, and
///   not on whether the parent was sampled beyond what [`ParentThreshold`] does with it.
/// - It does not touch the `ot` member of the trace state.
/// - It is asked once per span, and counts unless the question is [a rehearsal](StartingSpan::is_rehearsal).
/// - It is called on the application's threads: no lock, no clock, no allocation, if it can be helped.
pub trait ComposableSampler: fmt::Debug + Send + Sync + 'static {
    /// What it wants for this span.
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a>;

    /// What it is, as the specification writes descriptions: `ComposableProbability{..}`.
    fn description(&self) -> String;

    /// Shows what its rules have counted, and those of the samplers inside it. Most have none.
    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        let _ = visit;
    }
}

impl<S: ComposableSampler + ?Sized> ComposableSampler for Arc<S> {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        (**self).sampling_intent(span)
    }

    fn description(&self) -> String {
        (**self).description()
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        (**self).visit_tallies(visit);
    }
}

impl<S: ComposableSampler + ?Sized> ComposableSampler for Box<S> {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        (**self).sampling_intent(span)
    }

    fn description(&self) -> String {
        (**self).description()
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        (**self).visit_tallies(visit);
    }
}
