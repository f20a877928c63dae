//! A sampler that was described.

use std::fmt;
use std::sync::Arc;

use spanwright_core::{BuildError, Env, Observer, Pressure};

use super::construction::{Constructed, Life, Surroundings};
use super::decider::{Counts, Decider};
use super::settings::SamplerConfig;
use crate::composable::AlwaysOff;
use crate::sampler::{Decision, Sampler};
use crate::span::StartingSpan;
use crate::stats::{RuleCount, SamplerStats};

/// The sampler that a [`SamplerConfig`] describes.
///
/// ```
/// use spanwright_core::Env;
/// use spanwright_sampling::ConfiguredSampler;
///
/// let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")]);
/// let sampler = ConfiguredSampler::from_env(&env);
/// assert!(env.ignored().is_empty());
/// # let _ = sampler;
/// ```
///
/// Clones are the same sampler. For one that can be described anew while it runs see [`ReloadableSampler`](crate::ReloadableSampler).
#[derive(Clone)]
pub struct ConfiguredSampler {
    decider: Decider,
    counts: Counts,
    lints: Arc<[String]>,
}

/// What a [`ConfiguredSampler`] is made in.
#[must_use = "a builder does nothing until `spawn`"]
pub struct ConfiguredSamplerBuilder {
    config: SamplerConfig,
    surroundings: Surroundings,
}

impl ConfiguredSampler {
    /// The sampler of [`OTEL_TRACES_SAMPLER`](SamplerConfig::from_env): there always is one, because a wrong variable is ignored.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        Self::builder(SamplerConfig::from_env(env)).spawn_or_ignore(env)
    }

    /// What this configuration describes.
    pub fn builder(config: SamplerConfig) -> ConfiguredSamplerBuilder {
        ConfiguredSamplerBuilder {
            config,
            surroundings: Surroundings::new(Life::Own),
        }
    }

    fn new(decider: Decider, lints: Vec<String>) -> Self {
        Self {
            decider,
            counts: Counts::new(AlwaysOff),
            lints: lints.into(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        let mut rules = Vec::new();
        self.decider
            .visit_tallies(&mut |tally| rules.push(RuleCount::of(tally)));
        SamplerStats {
            rules,
            ..self.counts.stats()
        }
    }

    /// What is not wrong in the configuration and yet cannot be meant, such as a rule that no span can reach.
    #[must_use]
    pub fn lints(&self) -> &[String] {
        &self.lints
    }
}

impl ConfiguredSamplerBuilder {
    /// The service that a remote sampler asks for. Default: what `OTEL_SERVICE_NAME` said when the configuration was read, or
    /// `unknown_service`.
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.surroundings.service_name = Some(name.into());
        self
    }

    /// What the resource has as `cloud.platform`: X-Ray has rules for those. Default: not known. Without feature `remote` nobody asks.
    #[cfg_attr(
        not(feature = "remote"),
        expect(unused_mut, unused_variables, reason = "nobody asks")
    )]
    pub fn with_cloud_platform(mut self, platform: impl Into<String>) -> Self {
        #[cfg(feature = "remote")]
        {
            self.surroundings.cloud_platform = Some(platform.into());
        }
        self
    }

    /// What the resource has as `aws.ecs.container.arn` or `cloud.resource_id`: X-Ray has rules for those too. Default: not known. Without
    /// feature `remote` nobody asks.
    #[cfg_attr(
        not(feature = "remote"),
        expect(unused_mut, unused_variables, reason = "nobody asks")
    )]
    pub fn with_resource_arn(mut self, arn: impl Into<String>) -> Self {
        #[cfg(feature = "remote")]
        {
            self.surroundings.resource_arn = Some(arn.into());
        }
        self
    }

    /// Hears what a remote sampler has to say. Default: nobody.
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.surroundings.observer = observer;
        self
    }

    /// What adaptive samplers lower their rates by. Default: no pressure.
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.surroundings.pressure = pressure;
        self
    }

    /// Makes the sampler, and starts what it needs: a remote one asks its server from now on, an adaptive one is ticked.
    ///
    /// # Errors
    ///
    /// A setting that a sampler does not take, or that the system cannot start a thread.
    pub fn spawn(self) -> Result<ConfiguredSampler, BuildError> {
        let Constructed { decider, lints, .. } = self.config.construct(Vec::new(), self.surroundings)?;
        Ok(ConfiguredSampler::new(decider, lints))
    }

    /// The same for what the variables of `env` have described: what cannot be made is ignored, which `env` remembers, and the sampler
    /// is the default one.
    #[must_use]
    pub fn spawn_or_ignore(self, env: &Env) -> ConfiguredSampler {
        let config = self.config.clone();
        self.spawn().unwrap_or_else(|error| {
            config.ignore_argument(env, &error);
            ConfiguredSampler::default()
        })
    }
}

/// `parentbased_always_on`.
impl Default for ConfiguredSampler {
    fn default() -> Self {
        Self::new(Decider::of_default(), Vec::new())
    }
}

impl Sampler for ConfiguredSampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        self.decider.decide(&self.counts, span)
    }

    fn description(&self) -> String {
        self.decider.description()
    }
}

impl fmt::Debug for ConfiguredSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredSampler")
            .field("decider", &self.decider)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConfiguredSamplerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredSamplerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
