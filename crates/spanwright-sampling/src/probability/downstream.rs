//! A stage after another one.

use opentelemetry::TraceId;
use spanwright_core::BuildError;

use super::{Precision, Randomness, Threshold};
use crate::trace_state::OtelTraceState;

/// Samples spans that were sampled before, by somebody else, and keeps their weights right.
///
/// For pipelines that thin out what they are given, and for tests of what they do. A threshold can only rise here: to lower it
/// would be to say of spans that are gone that they are there.
///
/// ```text
/// equalizing    T_out = max(T_in, T)       all spans come out with the same probability, as far as it can be had
/// proportional  T_out = T of (p * p_in)    a fixed share of what comes, whatever its probability
/// kept          R >= T_out
/// ```
///
/// # Examples
///
/// ```
/// use opentelemetry::TraceId;
/// use spanwright_sampling::{Downstream, Threshold};
///
/// let trace_id = TraceId::from(0x00fe_0000_0000_0000);
/// let quarter = Downstream::proportional(0.25)?;
/// let decision = quarter.decide(trace_id, Some("th:8"));
/// assert!(decision.is_kept);
/// assert_eq!(decision.threshold, Threshold::parse("e"));
/// # Ok::<(), spanwright_core::BuildError>(())
/// ```
///
/// # Source
///
/// [TraceState: probability sampling, downstream threshold](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#downstream-threshold).
#[derive(Clone, Copy, Debug)]
pub struct Downstream {
    ratio: f64,
    mode: Mode,
    precision: Precision,
    fails_closed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Equalizing,
    Proportional,
}

/// What a [`Downstream`] stage decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DownstreamDecision {
    /// Whether the span goes on.
    pub is_kept: bool,
    /// The `th` that it goes on with. Without one its weight is not known, or it is not kept.
    pub threshold: Option<Threshold>,
    /// What was wrong with what came, for the log.
    pub fault: Option<DownstreamFault>,
}

/// What can be wrong with a span that comes to a [`Downstream`] stage.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DownstreamFault {
    /// Its threshold is above its randomness, so that it should not have been sampled with it.
    InconsistentThreshold,
    /// Its `ot` member cannot be read.
    MalformedTraceState,
    /// It has neither a trace id nor an `rv`.
    MissingRandomness,
}

impl Downstream {
    /// Brings all spans to the share `ratio` of what there was at the beginning, 0 to 1. Those that were sampled with less stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// A `ratio` outside of 0 to 1, or NaN.
    pub fn equalizing(ratio: f64) -> Result<Self, BuildError> {
        Self::new(ratio, Mode::Equalizing)
    }

    /// Keeps the share `ratio` of what comes, 0 to 1. What would end below a probability of 2^-56 is dropped.
    ///
    /// # Errors
    ///
    /// A `ratio` outside of 0 to 1, or NaN.
    pub fn proportional(ratio: f64) -> Result<Self, BuildError> {
        Self::new(ratio, Mode::Proportional)
    }

    fn new(ratio: f64, mode: Mode) -> Result<Self, BuildError> {
        Ok(Self {
            ratio: BuildError::check_range("ratio", ratio, 0.0..=1.0)?,
            mode,
            precision: Precision::FULL,
            fails_closed: true,
        })
    }

    /// With thresholds of so many significant digits. Default: every digit.
    #[must_use]
    pub const fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Whether a span is dropped with which something is wrong. Default: yes. If not, an inconsistent threshold is taken as none,
    /// and what cannot be decided is kept: without a threshold if it cannot be read, with its own if only the randomness is missing.
    #[must_use]
    pub const fn with_fail_closed(self, closed: bool) -> Self {
        Self {
            fails_closed: closed,
            ..self
        }
    }

    /// Decides about a span of this trace, with this value of its `ot` member, if it has one.
    ///
    /// # Cost
    ///
    /// Nanoseconds; no allocation.
    #[must_use]
    pub fn decide(&self, trace_id: TraceId, ot: Option<&str>) -> DownstreamDecision {
        let Ok(ot) = ot.map_or(Ok(OtelTraceState::default()), OtelTraceState::parse) else {
            return self.undecidable(DownstreamFault::MalformedTraceState, None);
        };
        let of_trace = (trace_id != TraceId::INVALID).then(|| Randomness::of_trace_id(trace_id));
        let Some(randomness) = ot.randomness.or(of_trace) else {
            return self.undecidable(DownstreamFault::MissingRandomness, ot.threshold);
        };
        match ot.threshold {
            Some(incoming) if !incoming.keeps(randomness) => {
                let fault = Some(DownstreamFault::InconsistentThreshold);
                let threshold = self.outgoing(Threshold::ALWAYS).filter(|_| !self.fails_closed);
                decided(threshold, randomness, fault)
            }
            incoming => decided(self.outgoing(incoming.unwrap_or_default()), randomness, None),
        }
    }

    /// What a span that came with this threshold would go on with; `None` if no such span does.
    #[must_use]
    pub fn outgoing(&self, incoming: Threshold) -> Option<Threshold> {
        let probability = match self.mode {
            Mode::Equalizing => self.ratio,
            Mode::Proportional => self.ratio * incoming.probability(),
        };
        let threshold = Threshold::from_probability(probability)?.with_precision(self.precision);
        // Also where precision would have rounded it down.
        Some(threshold.max(incoming))
    }

    fn undecidable(&self, fault: DownstreamFault, threshold: Option<Threshold>) -> DownstreamDecision {
        DownstreamDecision {
            is_kept: !self.fails_closed,
            threshold: threshold.filter(|_| !self.fails_closed),
            fault: Some(fault),
        }
    }
}

fn decided(threshold: Option<Threshold>, randomness: Randomness, fault: Option<DownstreamFault>) -> DownstreamDecision {
    let threshold = threshold.filter(|threshold| threshold.keeps(randomness));
    DownstreamDecision {
        is_kept: threshold.is_some(),
        threshold,
        fault,
    }
}
