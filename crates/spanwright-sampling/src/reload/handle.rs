//! What replaces a sampler.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "config")]
use spanwright_core::BuildError;

use super::shared::Shared;
use super::status::ReloadStatus;
use crate::composable::ComposableSampler;
use crate::config::Decider;
#[cfg(feature = "config")]
use crate::config::SamplerConfig;
use crate::sampler::Sampler;
use crate::stats::SamplerStats;
use crate::ticker::Tick;

/// Replaces what a [`ReloadableSampler`](crate::ReloadableSampler) decides by.
///
/// A decision that has begun is brought to its end by the sampler that it began with; one that begins after a call has returned is
/// made by the new one. Calls from several threads come one after the other.
#[derive(Clone)]
pub struct ReloadHandle {
    shared: Arc<Shared>,
}

impl ReloadHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// From now on what `sampler` wants is what is decided. Returns its generation.
    pub fn replace(&self, sampler: impl ComposableSampler) -> u64 {
        self.shared.replace_by_hand(Decider::of_composable(sampler))
    }

    /// From now on `sampler` decides, with accounts of its own: here its decisions are counted under
    /// [`Reason::Other`](crate::Reason::Other). Returns its generation.
    pub fn replace_sampler(&self, sampler: impl Sampler) -> u64 {
        self.shared.replace_by_hand(Decider::of_sampler(sampler))
    }

    /// From now on the sampler that this document describes decides; see [`SamplerConfig::parse`]. Returns its generation, which is the
    /// one that there is if the document describes the same sampler.
    ///
    /// A file that is followed is not forgotten: the next change of it counts again.
    ///
    /// # Errors
    ///
    /// The document cannot be used. The sampler that there is goes on.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn reload_str(&self, yaml: &str) -> Result<u64, Arc<BuildError>> {
        self.shared.reload_text(yaml)
    }

    /// The same for a configuration that was read already.
    ///
    /// # Errors
    ///
    /// A sampler cannot be made. The one that there is goes on.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn reload(&self, config: SamplerConfig) -> Result<u64, Arc<BuildError>> {
        self.shared.reload(config)
    }

    /// How reloading went so far.
    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        self.shared.status()
    }

    /// As [`ReloadableSampler::stats`](crate::ReloadableSampler::stats).
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.shared.stats()
    }
}

/// For samplers that were [built and not spawned](crate::ReloadableSamplerBuilder::build): looks whether the file has changed, and
/// hands the time on to the samplers inside.
impl Tick for ReloadHandle {
    fn tick(&self, now: Instant) {
        self.shared.tick(now);
    }
}

impl fmt::Debug for ReloadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadHandle")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
