//! Deciding about a trace when it is known how it went.
//!
//! ```text
//! hold ─► policies: which reasons does this span give? (no lock)
//!      ─► shard of the trace: copy the record, note the reasons       poll ─► age, end of the budget's second
//!      ─► local root: decide ─► kept: release with th = max(head, tail)    dropped: discard
//! ```
//!
//! # Source
//!
//! Composition of thresholds: [TraceState: probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/),
//! downstream samplers may only raise one.

mod budget;
mod builder;
mod cache;
mod decide;
mod dropped;
mod entry;
mod held;
mod id;
mod latency;
mod memory;
mod policies;
mod policy;
mod sampler;
mod span;
mod stats;
mod table;
mod tally;
mod time;
mod verdict;

pub use self::{
    builder::TailSamplerBuilder,
    policy::TailPolicy,
    sampler::TailSampler,
    span::TailSpan,
    stats::{PolicyCount, TailDecision, TailStats, Trigger, TriggerCount},
};
