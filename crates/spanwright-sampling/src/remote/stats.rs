//! What a sampler with a server has done.

use std::time::Duration;

use crate::stats::SamplerStats;

/// What a sampler whose strategy comes from a server has done so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteStats {
    /// How often the server was asked.
    pub polls: u64,
    /// How many of these polls brought nothing that could be used.
    pub failures: u64,
    /// What was wrong with the last of those.
    pub last_error: Option<String>,
    /// How long ago the server last sent something that can be used, the same as before or not.
    pub last_success_age: Option<Duration>,
    /// How many strategies were applied. One that is the same as the one in force is not applied again.
    pub generation: u64,
    /// The strategy in force, in words.
    pub strategy: String,
    /// What was decided, also by the rules of the strategy in force.
    pub decisions: SamplerStats,
}
