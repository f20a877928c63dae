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
use crate::trace_state::{self, Written};

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
const DISPLACED: usize = PRESUMED_RANDOM + 1;
const COUNTERS: usize = DISPLACED + 1;

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
            displaced_members: counters.sum(DISPLACED),
        }
    }

    /// Decides by what `sampler` wants instead of its own. For samplers that come and go while what is counted stays.
    // All of a decision is inlined into the place where it is known that there is no parent; what the optimizer would do by itself
    // changes with every edit (`sampling/probability/1`).
    #[inline(always)]
    pub(crate) fn decide<'a>(&self, span: &StartingSpan<'a>, sampler: &'a impl ComposableSampler) -> Decision {
        // A copy, and given on as copies where it is out of the common way: it then never needs to be in memory.
        let span = &span.trusting_parent_threshold(self.settings.trusts_parent_threshold);
        if span.trace_state().is_some() {
            self.inspect(*span);
        }

        let intent = sampler.sampling_intent(span);
        let (randomness, explicit) = self.randomness(span, &intent);
        let is_kept = intent.threshold().is_some_and(|threshold| threshold.keeps(randomness));

        self.count(span, 2 * intent.reason().index() + usize::from(is_kept));
        if let Some(rule) = intent.rule().filter(|_| !span.is_rehearsal()) {
            rule.count(is_kept);
        }
        span.explain(|| verdict(&intent, randomness, is_kept));
        if is_kept {
            let threshold = intent.threshold().filter(|_| intent.is_reliable());
            if span.trace_state().is_some() || !intent.is_bare() || self.settings.records_adjusted_count {
                return self.keep(*span, &intent, threshold, explicit, randomness);
            }
            return begin(threshold, explicit);
        }
        let is_bare = span.trace_state().is_none() && intent.trace_state().is_none() && explicit.is_none();
        if is_bare {
            return Decision::DROP;
        }
        Decision {
            trace_state: self.trace_state(*span, &intent, None, explicit),
            ..Decision::DROP
        }
    }

    #[inline(never)]
    fn keep(
        &self,
        span: StartingSpan<'_>,
        intent: &Intent<'_>,
        threshold: Option<Threshold>,
        explicit: Option<Randomness>,
        randomness: Randomness,
    ) -> Decision {
        let mut attributes = intent.merged_attributes(randomness);
        if let Some(threshold) = threshold.filter(|_| self.settings.records_adjusted_count) {
            let count = threshold.adjusted_count();
            attributes.push(KeyValue::new(attribute::SAMPLING_ADJUSTED_COUNT, count));
        }
        Decision {
            outcome: Outcome::RecordAndSample,
            attributes,
            trace_state: self.trace_state(span, intent, threshold, explicit),
        }
    }

    /// The trace state of the span: with this threshold and no other.
    #[inline]
    fn trace_state(
        &self,
        span: StartingSpan<'_>,
        intent: &Intent<'_>,
        threshold: Option<Threshold>,
        explicit: Option<Randomness>,
    ) -> TraceState {
        let ot = span.otel_trace_state();
        let is_unchanged = ot.threshold == threshold && ot.randomness == explicit && span.has_sound_trace_state();
        if is_unchanged && intent.trace_state().is_none() {
            return span.trace_state().map_or(TraceState::NONE, TraceState::clone);
        }
        self.rewrite(span, intent, threshold, explicit)
    }

    #[inline]
    fn rewrite(
        &self,
        span: StartingSpan<'_>,
        intent: &Intent<'_>,
        threshold: Option<Threshold>,
        explicit: Option<Randomness>,
    ) -> TraceState {
        let base = intent.trace_state().or(span.trace_state());
        let ot = span.otel_trace_state().with_randomness(explicit);
        match trace_state::write(base, ot.with_threshold(threshold)) {
            Written::Whole(trace_state) => trace_state,
            Written::Displacing(trace_state) => {
                self.count(&span, DISPLACED);
                trace_state
            }
            Written::TooLong => {
                self.count(&span, ABORTED);
                // As it came, but for a threshold, which would be another span's.
                trace_state::without_threshold(base, span.otel_trace_state())
            }
        }
    }

    /// Counts what another sampler decided.
    #[inline]
    pub(crate) fn count_decision(&self, span: &StartingSpan<'_>, reason: Reason, is_kept: bool) {
        self.count(span, 2 * reason.index() + usize::from(is_kept));
    }

    #[inline(always)]
    fn count(&self, span: &StartingSpan<'_>, column: usize) {
        if !span.is_rehearsal() {
            self.shared.counters.add(column, 1);
        }
    }

    /// Counts what is odd about what came.
    #[inline(never)]
    fn inspect(&self, span: StartingSpan<'_>) {
        if span.has_malformed_trace_state() {
            span.explain(|| "what cannot be read of the parent's `ot` member is left out".to_owned());
            self.count(&span, MALFORMED);
        }
        if span.has_inconsistent_threshold() {
            span.explain(|| "the parent's threshold disagrees with whether it was sampled and is erased".to_owned());
            self.count(&span, INCONSISTENT);
        }
    }

    /// What the span's threshold is held against, and the `rv` that goes on with it.
    #[inline(always)]
    fn randomness(&self, span: &StartingSpan<'_>, intent: &Intent<'_>) -> (Randomness, Option<Randomness>) {
        let mut explicit = span.otel_trace_state().randomness;
        if self.settings.writes_randomness && span.parent().is_none() && explicit.is_none() {
            explicit = Some(self.fresh());
        }
        let of_trace = explicit.unwrap_or_else(|| Randomness::of_trace_id(span.trace_id()));
        let Some(threshold) = intent.threshold() else {
            return (of_trace, explicit);
        };
        if !intent.is_reliable() {
            // Must not be held against what others decided by.
            return (self.fresh(), explicit);
        }
        if threshold != Threshold::ALWAYS && span.is_presumed_random() {
            span.explain(|| "nobody says that the trace id is random; it is taken to be".to_owned());
            self.count(span, PRESUMED_RANDOM);
        }
        (of_trace, explicit)
    }

    fn fresh(&self) -> Randomness {
        Randomness::new((self.settings.entropy)())
    }
}

impl<S: ComposableSampler> Sampler for CompositeSampler<S> {
    #[inline(always)]
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        self.decide(span, &self.shared.sampler)
    }

    fn description(&self) -> String {
        format!("CompositeSampler{{{}}}", self.shared.sampler.description())
    }
}

/// Keeps a span with which a trace state begins, and nothing else. Out of line, for the sake of those that are dropped.
#[inline(never)]
fn begin(threshold: Option<Threshold>, explicit: Option<Randomness>) -> Decision {
    Decision {
        outcome: Outcome::RecordAndSample,
        attributes: Vec::new(),
        trace_state: trace_state::begin(threshold, explicit),
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
