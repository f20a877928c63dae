//! How reloading went.

use std::sync::Arc;

use spanwright_core::BuildError;

/// What became of the configurations that a [`ReloadableSampler`](crate::ReloadableSampler) was given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReloadStatus {
    /// The number of the sampler that decides now. The first one is 1.
    pub generation: u64,
    /// How many samplers have replaced another.
    pub reloads: u64,
    /// How many configurations could not be used.
    pub rejected: u64,
    /// Why the latest configuration could not be used; `None` if it could.
    pub last_error: Option<Arc<BuildError>>,
    /// What is not wrong in the configuration and yet cannot be meant, such as a rule that no span can reach.
    pub lints: Vec<String>,
}
