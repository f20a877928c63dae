//! Strategies that a server hands out: Jaeger's remote sampling.
//!
//! ```text
//! thread "spanwright-remote"                          application threads
//!   Schedule ── due ──► client: HTTP or gRPC            sample()
//!                         │ bytes                          │ one load
//!                       answer ─► Strategy ─► Active ══════╧═► CompositeSampler
//!                         │ refused: the old one stays
//!                       told once, counted
//! ```
//!
//! Everything but the client and the thread is without I/O. What was measured of an operation stays with it from one strategy to the
//! next.
//!
//! # Source
//!
//! [Jaeger, remote sampling](https://www.jaegertracing.io/docs/latest/architecture/sampling/#remote-sampling), `sampling.proto` of
//! [jaeger-idl](https://github.com/jaegertracing/jaeger-idl);
//! [SDK, JaegerRemoteSampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#jaegerremotesampler).

mod active;
mod answer;
mod builder;
mod client;
mod endpoint;
mod error;
mod floor;
mod operations;
mod poller;
mod sampler;
mod schedule;
mod state;
mod strategy;

pub use self::{
    builder::JaegerRemoteSamplerBuilder,
    endpoint::JaegerProtocol,
    error::{RemoteError, RemoteErrorKind},
    sampler::{JaegerRemoteSampler, JaegerRemoteStats},
};
