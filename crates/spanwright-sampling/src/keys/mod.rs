//! A budget shared over keys.
//!
//! What a decision touches is in `cells` and below it; what the thread that ticks knows and decides is in `engine` and `pass`.
//!
//! ```text
//! decision:  source (hash) -> cells -> table: find, count, plan          tick:  engine: credit, surprise, forecasts
//!                                  `-> columns: many threads, bursts             `-> pass: drain, estimate, level, plan
//! ```

mod builder;
mod cells;
mod columns;
mod distinct;
mod engine;
mod estimate;
mod level;
mod pass;
mod per_key;
mod source;
mod state;
mod stats;
mod sync;
mod table;
mod text;

#[cfg(all(test, spanwright_loom))]
mod model;
#[cfg(test)]
mod tests;

pub use self::{
    builder::PerKeyBuilder,
    per_key::{PerKey, PerKeySampler},
    source::{KeyWriter, SpanKey},
    stats::{KeyShare, KeyStats},
};
