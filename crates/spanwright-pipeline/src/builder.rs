//! The settings of a pipeline.

use std::fmt;
use std::sync::Arc;

use opentelemetry::Key;
use spanwright_batching::{BatchConfig, BatchSpanProcessor, OverflowPolicy};
use spanwright_core::{BoxExporter, BuildError, Env, Exporter, Observer, Pressure};
use spanwright_otlp::SpanEncoder;
use spanwright_sampling::{ConfiguredSampler, PublishStats, StatsPublisher, TailSampler};
use spanwright_spool::SpoolConfig;

#[cfg(any(feature = "grpc", feature = "http"))]
use crate::endpoints::Endpoints;
use crate::idle::idle_processor;
use crate::notice;
use crate::otel::{Registered, Resource, SdkSettings};
#[cfg(any(feature = "grpc", feature = "http"))]
use crate::otlp::OtlpSettings;
use crate::own_thread::OwnThread;
use crate::pipeline::{Inner, Pipeline, State};
use crate::settings::{SERVICE_NAME, Settings};
use crate::spool::Spools;

/// The destination that the settings describe.
#[cfg(any(feature = "grpc", feature = "http"))]
const OTLP: &str = "otlp";

/// What else of the resource rules of a remote sampler may ask for.
const CLOUD_PLATFORM: &str = "cloud.platform";
const RESOURCE_ARNS: [&str; 2] = ["aws.ecs.container.arn", "cloud.resource_id"];

/// Builds a [`Pipeline`]. Without any setting it is the one that the environment describes, and where that says nothing, one
/// that delivers over gRPC to a Collector on this machine.
///
/// # Code and environment
///
/// What is set here wins over the environment, and in the environment a variable for traces over the general one. An empty
/// variable counts as unset. One that cannot be used is ignored, the default is in its place, and it is told once: see
/// [`build`](Self::build). So a wrong variable does not stop a program, and a wrong setting in code always does. (An endpoint of
/// https is not wrong on a machine without any certificate authority, but nothing can be done with it: that is an error, too.)
///
/// | variables | instead in code |
/// |---|---|
/// | `OTEL_SDK_DISABLED` | |
/// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | [`with_service_name`](Self::with_service_name), [`with_resource`](Self::with_resource) |
/// | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | [`with_sampler`](Self::with_sampler) |
/// | `OTEL_{,SPAN_,EVENT_,LINK_}ATTRIBUTE_COUNT_LIMIT`, `OTEL_SPAN_{EVENT,LINK}_COUNT_LIMIT` | [`with_span_limits`](Self::with_span_limits) |
/// | `OTEL_{,SPAN_}ATTRIBUTE_VALUE_LENGTH_LIMIT` | [`with_attribute_value_length_limit`](Self::with_attribute_value_length_limit) |
/// | `OTEL_BSP_*` | [`with_batch_config`](Self::with_batch_config) |
/// | `OTEL_TRACES_EXPORTER` (`otlp`, `none`) | [`with_exporter`](Self::with_exporter) adds to it |
/// | `OTEL_EXPORTER_OTLP_*`, `OTEL_EXPORTER_OTLP_TRACES_*` | `with_endpoint` and the others of features `grpc` and `http` |
/// | `SPANWRIGHT_SPOOL_*` | [`with_spool`](Self::with_spool) |
/// | `OTEL_PROPAGATORS` (`tracecontext`, `baggage`, `none`) | `opentelemetry::global::set_text_map_propagator`, after [`Pipeline::install_global`] |
///
/// # Source
///
/// [SDK environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/),
/// [OTLP exporter configuration](https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
#[must_use = "a builder does nothing until `build`"]
pub struct PipelineBuilder {
    pub(crate) sdk: SdkSettings,
    #[cfg(any(feature = "grpc", feature = "http"))]
    pub(crate) otlp: OtlpSettings,
    service_name: Option<String>,
    attribute_value_length_limit: Option<usize>,
    exporters: Exporters,
    batch_config: Option<BatchConfig>,
    overflow_policy: Option<OverflowPolicy>,
    local_roots_first: bool,
    tail: Option<TailSampler>,
    pub(crate) spool: Option<SpoolConfig>,
    observer: Option<Arc<dyn Observer>>,
    pressure: Option<Pressure>,
    env: Option<Env>,
}

impl PipelineBuilder {
    pub(crate) fn new() -> Self {
        Self {
            sdk: SdkSettings::default(),
            #[cfg(any(feature = "grpc", feature = "http"))]
            otlp: OtlpSettings::default(),
            service_name: None,
            attribute_value_length_limit: None,
            exporters: Vec::new(),
            batch_config: None,
            overflow_policy: None,
            local_roots_first: false,
            tail: None,
            spool: None,
            observer: None,
            pressure: None,
            env: None,
        }
    }

    /// The name of the service: the attribute `service.name` of the resource. Default: `unknown_service` and the program's name.
    /// Not empty. `OTEL_SERVICE_NAME`.
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// After how many characters string values of attributes are cut. Default: never. 0 and more.
    /// `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`.
    pub fn with_attribute_value_length_limit(mut self, max_characters: usize) -> Self {
        self.attribute_value_length_limit = Some(max_characters);
        self
    }

    /// One more destination, beside the OTLP exporter that the other settings describe. Every destination gets every batch, by
    /// reference, and has a queue and an account of its own: none waits for another, and no span is encoded or cloned twice.
    ///
    /// Any tower service of the right types is an [`Exporter`]. The name is its key in [`Stats`](spanwright_batching::Stats) and
    /// [`Report`](spanwright_batching::Report): not empty, and different from the others, of which `otlp` is one.
    pub fn with_exporter(mut self, name: impl Into<Arc<str>>, exporter: impl Exporter) -> Self {
        self.exporters.push((name.into(), BoxExporter::new(exporter)));
        self
    }

    /// Sizes, delays, the bound of the queue. Default: [`BatchConfig::for_available_memory`] and over it the variables
    /// `OTEL_BSP_*`, which are not read when a configuration is given here; it can take them itself, by
    /// [`BatchConfig::with_env`].
    pub fn with_batch_config(mut self, config: BatchConfig) -> Self {
        self.batch_config = Some(config);
        self
    }

    /// What is dropped when there is no room. Default: what the batch configuration says, and there the newest.
    pub fn with_overflow_policy(mut self, policy: OverflowPolicy) -> Self {
        self.overflow_policy = Some(policy);
        self
    }

    /// Whether local roots (spans without a parent, or with one in another process) are dropped last, as spans with an error
    /// always are. Default: no.
    pub fn with_local_roots_first(mut self, is_on: bool) -> Self {
        self.local_roots_first = is_on;
        self
    }

    /// Holds the spans of each trace until its local root has ended, and decides then whether they are exported. Default: whatever
    /// the [sampler](Self::with_sampler) samples is exported as it ends.
    ///
    /// The sampler has to record the spans that are to be decided about, whether or not it samples them; what it drops nobody sees.
    /// Its thresholds count: see [`TailSamplerBuilder::with_recording_head`](spanwright_sampling::TailSamplerBuilder::with_recording_head),
    /// which the default sampler (it samples everything, and writes no threshold) needs for weights to be written.
    ///
    /// [`Stats::tail`](spanwright_batching::Stats::tail) is the ledger of what is held; keep a clone of the sampler for its own counts.
    /// A flush decides nothing early, a shutdown everything, within its deadline.
    pub fn with_tail(mut self, tail: TailSampler) -> Self {
        self.tail = Some(tail);
        self
    }

    /// Hears what happens; and, every ten seconds, what the [tail](Self::with_tail) and the sampler of the environment have counted. A
    /// sampler of your own tells by a [`StatsPublisher`]. Default: nobody.
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Is told how close the queue is to dropping: give a clone to a sampler. Default: nobody is told.
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.pressure = Some(pressure);
        self
    }

    /// These variables, in place of those of the process.
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// No variables: only what is set here, and the defaults.
    pub fn without_env(self) -> Self {
        self.with_env(Env::empty())
    }

    /// Checks everything, and starts the pipeline's thread. No connection is opened before there is a request to send.
    ///
    /// Variables that could not be used are told to the [observer](Self::with_observer) as
    /// [`Event::VariableIgnored`](spanwright_core::Event::VariableIgnored). Without one they are logged as warnings by `tracing`, or
    /// on standard error as long as it has no subscriber. They are also kept, see [`Pipeline::ignored_variables`].
    ///
    /// # Errors
    ///
    /// A setting made here that cannot be used: its name, its value, and what is accepted. Also that there is no exporter at all,
    /// and that the system cannot start a thread.
    pub fn build(mut self) -> Result<Pipeline, BuildError> {
        if self.service_name.as_deref().is_some_and(|name| name.trim().is_empty()) {
            return Err(BuildError::new("service_name", "", "a name that is not empty"));
        }
        let env = self.env.take().unwrap_or_else(Env::process);
        let settings = Settings::from_env(&env);
        let batch_config = self.batch_config(&env);
        let destinations = self.exporters(&settings, &env, batch_config.max_concurrent_exports())?;
        let state = match destinations.exporters.is_empty() {
            _ if settings.is_disabled => State::Disabled,
            false => State::Exporting,
            true => State::Idle,
        };
        let resource = self.sdk.resource(&settings.resource, self.service_name.as_deref());
        let mut publishers = Vec::new();
        if state != State::Disabled {
            publishers.extend(self.configure_sampler(&settings, &env, &resource)?);
        }
        let mut spools = Spools::new(self.spool.take(), &env, self.observer.as_ref());
        let ignored = env.ignored();
        notice::variables_ignored(&ignored, self.observer.as_deref());

        let length_limit = self.attribute_value_length_limit;
        let encoder = SpanEncoder::builder()
            .with_resource(&resource)
            .with_attribute_value_length_limit(length_limit.or(settings.limits.attribute_value_length))
            .build();
        let mut processor = BatchSpanProcessor::builder(encoder)
            .with_config(batch_config)
            .with_local_roots_first(self.local_roots_first);
        let observer = self.observer;
        if let Some(observer) = &observer {
            processor = processor.with_observer(Arc::clone(observer));
        }
        if let Some(pressure) = self.pressure {
            processor = processor.with_pressure(pressure);
        }
        if let Some(tail) = self.tail.as_ref().filter(|_| state == State::Exporting) {
            publishers.extend(published(observer.as_ref(), tail.clone(), TailSampler::stats)?);
        }
        let publishers: Arc<[StatsPublisher]> = publishers.into();
        let (processor, provider) = match state {
            State::Exporting => {
                if let Some(tail) = self.tail {
                    processor = processor.with_tail(Arc::new(tail));
                }
                for (name, exporter) in destinations.exporters {
                    let exporter = OwnThread(exporter);
                    processor = match spools.open(&name)? {
                        Some(spool) => processor.with_stored_exporter(name, exporter, Arc::new(spool)),
                        None => processor.with_exporter(name, exporter),
                    };
                }
                let processor = processor.spawn()?;
                let registered = Registered {
                    processor: processor.clone(),
                    publishers: Arc::clone(&publishers),
                };
                let provider = self.sdk.provider(&settings, resource.clone(), Some(registered));
                (processor, provider)
            }
            State::Idle => (
                idle_processor(processor)?,
                self.sdk.provider(&settings, resource.clone(), None),
            ),
            State::Disabled => (
                idle_processor(processor)?,
                SdkSettings::disabled_provider(resource.clone()),
            ),
        };
        Ok(Pipeline::new(Inner {
            processor,
            #[cfg(any(feature = "grpc", feature = "http"))]
            endpoints: destinations.endpoints,
            spools,
            publishers,
            provider,
            resource,
            state,
            propagators: settings.propagators,
            ignored,
        }))
    }

    /// Only where it is wanted: it may start to ask a server. What tells the observer of its counts, if there is one.
    fn configure_sampler(
        &mut self,
        settings: &Settings,
        env: &Env,
        resource: &Resource,
    ) -> Result<Option<StatsPublisher>, BuildError> {
        if self.sdk.has_sampler() {
            return Ok(None);
        }
        let mut builder = ConfiguredSampler::builder(settings.sampler.clone());
        let known = |name| resource.get(&Key::from_static_str(name));
        if let Some(name) = known(SERVICE_NAME) {
            builder = builder.with_service_name(name.as_str());
        }
        if let Some(platform) = known(CLOUD_PLATFORM) {
            builder = builder.with_cloud_platform(platform.as_str());
        }
        if let Some(arn) = RESOURCE_ARNS.into_iter().find_map(known) {
            builder = builder.with_resource_arn(arn.as_str());
        }
        if let Some(observer) = &self.observer {
            builder = builder.with_observer(Arc::clone(observer));
        }
        if let Some(pressure) = &self.pressure {
            builder = builder.with_pressure(pressure.clone());
        }
        let sampler = builder.spawn_or_ignore(env);
        self.sdk.set_sampler(sampler.clone());
        published(self.observer.as_ref(), sampler, ConfiguredSampler::stats)
    }

    fn batch_config(&mut self, env: &Env) -> BatchConfig {
        let config = self.batch_config.take();
        let config = config.unwrap_or_else(|| BatchConfig::for_available_memory().with_env(env));
        match self.overflow_policy {
            Some(policy) => config.with_overflow_policy(policy),
            None => config,
        }
    }

    /// Every destination. None is an error, unless the environment wants it so.
    fn exporters(&mut self, settings: &Settings, env: &Env, max_concurrent: usize) -> Result<Destinations, BuildError> {
        let mut destinations = Destinations::default();
        #[cfg(any(feature = "grpc", feature = "http"))]
        if self.otlp.is_wanted && settings.exports_otlp && !settings.is_disabled {
            let (endpoints, exporter) = self.otlp.exporter(env, self.observer.as_ref(), max_concurrent)?;
            destinations.endpoints = endpoints;
            destinations.exporters.push((Arc::from(OTLP), exporter));
        }
        #[cfg(not(any(feature = "grpc", feature = "http")))]
        let _ = (env, max_concurrent);
        let exporters = &mut destinations.exporters;
        exporters.append(&mut self.exporters);

        for (index, (name, _)) in exporters.iter().enumerate() {
            let is_taken = exporters[..index].iter().any(|(other, _)| other == name);
            if name.is_empty() || is_taken {
                let accepted =
                    "a name that is not empty and that no other exporter has; that of the settings has `otlp`";
                return Err(BuildError::new("exporter", name, accepted));
            }
        }
        if exporters.is_empty() && settings.exports_otlp && !settings.is_disabled {
            let accepted = "one or more: `with_exporter`, or the OTLP exporter of feature `grpc` or `http`";
            return Err(BuildError::new("exporter", "none", accepted));
        }
        Ok(destinations)
    }
}

/// Tells the observer what the sampler has counted, as long as this is held.
fn published<S: Send + 'static, T: PublishStats>(
    observer: Option<&Arc<dyn Observer>>,
    sampler: S,
    stats: fn(&S) -> T,
) -> Result<Option<StatsPublisher>, BuildError> {
    let publisher = observer.map(|observer| StatsPublisher::spawn(Arc::clone(observer), move || stats(&sampler)));
    publisher.transpose()
}

/// By their names.
type Exporters = Vec<(Arc<str>, BoxExporter)>;

/// Where spans go.
#[derive(Default)]
struct Destinations {
    exporters: Exporters,
    /// Of the OTLP exporter.
    #[cfg(any(feature = "grpc", feature = "http"))]
    endpoints: Endpoints,
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exporters: Vec<_> = self.exporters.iter().map(|(name, _)| name).collect();
        let mut debug = f.debug_struct("PipelineBuilder");
        #[cfg(any(feature = "grpc", feature = "http"))]
        debug.field("otlp", &self.otlp);
        debug
            .field("sdk", &self.sdk)
            .field("service_name", &self.service_name)
            .field("attribute_value_length_limit", &self.attribute_value_length_limit)
            .field("exporters", &exporters)
            .field("batch_config", &self.batch_config)
            .field("overflow_policy", &self.overflow_policy)
            .field("local_roots_first", &self.local_roots_first)
            .field("tail", &self.tail)
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}
