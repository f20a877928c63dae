//! AWS X-Ray's centralized sampling: rules, and how much each of them may take.
//!
//! ```text
//! POST /GetSamplingRules   every 300 s     rules: whom they are for, a fixed rate, a reservoir
//! POST /SamplingTargets    every 10 s      counts of each rule ──► its quota of the reservoir, until when, and its rate
//! ```
//!
//! A rule keeps up to its reservoir per second, and of the rest a share. Other clients have a counter that starts anew each second for
//! the first part, and what it lets through has no weight. Here both are one threshold ([`Reservoir`](crate::rate::Reservoir)), so that
//! a kept span says how many it stands for. Like every rate here it holds on average, and not to the span in each single second.
//!
//! # Source
//!
//! [X-Ray, using sampling rules with the API](https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sampling.html);
//! [GetSamplingRules](https://docs.aws.amazon.com/xray/latest/api/API_GetSamplingRules.html),
//! [GetSamplingTargets](https://docs.aws.amazon.com/xray/latest/api/API_GetSamplingTargets.html). What that leaves open (which
//! attributes, `AWS::` types of services) is as in the remote samplers of OpenTelemetry's contributions for Java and Go.

mod answer;
mod budget;
mod builder;
mod client;
mod conditions;
mod errand;
mod pattern;
mod request;
mod rules;
mod sampler;
mod service;
mod statistics;
mod strategy;
mod target;

pub use self::{builder::XRaySamplerBuilder, sampler::XRaySampler};

#[cfg(test)]
mod tests;
