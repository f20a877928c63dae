//! A fixed share of all traces, whole.

use spanwright_core::BuildError;

use crate::composable::{ParentThreshold, Probability};
use crate::composite::CompositeSampler;

/// Keeps a fixed share of all traces, each whole: a service that begins a trace decides, the others do what was decided for the
/// parent.
///
/// Any service that decides by the same or a larger share keeps at least the same traces.
///
/// ```
/// use spanwright_sampling::ConsistentProbability;
///
/// let sampler = ConsistentProbability::of(0.1)?;
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
pub type ConsistentProbability = CompositeSampler<ParentThreshold<Probability>>;

impl ConsistentProbability {
    /// Keeps the share `ratio` of all traces, 0 to 1. Below 2^-56 it keeps none.
    ///
    /// # Errors
    ///
    /// A `ratio` outside of 0 to 1, or NaN.
    pub fn of(ratio: f64) -> Result<Self, BuildError> {
        Ok(Self::new(ParentThreshold::new(Probability::new(ratio)?)))
    }
}
