//! Samplers that are replaced while they run.
//!
//! ```text
//! file ── tick ──┐                      ┌─ ReloadableSampler, on the application's threads: one load, no lock
//! handle ────────┴─► Version ═ swap ════╡
//!                    or refused: told,  └─ counts, which are there before and after
//!                    counted
//! ```

#[cfg(feature = "config")]
mod documents;
#[cfg(feature = "config")]
mod file;
mod handle;
mod sampler;
mod shared;
mod status;

pub use self::{
    handle::ReloadHandle,
    sampler::{ReloadableSampler, ReloadableSamplerBuilder},
    status::ReloadStatus,
};
