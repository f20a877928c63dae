//! The messages of Jaeger's `sampling.proto`, by a generator that is not ours.
//!
//! # Source
//!
//! `proto/api_v2/sampling.proto` of [jaeger-idl](https://github.com/jaegertracing/jaeger-idl).

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Parameters {
    #[prost(string, tag = "1")]
    pub(crate) service_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Response {
    #[prost(int32, tag = "1")]
    pub(crate) strategy_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) probabilistic: Option<Probabilistic>,
    #[prost(message, optional, tag = "3")]
    pub(crate) rate_limiting: Option<RateLimiting>,
    #[prost(message, optional, tag = "4")]
    pub(crate) operations: Option<PerOperation>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Probabilistic {
    #[prost(double, tag = "1")]
    pub(crate) sampling_rate: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RateLimiting {
    #[prost(int32, tag = "1")]
    pub(crate) max_traces_per_second: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PerOperation {
    #[prost(double, tag = "1")]
    pub(crate) default_probability: f64,
    #[prost(double, tag = "2")]
    pub(crate) lower_bound: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) strategies: Vec<Operation>,
    #[prost(double, tag = "4")]
    pub(crate) upper_bound: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Operation {
    #[prost(string, tag = "1")]
    pub(crate) operation: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) probabilistic: Option<Probabilistic>,
}
