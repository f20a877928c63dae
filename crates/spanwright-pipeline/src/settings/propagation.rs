//! How a trace goes on in another process.
//!
//! # Source
//!
//! [SDK environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration),
//! `OTEL_PROPAGATORS`.

use spanwright_core::Env;

/// A propagator that the SDK has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Propagator {
    /// W3C Baggage.
    Baggage,
    /// W3C Trace Context.
    TraceContext,
}

const VARIABLE: &str = "OTEL_PROPAGATORS";
const ACCEPTED: &str = "a list of tracecontext and baggage, or none";

impl Propagator {
    const DEFAULT: [Self; 2] = [Self::TraceContext, Self::Baggage];

    /// The propagators in the order of the list, each once. What is unknown is left out; if nothing else is left, it is as if
    /// the variable was not set.
    pub(crate) fn from_env(env: &Env) -> Vec<Self> {
        let Some(list) = env.string(VARIABLE) else {
            return Self::DEFAULT.into();
        };
        let (mut propagators, mut is_none) = (Vec::new(), false);
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let propagator = match name.to_ascii_lowercase().as_str() {
                "none" => {
                    is_none = true;
                    continue;
                }
                "baggage" => Self::Baggage,
                "tracecontext" => Self::TraceContext,
                _ => {
                    env.ignore(VARIABLE, name, ACCEPTED);
                    continue;
                }
            };
            if !propagators.contains(&propagator) {
                propagators.push(propagator);
            }
        }
        match (propagators.is_empty(), is_none) {
            (_, true) => Vec::new(),
            (true, false) => Self::DEFAULT.into(),
            (false, false) => propagators,
        }
    }
}
