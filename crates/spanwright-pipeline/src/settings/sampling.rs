//! Which sampler.
//!
//! # Source
//!
//! [SDK environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration),
//! `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.

use spanwright_core::Env;

/// A sampler that the specification has a name for, as far as they come with the SDK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// What decides where there is no parent, or for every span.
    pub(crate) root: Root,
    pub(crate) is_parent_based: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Root {
    AlwaysOff,
    AlwaysOn,
    TraceIdRatio(f64),
}

const ACCEPTED: &str = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                        parentbased_traceidratio";

impl Sampling {
    pub(crate) fn from_env(env: &Env) -> Self {
        let sampling = env.parse("OTEL_TRACES_SAMPLER", ACCEPTED, Self::parse);
        let mut sampling = sampling.unwrap_or_default();
        // Only those with a ratio have an argument; for the others it may be one that another program reads.
        if let Root::TraceIdRatio(ratio) = &mut sampling.root {
            let parse = |text: &str| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            let argument = env.parse("OTEL_TRACES_SAMPLER_ARG", "a ratio from 0 to 1", parse);
            *ratio = argument.unwrap_or(*ratio);
        }
        sampling
    }

    fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (root, is_parent_based) = match name.strip_prefix("parentbased_") {
            Some(root) => (root, true),
            None => (name.as_str(), false),
        };
        let root = match root {
            "always_off" => Root::AlwaysOff,
            "always_on" => Root::AlwaysOn,
            "traceidratio" => Root::TraceIdRatio(1.0),
            _ => return None,
        };
        Some(Self { root, is_parent_based })
    }
}

/// `parentbased_always_on`, as the specification says.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            root: Root::AlwaysOn,
            is_parent_based: true,
        }
    }
}
