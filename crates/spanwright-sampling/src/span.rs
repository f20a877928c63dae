//! What a sampler is asked about.

use std::cell::RefCell;
use std::fmt;

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceState};
use opentelemetry::{KeyValue, TraceId};

use crate::probability::{Randomness, Threshold};
use crate::trace_state::{self, Form, OtelTraceState};

/// A span that is about to start: what a sampler may know of it.
///
/// Borrowed, small and cheap to copy. The `ot` member of the parent's trace state is read once, here.
#[derive(Clone, Copy)]
pub struct StartingSpan<'a> {
    parent: Option<&'a SpanContext>,
    trace_state: Option<&'a TraceState>,
    trace_id: TraceId,
    name: &'a str,
    kind: &'a SpanKind,
    attributes: &'a [KeyValue],
    links: &'a [Link],
    ot: OtelTraceState<'a>,
    form: Form,
    trusts_threshold: bool,
    explanation: Option<&'a Explanation>,
}

/// Where a span's parent is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no other place for a parent to be")]
pub enum ParentOrigin {
    /// There is none: the span is the root of its trace.
    None,
    /// In this process.
    Local,
    /// In another one.
    Remote,
}

/// The flag of W3C Trace Context, level 2, by which the maker of a trace id says that its last 56 bits are random.
const RANDOM: u8 = 0x02;

/// Collects, in words, how a decision comes about.
#[derive(Debug, Default)]
pub(crate) struct Explanation {
    steps: RefCell<Vec<String>>,
}

impl<'a> StartingSpan<'a> {
    /// A span of this trace, name and kind. A `parent` that is not valid is none, but its trace state is taken: that is how an
    /// application gives one to a trace that begins here.
    #[must_use]
    #[inline]
    pub fn new(parent: Option<&'a SpanContext>, trace_id: TraceId, name: &'a str, kind: &'a SpanKind) -> Self {
        let trace_state = parent
            .map(SpanContext::trace_state)
            .filter(|state| **state != TraceState::NONE);
        let (ot, form) = trace_state.map(trace_state::read).unwrap_or_default();
        Self {
            parent: parent.filter(|parent| parent.is_valid()),
            trace_state,
            trace_id,
            name,
            kind,
            attributes: &[],
            links: &[],
            ot,
            form,
            trusts_threshold: false,
            explanation: None,
        }
    }

    /// With these attributes and links, as far as they are known when it starts.
    #[must_use]
    #[inline]
    pub fn with_details(self, attributes: &'a [KeyValue], links: &'a [Link]) -> Self {
        Self {
            attributes,
            links,
            ..self
        }
    }

    /// The parent, if there is a valid one.
    #[must_use]
    #[inline]
    pub fn parent(&self) -> Option<&'a SpanContext> {
        self.parent
    }

    /// Where the parent is.
    #[must_use]
    #[inline]
    pub fn parent_origin(&self) -> ParentOrigin {
        match self.parent {
            None => ParentOrigin::None,
            Some(parent) if parent.is_remote() => ParentOrigin::Remote,
            Some(_) => ParentOrigin::Local,
        }
    }

    /// The trace, which begins with this span if it has no parent. Nothing but the last step of a decision may depend on it.
    #[must_use]
    #[inline]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The name.
    #[must_use]
    #[inline]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The kind.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> &'a SpanKind {
        self.kind
    }

    /// The attributes that it starts with.
    #[must_use]
    #[inline]
    pub fn attributes(&self) -> &'a [KeyValue] {
        self.attributes
    }

    /// The links that it starts with.
    #[must_use]
    #[inline]
    pub fn links(&self) -> &'a [Link] {
        self.links
    }

    /// The randomness of its trace: `rv` if somebody set it, the trace id if not.
    #[must_use]
    #[inline]
    pub fn randomness(&self) -> Randomness {
        self.ot
            .randomness
            .unwrap_or_else(|| Randomness::of_trace_id(self.trace_id))
    }

    /// The parent's threshold, if it was sampled by one: if the trace's randomness reaches it.
    ///
    /// One that disagrees with what became of the parent says nothing of the trace's probability and is not there for anybody.
    ///
    /// # Source
    ///
    /// [Sampling threshold, consistency](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/#sampling-threshold-value-th).
    #[must_use]
    #[inline]
    pub fn parent_threshold(&self) -> Option<Threshold> {
        let is_sampled = self.parent?.is_sampled();
        let threshold = self.ot.threshold?;
        let agrees = is_sampled && threshold.keeps(self.randomness());
        (agrees || self.trusts_threshold).then_some(threshold)
    }

    /// What the `ot` member of the parent's trace state says.
    #[must_use]
    #[inline]
    pub fn otel_trace_state(&self) -> OtelTraceState<'a> {
        self.ot
    }

    /// Whether there is an `ot` member of which something or everything cannot be read.
    #[must_use]
    #[inline]
    pub fn has_malformed_trace_state(&self) -> bool {
        self.form == Form::Malformed
    }

    /// Whether the trace id would have to be taken for random without anybody saying so: the parent is in another process, there
    /// is no `rv`, and the flag for random trace ids is not set.
    ///
    /// The SDK's own `TraceContextPropagator` forgets that flag, so that with it this is so of each such parent without an `rv`.
    ///
    /// # Source
    ///
    /// [SDK, presumption of trace id randomness](https://opentelemetry.io/docs/specs/otel/trace/sdk/#presumption-of-traceid-randomness).
    #[must_use]
    #[inline]
    pub fn is_presumed_random(&self) -> bool {
        let parent = self.parent.filter(|parent| parent.is_remote());
        self.ot.randomness.is_none() && parent.is_some_and(|parent| parent.trace_flags().to_u8() & RANDOM == 0)
    }

    /// Whether the parent's threshold says something else of it than its flag, and nobody wants to trust it.
    pub(crate) fn has_inconsistent_threshold(&self) -> bool {
        let (Some(parent), Some(threshold)) = (self.parent, self.ot.threshold) else {
            return false;
        };
        parent.is_sampled() != threshold.keeps(self.randomness()) && !self.trusts_threshold
    }

    /// Whether the `ot` member can stay as it came.
    pub(crate) fn has_sound_trace_state(&self) -> bool {
        self.form == Form::Sound
    }

    /// The same, with a parent's threshold taken as it is, if so wanted, also where it disagrees with whether the parent was sampled.
    #[must_use]
    #[inline]
    pub(crate) fn trusting_parent_threshold(self, trusts: bool) -> Self {
        Self {
            trusts_threshold: self.trusts_threshold || trusts,
            ..self
        }
    }

    /// The parent's trace state, if there is anything in it.
    pub(crate) fn trace_state(&self) -> Option<&'a TraceState> {
        self.trace_state
    }

    /// The same as a question only: samplers that count do not count it, and tell how they decide.
    pub(crate) fn explained_by(self, explanation: &'a Explanation) -> Self {
        Self {
            explanation: Some(explanation),
            ..self
        }
    }

    /// Whether nothing starts, and somebody only asks what would be decided. Such a question must leave no trace in any count.
    #[must_use]
    #[inline]
    pub fn is_rehearsal(&self) -> bool {
        self.explanation.is_some()
    }

    /// Says a step of the decision in words, if somebody asks for them. Costs a comparison if nobody does.
    #[inline(always)]
    pub fn explain(&self, step: impl FnOnce() -> String) {
        if let Some(explanation) = self.explanation {
            explanation.add(step);
        }
    }
}

impl Explanation {
    #[cold]
    #[inline(never)]
    fn add(&self, step: impl FnOnce() -> String) {
        self.steps.borrow_mut().push(step());
    }

    pub(crate) fn into_steps(self) -> Vec<String> {
        self.steps.into_inner()
    }
}

impl fmt::Debug for StartingSpan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartingSpan")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("trace_id", &self.trace_id)
            .field("parent", &self.parent)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}
