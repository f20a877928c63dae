//! The SDK's batch processor with the official exporter, and around both what counts for them: they have no account of their own.
//!
//! What cannot be known from outside:
//!
//! - which spans the queue had no room for. They are what is missing when the pipeline has shut down, and until then they look
//!   like spans that wait;
//! - what a receiver rejected in a request that it otherwise took. The exporter reports such a request as a success.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use spanwright_core::{BuildError, LossReason};
use tokio::runtime::{Builder, Runtime};

use super::trouble::Trouble;
use super::{Closing, Pipeline, SCOPE, Snapshot, Target, batch_config, resource};
use crate::account::Account;
use crate::choices::{Compression, Protocol};
use crate::failure::Failure;
use crate::sampling::{Sampler, Watch};

/// The whole export failed, after the exporter's own retries.
const EXPORT_FAILED: &str = "export_failed";
/// Missing after a shutdown that did not end well: nobody can tell which of the two it was.
const QUEUE_FULL_OR_SHUTDOWN: &str = "queue_full_or_shutdown_timeout";

#[derive(Debug)]
pub(super) struct Stock {
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
    watch: Watch,
    /// Where the exporter's connection lives. In a service it would be the service's own; here it must be told apart from that.
    _runtime: Runtime,
}

/// What can be counted from outside.
#[derive(Debug, Default)]
struct Tally {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    trouble: Trouble,
}

impl Stock {
    pub(super) fn start(target: &Target, sampler: Sampler) -> Result<Self, Failure> {
        let Sampler { head, watch, .. } = sampler;
        let tally = Arc::new(Tally::default());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let exporter = {
            let _in_runtime = runtime.enter();
            exporter(target)?
        };
        let exporter = CountingExporter {
            exporter,
            tally: Arc::clone(&tally),
        };
        let config = batch_config();
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(config.max_queue_size())
            .with_max_export_batch_size(config.max_export_batch_size())
            .with_scheduled_delay(config.scheduled_delay())
            .build();
        let processor = CountingProcessor {
            processor: BatchSpanProcessor::builder(exporter).with_batch_config(config).build(),
            tally: Arc::clone(&tally),
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_sampler(head)
            .with_span_processor(processor)
            .build();
        Ok(Self {
            provider,
            tally,
            watch,
            _runtime: runtime,
        })
    }
}

impl Pipeline for Stock {
    fn tracer(&self) -> SdkTracer {
        self.provider.tracer(SCOPE)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            account: self.tally.account(),
            queue: None,
            in_flight: self.tally.in_flight.load(Ordering::Relaxed),
            answers: None,
            endpoints: Vec::new(),
            kept: self.watch.kept(),
        }
    }

    fn shutdown(&self, timeout: Duration) -> Closing {
        let result = self.provider.shutdown_with_timeout(timeout);
        let mut account = self.tally.account();
        let missing = std::mem::take(&mut account.pending);
        if missing > 0 {
            let reason = match result {
                Err(OTelSdkError::Timeout(_)) => QUEUE_FULL_OR_SHUTDOWN,
                _ => LossReason::QueueFull.as_str(),
            };
            account.lost.insert(reason, missing);
        }
        let complaint = result.err().map(|error| error.to_string());
        let trouble = self.tally.trouble.last();
        Closing {
            account,
            complaint,
            trouble,
            disk_trouble: None,
            endpoints: Vec::new(),
            kept: self.watch.kept(),
        }
    }
}

impl Tally {
    fn account(&self) -> Account {
        // In this order, so that what moves on meanwhile is not counted twice. Acquire pairs with the Release of each count.
        let failed = self.failed.load(Ordering::Acquire);
        let exported = self.exported.load(Ordering::Acquire);
        let ended = self.ended.load(Ordering::Acquire);
        let lost = (failed > 0).then_some((EXPORT_FAILED, failed));
        Account {
            ended,
            exported,
            rejected: 0,
            lost: lost.into_iter().collect(),
            pending: ended - exported - failed,
            ..Account::default()
        }
    }
}

fn exporter(target: &Target) -> Result<opentelemetry_otlp::SpanExporter, Failure> {
    let compression = match target.compression {
        Compression::None => None,
        Compression::Gzip => Some(opentelemetry_otlp::Compression::Gzip),
        Compression::Zstd => Some(opentelemetry_otlp::Compression::Zstd),
    };
    let builder = opentelemetry_otlp::SpanExporter::builder();
    Ok(match target.protocol {
        Protocol::Grpc => {
            let mut builder = builder.with_tonic().with_endpoint(&target.endpoint);
            if let Some(compression) = compression {
                builder = builder.with_compression(compression);
            }
            builder.build()?
        }
        Protocol::Http => {
            if target.endpoint.starts_with("https:") {
                let accepted = "http:// for the stock pipeline over HTTP, which the demo builds without TLS";
                return Err(BuildError::new("--endpoint", &target.endpoint, accepted).into());
            }
            // This exporter takes the URL as it is; ours appends the path, as the specification says of the general endpoint.
            let url = format!("{}/v1/traces", target.endpoint.trim_end_matches('/'));
            let mut builder = builder.with_http().with_endpoint(url);
            if let Some(compression) = compression {
                builder = builder.with_compression(compression);
            }
            builder.build()?
        }
    })
}

#[derive(Debug)]
struct CountingProcessor {
    processor: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl SpanProcessor for CountingProcessor {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.processor.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        // Before the span can be exported.
        self.tally.ended.fetch_add(1, Ordering::Release);
        self.processor.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

#[derive(Debug)]
struct CountingExporter<E> {
    exporter: E,
    tally: Arc<Tally>,
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        self.tally.in_flight.fetch_add(1, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        self.tally.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = &result {
            self.tally.trouble.note(error);
        }
        let column = if result.is_ok() {
            &self.tally.exported
        } else {
            &self.tally.failed
        };
        column.fetch_add(spans, Ordering::Release);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
