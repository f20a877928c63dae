//! Samplers that are described and not programmed: by the environment, or by a document.
//!
//! ```text
//! OTEL_TRACES_SAMPLER ── env ────────────┐
//! text ── document ── field ── schema ───┴─► SamplerConfig ── construction ──► Decider
//!         tree        path     meaning        data                             samplers
//! ```
//!
//! Everything on the left of the samplers is data that can be compared, so that a reload can keep what did not change.

#[cfg(feature = "config")]
mod by_parent;
mod configured;
#[cfg_attr(
    not(all(feature = "config", feature = "remote")),
    allow(
        dead_code,
        reason = "the environment alone describes nothing that has to be remembered"
    )
)]
mod construction;
mod decider;
#[cfg(feature = "config")]
mod document;
mod env;
#[cfg(feature = "config")]
mod field;
#[cfg(feature = "config")]
mod keys;
#[cfg(feature = "config")]
mod nearest;
mod plain;
#[cfg(feature = "config")]
mod rates;
#[cfg(feature = "config")]
mod rule;
#[cfg(feature = "config")]
mod schema;
#[cfg_attr(
    not(feature = "config"),
    allow(dead_code, reason = "the environment has no name for each of them")
)]
mod settings;
#[cfg(feature = "config")]
mod substitution;

pub(crate) use self::construction::Life;
#[cfg(feature = "config")]
pub(crate) use self::construction::{Part, Surroundings};
pub(crate) use self::decider::{Counts, Decider};
#[cfg(feature = "config")]
pub(crate) use self::document::MAX_LEN;
pub use self::{
    configured::{ConfiguredSampler, ConfiguredSamplerBuilder},
    settings::SamplerConfig,
};
