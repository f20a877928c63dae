//! Jaeger's remote sampling: one strategy for a service.
//!
//! What was measured of an operation stays with it from one strategy to the next.
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
mod errand;
mod floor;
mod grpc;
mod operations;
mod sampler;
mod strategy;

pub use self::{builder::JaegerRemoteSamplerBuilder, endpoint::JaegerProtocol, sampler::JaegerRemoteSampler};

#[cfg(test)]
mod tests;
