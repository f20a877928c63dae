//! Rates that are held, with weights that stay right.

mod adaptive;
mod controller;
mod governor;
mod handle;
mod history;
mod limiting;
mod stats;

pub use self::{
    adaptive::{Adaptive, AdaptiveBuilder, AdaptiveSampler},
    handle::RateHandle,
    limiting::{RateLimiting, RateLimitingBuilder, RateLimitingSampler},
    stats::RateStats,
};
