//! What the tests of this crate share. Each of them uses a part of it.
#![allow(dead_code, reason = "each test is a crate of its own and uses a part")]

pub(crate) mod contract;
pub(crate) mod laws;

use opentelemetry::TraceId;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use spanwright_sampling::{Decision, Sampler, StartingSpan};

/// The flag for trace ids whose last 56 bits are random.
pub(crate) const RANDOM: u8 = 0x02;

/// A trace whose id has this randomness.
pub(crate) fn trace(randomness: u64) -> TraceId {
    TraceId::from((0xfefe_fefe_fefe_fefe_u128 << 64) | 0xfe << 56 | u128::from(randomness))
}

pub(crate) fn trace_state(header: &str) -> TraceState {
    header.parse().expect("a trace state")
}

/// A parent in another process, whose trace id is known to be random.
pub(crate) fn parent(trace_id: TraceId, is_sampled: bool, header: &str) -> SpanContext {
    let flags = TraceFlags::new(RANDOM).with_sampled(is_sampled);
    SpanContext::new(trace_id, SpanId::from(1), flags, true, trace_state(header))
}

pub(crate) fn decide(sampler: &impl Sampler, parent: Option<&SpanContext>, trace_id: TraceId) -> Decision {
    sampler.sample(&StartingSpan::new(parent, trace_id, "GET /", &SpanKind::Server))
}
