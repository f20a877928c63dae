//! What the environment says about a pipeline, as plain values.
//!
//! Which variables belong to the batches and to the exporter, those crates know themselves. Here are the others. All are read
//! through [`Env`], never from the process, so that a test says what they are and the SDK does not read them a second time.

mod limits;
mod percent;
mod propagation;
mod resource;

use spanwright_core::Env;
use spanwright_sampling::SamplerConfig;

pub(crate) use self::{limits::Limits, propagation::Propagator, resource::SERVICE_NAME};

/// The variables that belong to the pipeline as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) is_disabled: bool,
    /// Whether there is the exporter that the variables describe.
    pub(crate) exports_otlp: bool,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) sampler: SamplerConfig,
    pub(crate) limits: Limits,
    pub(crate) propagators: Vec<Propagator>,
}

impl Settings {
    pub(crate) fn from_env(env: &Env) -> Self {
        Self {
            is_disabled: env.bool("OTEL_SDK_DISABLED").unwrap_or_default(),
            exports_otlp: exports_otlp(env),
            resource: resource::attributes(env),
            sampler: SamplerConfig::from_env(env),
            limits: Limits::from_env(env),
            propagators: Propagator::from_env(env),
        }
    }
}

/// `OTEL_TRACES_EXPORTER`: the specification's default is `otlp`.
fn exports_otlp(env: &Env) -> bool {
    let known = |value: &str| match value.to_ascii_lowercase().as_str() {
        "otlp" => Some(true),
        "none" => Some(false),
        _ => None,
    };
    env.parse("OTEL_TRACES_EXPORTER", "otlp or none", known).unwrap_or(true)
}

#[cfg(test)]
mod tests;
