//! The sampler that can be replaced.

use std::fmt;
#[cfg(feature = "config")]
use std::path::PathBuf;
use std::sync::Arc;

use spanwright_core::{BuildError, NoopObserver, Observer};
#[cfg(feature = "config")]
use spanwright_core::{Env, Pressure};

#[cfg(feature = "config")]
use super::documents::Documents;
use super::handle::ReloadHandle;
use super::shared::Shared;
use crate::composable::ComposableSampler;
use crate::config::{Decider, Life};
#[cfg(feature = "config")]
use crate::config::{SamplerConfig, Surroundings};
use crate::sampler::{Decision, Sampler};
use crate::span::StartingSpan;
use crate::stats::SamplerStats;
use crate::ticker::Ticker;

/// Decides by another sampler, which can be replaced at any time.
///
/// ```
/// use spanwright_sampling::{AlwaysOn, Probability, ReloadableSampler};
///
/// let sampler = ReloadableSampler::builder().with_initial(AlwaysOn).spawn()?;
/// let handle = sampler.handle();
/// // SdkTracerProvider::builder().with_sampler(sampler)
/// assert_eq!(handle.replace(Probability::new(0.1)?), 2);
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// With feature `config` it takes [documents](ReloadHandle::reload_str) and [follows a file](ReloadableSamplerBuilder::with_file). What
/// cannot be used changes nothing: the sampler that there is goes on, and [`status`](ReloadHandle::status) says so.
///
/// # What becomes of what was counted
///
/// [`stats`](Self::stats) go on over every replacement: decisions are counted here and not in the sampler that wanted them, and rules
/// go on counting where the rule of the same name in the sampler before has stopped. Rules that are gone keep their counts, and stand
/// last. When a document replaces another, samplers that know something (rates that they have measured, what a server has told them)
/// go over into the new one, if their settings there are the same.
///
/// Clones are the same sampler.
///
/// # Cost
///
/// Besides what the sampler inside costs, a load of the pointer to it that no other thread is held up by (two atomic operations on a
/// line of this thread's own, about ten nanoseconds), and no lock and no allocation. A copy of the pointer in each thread would cost a
/// third of that; but a thread that starts no spans would keep a sampler alive that was replaced, with its memory, its controllers and
/// its connection.
#[derive(Clone)]
pub struct ReloadableSampler {
    shared: Arc<Shared>,
}

/// Settings of a [`ReloadableSampler`].
#[must_use = "a builder does nothing until `build` or `spawn`"]
pub struct ReloadableSamplerBuilder {
    initial: Option<Decider>,
    observer: Option<Arc<dyn Observer>>,
    #[cfg(feature = "config")]
    document: DocumentSettings,
}

/// What documents are read by.
#[cfg(feature = "config")]
#[derive(Debug, Default)]
struct DocumentSettings {
    config: Option<SamplerConfig>,
    file: Option<PathBuf>,
    env: Option<Env>,
    service_name: Option<String>,
    pressure: Pressure,
}

impl ReloadableSampler {
    /// Without any setting: `parentbased_always_on`, until it is replaced.
    pub fn builder() -> ReloadableSamplerBuilder {
        ReloadableSamplerBuilder {
            initial: None,
            observer: None,
            #[cfg(feature = "config")]
            document: DocumentSettings::default(),
        }
    }

    /// What replaces the sampler inside.
    #[must_use]
    pub fn handle(&self) -> ReloadHandle {
        ReloadHandle::new(Arc::clone(&self.shared))
    }

    /// What was counted so far, by all samplers that decided here.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.shared.stats()
    }
}

impl ReloadableSamplerBuilder {
    /// Decides until it is replaced. Default: `parentbased_always_on`.
    pub fn with_initial(mut self, sampler: impl ComposableSampler) -> Self {
        self.initial = Some(Decider::of_composable(sampler));
        self
    }

    /// Hears of every replacement, and of every configuration that cannot be used. Default: nobody.
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Decides until it is replaced, instead of [`with_initial`](Self::with_initial).
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn with_config(mut self, config: SamplerConfig) -> Self {
        self.document.config = Some(config);
        self
    }

    /// Follows this file, whose document decides from the beginning, and is read anew within a tick (100 ms) of a change. Default: no
    /// file.
    ///
    /// It is seen when it is written, when another one is renamed over it, and when a symbolic link on the way to it points somewhere
    /// else, as in a Kubernetes ConfigMap. Whoever writes in place may be seen halfway: what is there then is a bad configuration like
    /// any other, or worse, a good one that was not meant. So rename, which is atomic. A file that vanishes changes nothing.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn with_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.document.file = Some(path.into());
        self
    }

    /// The variables that documents refer to, in place of those of the process.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn with_env(mut self, env: Env) -> Self {
        self.document.env = Some(env);
        self
    }

    /// The service that a remote sampler of a document asks for. Default: `OTEL_SERVICE_NAME`.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.document.service_name = Some(name.into());
        self
    }

    /// What adaptive samplers of a document lower their rates by. Default: no pressure.
    #[cfg(feature = "config")]
    #[cfg_attr(docsrs, doc(cfg(feature = "config")))]
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.document.pressure = pressure;
        self
    }

    /// The sampler, and nobody who ticks: whoever holds it calls [`Tick::tick`](crate::Tick::tick) of its handle.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its document cannot be used. So a service that starts with a wrong configuration says so at once;
    /// one that runs is not stopped by one.
    pub fn build(self) -> Result<ReloadableSampler, BuildError> {
        self.make(Life::Lent)
    }

    fn make(self, life: Life) -> Result<ReloadableSampler, BuildError> {
        let observer = self.observer.unwrap_or_else(|| Arc::new(NoopObserver));
        let shared = Shared::new(self.initial.unwrap_or_else(Decider::of_default), Arc::clone(&observer));
        #[cfg(feature = "config")]
        let shared = self.document.apply(shared, observer, life)?;
        let _ = life;
        Ok(ReloadableSampler {
            shared: Arc::new(shared),
        })
    }

    /// The same, ticked by [the process's ticker](Ticker::shared).
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), or the system cannot start a thread.
    pub fn spawn(self) -> Result<ReloadableSampler, BuildError> {
        let sampler = self.make(Life::Own)?;
        Ticker::shared().drive(&sampler.shared)?;
        Ok(sampler)
    }
}

#[cfg(feature = "config")]
impl DocumentSettings {
    fn apply(self, shared: Shared, observer: Arc<dyn Observer>, life: Life) -> Result<Shared, BuildError> {
        let env = self.env.unwrap_or_else(Env::process);
        let surroundings = Surroundings {
            service_name: self.service_name,
            observer,
            pressure: self.pressure,
            ..Surroundings::new(life)
        };
        let mut shared = shared.with_documents(Documents::new(env, surroundings));
        if let Some(config) = self.config {
            shared = shared.beginning_with(config)?;
        }
        match self.file {
            Some(file) => shared.following(file),
            None => Ok(shared),
        }
    }
}

impl Sampler for ReloadableSampler {
    fn sample(&self, span: &StartingSpan<'_>) -> Decision {
        self.shared.current().decider.decide(self.shared.counts(), span)
    }

    fn description(&self) -> String {
        format!("ReloadableSampler{{{}}}", self.shared.current().decider.description())
    }
}

impl fmt::Debug for ReloadableSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableSampler")
            .field("current", &*self.shared.current())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReloadableSamplerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ReloadableSamplerBuilder");
        debug.field("initial", &self.initial);
        #[cfg(feature = "config")]
        debug.field("document", &self.document);
        debug.finish_non_exhaustive()
    }
}
