//! Consistent, rule based, rate limited, adaptive, per-key, remote and tail sampling, with weights that stay right.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod composable;
mod composite;
mod counter;
mod intent;
mod otel;
mod probability;
mod reason;
mod sampler;
mod span;
mod tally;
mod ticker;
mod trace_state;

#[doc(inline)]
pub use self::{
    composable::{AlwaysOff, AlwaysOn, Annotating, AnyOf, ComposableSampler, ParentThreshold, Probability},
    composite::{CompositeSampler, DecisionCount, SamplerStats},
    intent::Intent,
    probability::{Precision, Randomness, Threshold},
    reason::Reason,
    sampler::{Decision, Outcome, Sampler},
    span::{ParentOrigin, StartingSpan},
    tally::Tally,
    ticker::{Tick, Ticker, Waker},
    trace_state::{MalformedTraceState, OtelTraceState},
};
