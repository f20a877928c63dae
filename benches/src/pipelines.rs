//! The pipelines that are measured, behind the SDK's own trait.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{Compression as StockCompression, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor as StockProcessor, SdkTracerProvider, SpanData, SpanExporter, SpanProcessor,
};
use spanwright_batching::{BatchConfig, BatchSpanProcessor};
use spanwright_otlp::{Compression, GrpcExporter, SpanEncoder};
use spanwright_sampling::{TailPolicy, TailSampler};
use spanwright_testing::Discard;
use tokio::runtime::Runtime;

use crate::command::Failure;
use crate::sample::Sample;
use crate::settings::{Settings, Side};
use crate::sink::Sink;

/// A running pipeline.
pub(crate) struct Pipeline {
    processor: Processor,
    pub(crate) account: Account,
}

enum Processor {
    Ours(BatchSpanProcessor<SpanEncoder>),
    Stock(StockProcessor),
    Noop(Discard),
}

impl Pipeline {
    pub(crate) fn start(settings: &Settings) -> Result<Self, Failure> {
        match settings.side {
            Side::Ours => Self::ours(settings),
            Side::Stock => Self::stock(settings),
            Side::Noop => Ok(Self {
                processor: Processor::Noop(Discard),
                account: Account::Noop,
            }),
        }
    }

    fn ours(settings: &Settings) -> Result<Self, Failure> {
        let config = BatchConfig::default()
            .with_max_queue_size(settings.max_queue_size)
            .with_max_queue_bytes(settings.max_queue_bytes)
            .with_max_export_batch_size(settings.max_export_batch_size)
            .with_scheduled_delay(settings.scheduled_delay);
        let builder = BatchSpanProcessor::builder(SpanEncoder::builder().build())
            .with_config(config)
            .with_resource_hook(SpanEncoder::set_resource);
        let builder = if settings.holds_traces {
            // Everything is kept in the end, which is what costs most.
            let tail = TailSampler::builder()
                .with_policy(TailPolicy::errors())
                .with_policy(TailPolicy::probability(1.0));
            builder.with_tail(Arc::new(tail.build()?))
        } else {
            builder
        };
        let builder = match &settings.endpoint {
            Some(endpoint) => builder.with_exporter("receiver", exporter(endpoint, settings.is_gzip)?),
            None => builder.with_exporter("sink", Sink),
        };
        let processor = builder.spawn()?;
        Ok(Self {
            account: Account::Ours(processor.clone()),
            processor: Processor::Ours(processor),
        })
    }

    fn stock(settings: &Settings) -> Result<Self, Failure> {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(settings.max_queue_size)
            .with_max_export_batch_size(settings.max_export_batch_size)
            .with_scheduled_delay(settings.scheduled_delay)
            .build();
        let exported = Arc::new(AtomicU64::new(0));
        // As the documentation of `opentelemetry-otlp` has it for a program without `#[tokio::main]`.
        let runtime = Runtime::new()?;
        let within = runtime.enter();
        let processor = match &settings.endpoint {
            Some(endpoint) => {
                let exporter = Counted::new(stock_exporter(endpoint, settings.is_gzip)?, &exported);
                StockProcessor::builder(exporter).with_batch_config(config).build()
            }
            None => StockProcessor::builder(Counted::new(Sink, &exported))
                .with_batch_config(config)
                .build(),
        };
        drop(within);
        Ok(Self {
            processor: Processor::Stock(processor),
            account: Account::Stock {
                exported,
                _runtime: runtime,
            },
        })
    }

    /// For spans that are handed to it as they are.
    pub(crate) fn into_processor(mut self) -> (Box<dyn SpanProcessor>, Account) {
        match &mut self.processor {
            Processor::Ours(processor) => processor.set_resource(&resource()),
            Processor::Stock(processor) => processor.set_resource(&resource()),
            Processor::Noop(_) => {}
        }
        let processor: Box<dyn SpanProcessor> = match self.processor {
            Processor::Ours(processor) => Box::new(processor),
            Processor::Stock(processor) => Box::new(processor),
            Processor::Noop(processor) => Box::new(processor),
        };
        (processor, self.account)
    }

    /// For an application that makes spans by the SDK's tracer.
    pub(crate) fn into_provider(self) -> (SdkTracerProvider, Account) {
        let builder = SdkTracerProvider::builder().with_resource(resource());
        let builder = match self.processor {
            Processor::Ours(processor) => builder.with_span_processor(processor),
            Processor::Stock(processor) => builder.with_span_processor(processor),
            Processor::Noop(processor) => builder.with_span_processor(processor),
        };
        (builder.build(), self.account)
    }
}

fn exporter(endpoint: &str, is_gzip: bool) -> Result<GrpcExporter, Failure> {
    let compression = if is_gzip { Compression::Gzip } else { Compression::None };
    let builder = GrpcExporter::builder().with_endpoint(endpoint);
    Ok(builder.with_compression(compression).build()?)
}

fn stock_exporter(endpoint: &str, is_gzip: bool) -> Result<opentelemetry_otlp::SpanExporter, Failure> {
    let builder = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint);
    let builder = if is_gzip {
        builder.with_compression(StockCompression::Gzip)
    } else {
        builder
    };
    Ok(builder.build()?)
}

/// The resource that a small service has.
pub(crate) fn resource() -> Resource {
    Resource::builder_empty().with_service_name("checkout").build()
}

/// What a pipeline says of the spans that it was given.
pub(crate) enum Account {
    Ours(BatchSpanProcessor<SpanEncoder>),
    Stock {
        exported: Arc<AtomicU64>,
        /// Its connection lives in there.
        _runtime: Runtime,
    },
    Noop,
}

impl Account {
    /// How many spans the receiver has taken.
    pub(crate) fn exported(&self) -> u64 {
        match self {
            Self::Ours(processor) => processor.stats().ledger().exported,
            // Relaxed: whoever needs an exact figure has waited for the exporter before.
            Self::Stock { exported, .. } => exported.load(Ordering::Relaxed),
            Self::Noop => 0,
        }
    }

    /// How many spans are still held; `None` from a side that does not tell.
    pub(crate) fn pending(&self) -> Option<u64> {
        match self {
            Self::Ours(processor) => Some(processor.stats().ledger().pending),
            Self::Stock { .. } | Self::Noop => None,
        }
    }

    /// What became of `offered` spans. To be asked after the shutdown, when nothing is under way any more.
    ///
    /// The stock pipeline does not tell what it has lost: that is what it has not exported.
    pub(crate) fn close(&self, sample: Sample, offered: u64) -> Result<Sample, Failure> {
        let sample = sample.with("offered", offered);
        match self {
            Self::Ours(processor) => {
                let ledger = processor.stats().ledger();
                ledger.check()?;
                if ledger.ended != offered {
                    return Err(format!("{offered} spans were made, but {} ended", ledger.ended).into());
                }
                Ok(sample
                    .with("ended", ledger.ended)
                    .with("exported", ledger.exported)
                    .with("rejected", ledger.rejected)
                    .with("lost", ledger.lost.total())
                    .with("pending", ledger.pending))
            }
            Self::Stock { .. } => Ok(sample
                .with("exported", self.exported())
                .with("lost", offered.saturating_sub(self.exported()))),
            Self::Noop => Ok(sample),
        }
    }
}

/// The stock exporter, and a count of what it has exported: it has none of its own.
#[derive(Debug)]
struct Counted<E> {
    inner: E,
    exported: Arc<AtomicU64>,
}

impl<E> Counted<E> {
    fn new(inner: E, exported: &Arc<AtomicU64>) -> Self {
        Self {
            inner,
            exported: Arc::clone(exported),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let spans = batch.len() as u64;
        let export = self.inner.export(batch);
        async move {
            export.await?;
            self.exported.fetch_add(spans, Ordering::Relaxed);
            Ok(())
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
