//! Where this crate meets the SDK: the provider, what it samples and limits, its resource, and its one processor.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{Link, SpanId, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
pub(crate) use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData,
    SpanLimits, SpanProcessor,
};
pub(crate) use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use spanwright_batching::BatchSpanProcessor;
use spanwright_otlp::SpanEncoder;
use spanwright_sampling::{ConfiguredSampler, StatsPublisher};

use crate::builder::PipelineBuilder;
use crate::own_thread;
use crate::settings::{Limits, Propagator, SERVICE_NAME, Settings};

/// The one processor that a provider gets from us.
pub(crate) type Processor = BatchSpanProcessor<SpanEncoder>;

/// What is set in code of the SDK's own types.
#[derive(Debug, Default)]
pub(crate) struct SdkSettings {
    resource: Option<Resource>,
    sampler: Option<Box<dyn ShouldSample>>,
    id_generator: Option<Box<dyn IdGenerator>>,
    span_limits: Option<SpanLimits>,
}

/// Settings of the SDK's provider.
impl PipelineBuilder {
    /// Attributes of the process. They are merged over those of `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME` and
    /// `telemetry.sdk.*`, so that `Resource::builder_empty()` is the right one to start with; its schema URL becomes the resource's.
    ///
    /// Default: those alone, and `unknown_service:` with the program's name if none names the service.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.sdk.resource = Some(resource);
        self
    }

    /// Decides which spans are recorded and which exported. Default: what `OTEL_TRACES_SAMPLER` says, or parent-based, and
    /// always for roots.
    ///
    /// One that follows a file, or is replaced while the service runs, is a `ReloadableSampler` of `spanwright-sampling`: keep its
    /// handle, and give it here.
    ///
    /// For a parent-based sampler around one of your own take `Sampler::parent_based`: the variant `Sampler::ParentBased` throws
    /// the attributes and the trace state of your sampler away.
    pub fn with_sampler(mut self, sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        self.sdk.sampler = Some(sampler.into());
        self
    }

    /// Makes the ids of traces and spans. Default: random ones.
    pub fn with_id_generator(mut self, generator: impl IdGenerator + 'static) -> Self {
        self.sdk.id_generator = Some(Box::new(generator));
        self
    }

    /// How many attributes, events and links of a span are kept; all limits at once. Default: 128 of each, or what the variables
    /// say.
    pub fn with_span_limits(mut self, limits: SpanLimits) -> Self {
        self.sdk.span_limits = Some(limits);
        self
    }
}

impl SdkSettings {
    /// The resource: the SDK's name, then the environment, then code, the later ones over the earlier.
    pub(crate) fn resource(&self, from_env: &[(String, String)], service_name: Option<&str>) -> Resource {
        let schema_url = self.resource.as_ref().and_then(Resource::schema_url);
        let code = self.resource.iter().flat_map(Resource::iter);
        let resource = Resource::builder_empty()
            .with_schema_url([], schema_url.unwrap_or_default().to_owned())
            .with_attribute(KeyValue::new(SERVICE_NAME, unknown_service()))
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(
                from_env
                    .iter()
                    .map(|(key, value)| KeyValue::new(key.clone(), value.clone())),
            )
            .with_attributes(code.map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
        match service_name {
            Some(name) => resource.with_service_name(name.to_owned()).build(),
            None => resource.build(),
        }
    }

    /// Whether code has one.
    pub(crate) fn has_sampler(&self) -> bool {
        self.sampler.is_some()
    }

    /// Takes the sampler that the environment describes.
    pub(crate) fn set_sampler(&mut self, configured: ConfiguredSampler) {
        self.sampler = Some(Box::new(configured));
    }

    /// The provider. What its builder has read from the process's environment is replaced by what was read for us.
    pub(crate) fn provider(
        self,
        settings: &Settings,
        resource: Resource,
        registered: Option<Registered>,
    ) -> SdkTracerProvider {
        let builder = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(NotOurOwn(
                self.sampler.unwrap_or_else(|| Box::<ConfiguredSampler>::default()),
            ))
            .with_id_generator(BoxIdGenerator(
                self.id_generator.unwrap_or_else(|| Box::<RandomIdGenerator>::default()),
            ))
            .with_span_limits(self.span_limits.unwrap_or_else(|| span_limits(settings.limits)));
        match registered {
            Some(registered) => builder.with_span_processor(registered).build(),
            None => builder.build(),
        }
    }

    /// A provider whose spans are none.
    pub(crate) fn disabled_provider(resource: Resource) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::AlwaysOff)
            .build()
    }
}

/// The propagators, one after the other. Of none: one that does nothing.
pub(crate) fn propagator(propagators: &[Propagator]) -> TextMapCompositePropagator {
    let propagators = propagators.iter().map(|propagator| match propagator {
        Propagator::Baggage => Box::new(BaggagePropagator::new()) as Box<dyn TextMapPropagator + Send + Sync>,
        Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
    });
    TextMapCompositePropagator::new(propagators.collect())
}

fn span_limits(limits: Limits) -> SpanLimits {
    let default = SpanLimits::default();
    SpanLimits {
        max_events_per_span: limits.events_per_span.unwrap_or(default.max_events_per_span),
        max_attributes_per_span: limits.attributes_per_span.unwrap_or(default.max_attributes_per_span),
        max_links_per_span: limits.links_per_span.unwrap_or(default.max_links_per_span),
        max_attributes_per_event: limits.attributes_per_event.unwrap_or(default.max_attributes_per_event),
        max_attributes_per_link: limits.attributes_per_link.unwrap_or(default.max_attributes_per_link),
    }
}

/// What a service without a name is called.
///
/// # Source
///
/// [Semantic conventions, service](https://opentelemetry.io/docs/specs/semconv/resource/#service).
fn unknown_service() -> String {
    let program = env::current_exe().ok();
    let name = program.as_deref().and_then(|path| path.file_name()?.to_str());
    name.map_or_else(
        || "unknown_service".to_owned(),
        |name| format!("unknown_service:{name}"),
    )
}

/// Samples what another sampler says, but nothing on a thread that delivers; see [`own_thread`].
#[derive(Clone, Debug)]
struct NotOurOwn(Box<dyn ShouldSample>);

impl ShouldSample for NotOurOwn {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        if own_thread::delivers() {
            return SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::NONE,
            };
        }
        self.0
            .should_sample(parent_context, trace_id, name, span_kind, attributes, links)
    }
}

/// The pipeline's processor, as the provider has it.
///
/// The provider shuts it down once more when it is dropped, which may be long after the pipeline was. That is no error.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) processor: Processor,
    /// What tells of the samplers' counts, as long as there are spans.
    pub(crate) publishers: Arc<[StatsPublisher]>,
}

impl SpanProcessor for Registered {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.processor.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let result = self.processor.shutdown_with_timeout(timeout);
        self.publishers.iter().for_each(StatsPublisher::publish);
        match result {
            Err(OTelSdkError::AlreadyShutdown) => Ok(()),
            result => result,
        }
    }
}

#[derive(Debug)]
struct BoxIdGenerator(Box<dyn IdGenerator>);

impl IdGenerator for BoxIdGenerator {
    fn new_trace_id(&self) -> TraceId {
        self.0.new_trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
