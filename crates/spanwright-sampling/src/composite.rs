//! Where wishes become decisions.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceState;
use spanwright_core::semconv::attribute;

use crate::composable::ComposableSampler;
use crate::counter::Counters;
use crate::intent::Intent;
use crate::probability::{Randomness, Threshold};
use crate::reason::Reason;
use crate::sampler::{Decision, Outcome, Sampler};
use crate::span::StartingSpan;
use crate::stats::{DecisionCount, RuleCount, SamplerStats};
use crate::trace_state::{self, OtelTraceState};

/// Decides by what a composable sampler wants, and keeps the `ot` member of the trace state true.
///
/// ```text
/// keep iff R >= T    R: `rv`, or the last 56 bits of the trace id; fresh where the threshold is unreliable
/// kept, reliable     th = T
/// else               no th, and no `ot` if nothing else is in it
/// ```
///
/// Clones are the same sampler.
///
/// # Source
///
/// [SDK, CompositeSampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#compositesampler).
pub struct CompositeSampler<S> {
    shared: Arc<Shared<S>>,
    settings: Settings,
}

struct Shared<S> {
    sampler: S,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    trusts_parent_threshold: bool,
    records_adjusted_count: bool,
    writes_randomness: bool,
    entropy: fn() -> u64,
}

const REASONS: usize = Reason::ALL.len();
const MALFORMED: usize = 2 * REASONS;
const ABORTED: usize = MALFORMED + 1;
const INCONSISTENT: usize = ABORTED + 1;
const PRESUMED_RANDOM: usize = INCONSISTENT + 1;
const COUNTERS: usize = PRESUMED_RANDOM + 1;

impl<S: ComposableSampler> CompositeSampler<S> {
    /// Decides by what `sampler` wants.
    #[must_use]
    pub fn new(sampler: S) -> Self {
        Self {
            shared: Arc::new(Shared {
                sampler,
                counters: Counters::new(COUNTERS),
            }),
            settings: Settings {
                trusts_parent_threshold: false,
                records_adjusted_count: false,
                writes_randomness: false,
                entropy: || fastrand::u64(..),
            },
        }
    }

    /// Whether a parent's threshold counts also where it disagrees with whether the parent was sampled, as it does in the SDKs
    /// of Java, JavaScript and Python. Default: no, it is erased, as the specification says.
    #[must_use]
    pub fn with_trust_parent_threshold(mut self, trusts: bool) -> Self {
        self.settings.trusts_parent_threshold = trusts;
        self
    }

    /// Whether a sampled span gets the number of spans that it stands for as an attribute. Default: no; it is in the trace state.
    #[must_use]
    pub fn with_adjusted_count(mut self, records: bool) -> Self {
        self.settings.records_adjusted_count = records;
        self
    }

    /// Whether traces that begin here get a randomness of their own, as `rv`. For id generators whose last 56 bits are not random.
    /// Default: no, the trace id is the randomness.
    #[must_use]
    pub fn with_explicit_randomness(mut self, writes: bool) -> Self {
        self.settings.writes_randomness = writes;
        self
    }

    /// Where fresh randomness comes from. Default: a generator of each thread's own.
    #[must_use]
    pub fn with_entropy(mut self, entropy: fn() -> u64) -> Self {
        self.settings.entropy = entropy;
        self
    }

    /// What says what is wanted.
    #[must_use]
    pub fn composable(&self) -> &S {
        &self.shared.sampler
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        let counters = &self.shared.counters;
        let decisions = Reason::ALL.into_iter().map(|reason| DecisionCount {
            reason,
            dropped: counters.sum(2 * reason.index()),
            kept: counters.sum(2 * reason.index() + 1),
        });
        let mut rules = Vec::new();
        self.shared
            .sampler
            .visit_tallies(&mut |tally| rules.push(RuleCount::of(tally)));
        SamplerStats {
            rules,
            decisions: decisions.filter(|count| count.dropped + count.kept > 0).collect(),
            malformed_trace_states: counters.sum(MALFORMED),
            aborted_writes: counters.sum(ABORTED),
            inconsistent_thresholds: counters.sum(INCONSISTENT),
            presumed_random: counters.sum(PRESUMED_RANDOM),
        }
    }

    /// Decides by what `sampler` wants instead of its own. For samplers that come and go while what is counted stays.
    pub(crate) fn decide<'a>(&self, span: &StartingSpan<'a>, sampler: &'a impl ComposableSampler) -> Decision {
        let mut span = *span;
        if self.settings.trusts_parent_threshold {
            span = span.trusting_parent_threshold();
        }
        if span.parent().is_some() {
            self.inspect_parent(&span);
        }
        let mut ot = span.otel_trace_state();
        if self.settings.writes_randomness && span.parent().is_none() {
            ot.randomness = Some(Randomness::new((self.settings.entropy)()));
        }

        let intent = sampler.sampling_intent(&span);
        let randomness = match ot.randomness {
            // An unreliable threshold must not be held against what others decided by.
            _ if !intent.is_reliable() => Randomness::new((self.settings.entropy)()),
            Some(explicit) => explicit,
            None => Randomness::of_trace_id(span.trace_id()),
        };
        let is_kept = intent.threshold().is_some_and(|threshold| threshold.keeps(randomness));

        self.count(&span, 2 * intent.reason().index() + usize::from(is_kept));
        if let Some(rule) = intent.rule().filter(|_| !span.is_rehearsal()) {
            rule.count(is_kept);
        }
        span.explain(|| verdict(&intent, randomness, is_kept));
        if is_kept {
            return self.keep(&span, &intent, ot, randomness);
        }
        Decision {
            outcome: Outcome::Drop,
            attributes: Vec::new(),
            trace_state: self.trace_state(&span, &intent, ot, None),
        }
    }

    fn keep(
        &self,
        span: &StartingSpan<'_>,
        intent: &Intent<'_>,
        ot: OtelTraceState<'_>,
        randomness: Randomness,
    ) -> Decision {
        let threshold = intent.threshold().filter(|_| intent.is_reliable());
        let mut attributes: Vec<_> = intent.attributes(randomness).cloned().collect();
        if let Some(threshold) = threshold.filter(|_| self.settings.records_adjusted_count) {
            let count = threshold.adjusted_count();
            attributes.push(KeyValue::new(attribute::SAMPLING_ADJUSTED_COUNT, count));
        }
        Decision {
            outcome: Outcome::RecordAndSample,
            attributes,
            trace_state: self.trace_state(span, intent, ot, threshold),
        }
    }

    fn trace_state(
        &self,
        span: &StartingSpan<'_>,
        intent: &Intent<'_>,
        ot: OtelTraceState<'_>,
        threshold: Option<Threshold>,
    ) -> TraceState {
        let base = intent.trace_state().or(span.trace_state());
        let written = trace_state::with_ot(base, ot.with_threshold(threshold));
        written.unwrap_or_else(|| {
            self.count(span, ABORTED);
            // Without the threshold it is shorter than it came.
            trace_state::with_ot(base, ot.with_threshold(None)).unwrap_or_default()
        })
    }

    fn count(&self, span: &StartingSpan<'_>, column: usize) {
        if !span.is_rehearsal() {
            self.shared.counters.add(column, 1);
        }
    }

    /// Counts what is odd about the parent.
    fn inspect_parent(&self, span: &StartingSpan<'_>) {
        if span.has_malformed_trace_state() {
            span.explain(|| "the parent's `ot` member cannot be read and is left out".to_owned());
            self.count(span, MALFORMED);
        }
        if span.otel_trace_state().threshold.is_some() && span.parent_threshold().is_none() {
            span.explain(|| "the parent's threshold disagrees with whether it was sampled and is erased".to_owned());
            self.count(span, INCONSISTENT);
        }
    }
}

impl<S: ComposableSampler> Sampler for CompositeSampler<S> {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        self.decide(span, &self.shared.sampler)
    }

    fn description(&self) -> String {
        format!("CompositeSampler{{{}}}", self.shared.sampler.description())
    }
}

fn verdict(intent: &Intent<'_>, randomness: Randomness, is_kept: bool) -> String {
    let verb = if is_kept { "kept" } else { "dropped" };
    let rule = intent
        .rule()
        .map(|rule| format!(" by rule `{}`", rule.name()))
        .unwrap_or_default();
    let Some(threshold) = intent.threshold() else {
        return format!("{verb}{rule}: nobody wants it ({})", intent.reason());
    };
    let sign = if is_kept { ">=" } else { "<" };
    let kind = if intent.is_reliable() { "" } else { "fresh " };
    let reason = intent.reason();
    format!("{verb}{rule}: {kind}randomness {randomness} {sign} threshold {threshold} ({reason})")
}

impl<S> Clone for CompositeSampler<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            settings: self.settings,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for CompositeSampler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeSampler")
            .field("sampler", &self.shared.sampler)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
