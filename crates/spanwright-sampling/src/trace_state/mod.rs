//! The `ot` member of a trace state, where probability and randomness travel.
//!
//! # Source
//!
//! [TraceState: OpenTelemetry's member](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/).

mod header;
mod member;
mod text;
mod value;

pub(crate) use self::header::{read_header, write_header};
pub(crate) use self::member::{Written, begin, read, without_threshold, write};
pub(crate) use self::value::Form;
pub use self::value::{MalformedTraceState, OtelTraceState};

/// The key of OpenTelemetry's own member.
pub(crate) const KEY: &str = "ot";

/// The most characters that the value of a member may have.
const MAX_LEN: usize = 256;

/// The most members that a trace state has: one that comes in front pushes the last one out.
const MAX_MEMBERS: usize = 32;
