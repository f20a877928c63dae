//! Rates that are held, with weights that stay right.

mod adaptive;
mod check;
#[cfg(test)]
mod control_loop;
mod controller;
mod dispersion;
mod governor;
mod handle;
mod history;
mod limiting;
mod recent;
#[cfg(feature = "remote")]
mod reservoir;
mod stage;
mod stats;
mod units;

#[cfg(feature = "remote")]
pub(crate) use self::reservoir::Reservoir;
pub use self::{
    adaptive::{Adaptive, AdaptiveBuilder, AdaptiveSampler},
    handle::RateHandle,
    limiting::{RateLimiting, RateLimitingBuilder, RateLimitingSampler},
    stats::RateStats,
};
