//! Where this crate meets the SDK: spans, and the `SpanProcessor` trait.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use spanwright_core::{Encode, Priority};

use crate::collect::Class;
use crate::processor::{BatchProcessor, BatchProcessorBuilder};
use crate::report::{FlushError, Report};

/// The span processor: sampled spans are encoded when they end. With a [tail stage](BatchProcessorBuilder::with_tail) also those that
/// were only recorded, because it is the stage that decides.
///
/// Register it alone. The SDK clones every span deeply for each further processor; to export to several places, give this one
/// several exporters.
pub type BatchSpanProcessor<E> = BatchProcessor<SpanData, E>;

/// Settings of a [`BatchSpanProcessor`].
pub type BatchSpanProcessorBuilder<E> = BatchProcessorBuilder<SpanData, E>;

impl<E: Encode<SpanData>> BatchProcessor<SpanData, E> {
    /// Starts with what turns spans into bytes; add at least one exporter.
    pub fn builder(encoder: E) -> BatchSpanProcessorBuilder<E> {
        Self::builder_with(encoder, errors_first)
    }
}

impl<E: Encode<SpanData>> BatchProcessorBuilder<SpanData, E> {
    /// Whether local roots (spans without a parent, or with one in another process) are of high priority as spans with an
    /// error are. Default: no.
    #[must_use]
    pub fn with_local_roots_first(self, is_on: bool) -> Self {
        self.with_classify(if is_on {
            errors_and_local_roots_first
        } else {
            errors_first
        })
    }

    /// How the encoder is told the resource that the SDK's provider was built with.
    #[must_use]
    pub fn with_resource_hook(mut self, hook: fn(&E, &Resource)) -> Self {
        self.resource_hook = Some(hook);
        self
    }
}

pub(crate) type ResourceHook<E> = fn(&E, &Resource);

impl<E: Encode<SpanData>> SpanProcessor for BatchProcessor<SpanData, E> {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() || self.has_tail() {
            // A refusal is in the ledger; nobody here could do more about it.
            let _ = self.end(&span);
        } else {
            self.count_unsampled();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        sdk_result(self.flush(self.export_timeout), self.export_timeout)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        sdk_result(self.shutdown_within(timeout), timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(hook) = self.resource_hook {
            hook(self.encoder(), resource);
        }
    }
}

/// Nothing that the pipeline thread does makes spans.
pub(crate) fn suppressed(run: &mut dyn FnMut()) {
    let _guard = Context::enter_telemetry_suppressed_scope();
    run();
}

fn errors_first(span: &SpanData) -> Class {
    class(span, matches!(span.status, Status::Error { .. }))
}

fn errors_and_local_roots_first(span: &SpanData) -> Class {
    let is_local_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
    class(span, is_local_root || matches!(span.status, Status::Error { .. }))
}

fn class(span: &SpanData, is_high: bool) -> Class {
    // The last seven bytes of a trace id are random (W3C Trace Context, level 2).
    let [.., a, b, c, d] = span.span_context.trace_id().to_bytes();
    let priority = if is_high { Priority::High } else { Priority::Normal };
    Class {
        priority,
        affinity: u32::from_be_bytes([a, b, c, d]),
    }
}

fn sdk_result(result: Result<Report, FlushError>, timeout: Duration) -> OTelSdkResult {
    match result {
        Ok(report) if report.is_complete() => Ok(()),
        Ok(report) if report.is_timed_out() => Err(OTelSdkError::Timeout(timeout)),
        Ok(report) => Err(OTelSdkError::InternalFailure(report.to_string())),
        Err(FlushError::AlreadyShutdown) => Err(OTelSdkError::AlreadyShutdown),
        Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
    }
}
