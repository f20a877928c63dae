//! A sampler for each place where a parent may be, and each thing that may have become of it.

use std::fmt;
use std::sync::Arc;

use crate::plain::{AlwaysOffSampler, AlwaysOnSampler};
use crate::sampler::{Decision, Sampler};
use crate::span::{ParentOrigin, StartingSpan};

/// Asks one of five samplers, by the span's parent, and passes its decision on: with its attributes, and with its trace state.
///
/// | parent | sampled | sampler | default |
/// |---|---|---|---|
/// | none | | `root` | |
/// | remote | yes | `remote_parent_sampled` | [`AlwaysOnSampler`] |
/// | remote | no | `remote_parent_not_sampled` | [`AlwaysOffSampler`] |
/// | local | yes | `local_parent_sampled` | [`AlwaysOnSampler`] |
/// | local | no | `local_parent_not_sampled` | [`AlwaysOffSampler`] |
///
/// With the defaults the child of a sampled parent keeps the parent's threshold, and that of a dropped one has none.
///
/// ```
/// use spanwright_sampling::{CompositeSampler, ParentBased, Probability};
///
/// // One in ten traces that begin here; what others began is left to them.
/// let root = CompositeSampler::new(Probability::new(0.1)?);
/// let sampler = ParentBased::builder(root).build();
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// A sampler that writes thresholds does not belong into a branch of sampled parents unless it takes theirs into account, as
/// [`ParentThreshold`](crate::ParentThreshold) does: [`CompositeSampler`](crate::CompositeSampler) over
/// [`Probability`](crate::Probability) alone would say that a span stands for fewer than it does.
///
/// Clones are the same sampler.
///
/// # Cost
///
/// Nothing besides what the sampler costs that is asked.
///
/// # Source
///
/// [SDK, ParentBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased).
#[derive(Clone)]
pub struct ParentBased {
    branches: Arc<Branches>,
}

/// Makes a [`ParentBased`].
#[derive(Debug)]
pub struct ParentBasedBuilder {
    branches: Branches,
}

#[derive(Debug)]
struct Branches {
    root: Box<dyn Sampler>,
    remote: Branch,
    local: Branch,
}

#[derive(Debug)]
struct Branch {
    sampled: Box<dyn Sampler>,
    not_sampled: Box<dyn Sampler>,
}

impl ParentBased {
    /// `root` decides for spans without a parent.
    pub fn builder(root: impl Sampler) -> ParentBasedBuilder {
        ParentBasedBuilder {
            branches: Branches {
                root: Box::new(root),
                remote: Branch::default(),
                local: Branch::default(),
            },
        }
    }

    fn branch(&self, span: &StartingSpan<'_>) -> (&'static str, &dyn Sampler) {
        let Branches { root, remote, local } = &*self.branches;
        let is_sampled = span.parent().is_some_and(|parent| parent.is_sampled());
        let (name, sampler) = match (span.parent_origin(), is_sampled) {
            (ParentOrigin::None, _) => ("root", root),
            (ParentOrigin::Remote, true) => ("remote parent sampled", &remote.sampled),
            (ParentOrigin::Remote, false) => ("remote parent not sampled", &remote.not_sampled),
            (ParentOrigin::Local, true) => ("local parent sampled", &local.sampled),
            (ParentOrigin::Local, false) => ("local parent not sampled", &local.not_sampled),
        };
        (name, &**sampler)
    }
}

impl ParentBasedBuilder {
    /// For spans whose parent is in another process and was sampled. Default: all of them.
    #[must_use]
    pub fn with_remote_parent_sampled(mut self, sampler: impl Sampler) -> Self {
        self.branches.remote.sampled = Box::new(sampler);
        self
    }

    /// For spans whose parent is in another process and was not sampled. Default: none of them.
    #[must_use]
    pub fn with_remote_parent_not_sampled(mut self, sampler: impl Sampler) -> Self {
        self.branches.remote.not_sampled = Box::new(sampler);
        self
    }

    /// For spans whose parent is in this process and was sampled. Default: all of them.
    #[must_use]
    pub fn with_local_parent_sampled(mut self, sampler: impl Sampler) -> Self {
        self.branches.local.sampled = Box::new(sampler);
        self
    }

    /// For spans whose parent is in this process and was not sampled. Default: none of them.
    #[must_use]
    pub fn with_local_parent_not_sampled(mut self, sampler: impl Sampler) -> Self {
        self.branches.local.not_sampled = Box::new(sampler);
        self
    }

    /// The sampler. Nothing about it can be wrong.
    #[must_use]
    pub fn build(self) -> ParentBased {
        ParentBased {
            branches: Arc::new(self.branches),
        }
    }
}

impl Default for Branch {
    fn default() -> Self {
        Self {
            sampled: Box::new(AlwaysOnSampler),
            not_sampled: Box::new(AlwaysOffSampler),
        }
    }
}

impl Sampler for ParentBased {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        let (name, sampler) = self.branch(span);
        span.explain(|| format!("parent based, {name}: {} is asked", sampler.description()));
        sampler.sample(span)
    }

    fn description(&self) -> String {
        let Branches { root, remote, local } = &*self.branches;
        format!(
            "ParentBased{{root:{},remoteParentSampled:{},remoteParentNotSampled:{},localParentSampled:{},localParentNotSampled:{}}}",
            root.description(),
            remote.sampled.description(),
            remote.not_sampled.description(),
            local.sampled.description(),
            local.not_sampled.description(),
        )
    }
}

impl fmt::Debug for ParentBased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.branches.fmt(f)
    }
}
