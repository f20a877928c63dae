//! One exporter for both protocols, and batches to deliver.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "part of tests, each of which uses its share; the lints see neither"
)]

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use spanwright_core::{
    BuildError, Clock, ContentEncoding, Encode, EncodedBatch, Event, ExportError, Observer, Priority, Receipt,
};
use spanwright_otlp::{
    Compression, CompressionStats, ExporterBuilder, GrpcExporter, HttpExporter, OtlpConfig, Protocol, SpanEncoder,
};
use spanwright_testing::{Receiver, SpanFactory};
use tower_service::Service;

/// What every test does over both protocols.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// How long a test waits for what must come. Never reached, unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An exporter of either protocol.
#[derive(Clone, Debug)]
pub enum Exporter {
    Grpc(GrpcExporter),
    Http(HttpExporter),
}

/// The settings that tests change, before it is known which builder they go to.
#[derive(Default)]
pub struct Settings {
    pub config: OtlpConfig,
    pub compression: Compression,
    pub timeout: Option<Duration>,
    pub headers: Vec<(&'static str, &'static str)>,
    pub max_request_bytes: Option<usize>,
    pub max_response_bytes: Option<usize>,
    pub user_agent: Option<&'static str>,
    pub observer: Option<Arc<Recorder>>,
    pub clock: Option<Arc<dyn Clock>>,
    pub address: Option<std::net::SocketAddr>,
}

impl Settings {
    pub fn compressed(compression: Compression) -> Self {
        Self {
            compression,
            ..Self::default()
        }
    }

    fn apply<T>(self, builder: ExporterBuilder<T>, endpoint: String) -> ExporterBuilder<T> {
        let mut builder = builder
            .with_config(self.config)
            .with_endpoint(endpoint)
            .with_compression(self.compression)
            .with_timeout(self.timeout.unwrap_or(PATIENCE));
        for (name, value) in self.headers {
            builder = builder.with_header(name, value);
        }
        if let Some(bytes) = self.max_request_bytes {
            builder = builder.with_max_request_bytes(bytes);
        }
        if let Some(bytes) = self.max_response_bytes {
            builder = builder.with_max_response_bytes(bytes);
        }
        if let Some(product) = self.user_agent {
            builder = builder.with_user_agent(product);
        }
        if let Some(observer) = self.observer {
            builder = builder.with_observer(observer);
        }
        if let Some(clock) = self.clock {
            builder = builder.with_clock(clock);
        }
        if let Some(address) = self.address {
            builder = builder.with_address(address);
        }
        builder
    }
}

impl Exporter {
    /// An exporter to `receiver`.
    pub fn to(receiver: &Receiver, protocol: Protocol, settings: Settings) -> Self {
        let endpoint = match protocol {
            Protocol::Grpc => receiver.grpc_endpoint(),
            _ => receiver.http_endpoint(),
        };
        Self::build(protocol, endpoint, settings).unwrap()
    }

    pub fn build(protocol: Protocol, endpoint: String, settings: Settings) -> Result<Self, BuildError> {
        Ok(match protocol {
            Protocol::Grpc => Self::Grpc(settings.apply(GrpcExporter::builder(), endpoint).build()?),
            _ => Self::Http(settings.apply(HttpExporter::builder(), endpoint).build()?),
        })
    }

    /// Delivers one batch, as a caller of a tower service does.
    pub async fn export(&mut self, batch: &EncodedBatch) -> Result<Receipt, ExportError> {
        match self {
            Self::Grpc(exporter) => call(exporter, batch).await,
            Self::Http(exporter) => call(exporter, batch).await,
        }
    }

    pub fn compression(&self) -> CompressionStats {
        match self {
            Self::Grpc(exporter) => exporter.compression(),
            Self::Http(exporter) => exporter.compression(),
        }
    }
}

async fn call<S>(service: &mut S, batch: &EncodedBatch) -> Result<Receipt, ExportError>
where
    S: Service<EncodedBatch, Response = Receipt, Error = ExportError>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(batch.clone()).await
}

/// Spans of every kind, as many as asked for.
pub fn spans(count: usize) -> Vec<SpanData> {
    SpanFactory::new(7).take(count).collect()
}

/// The spans as a request: headers, and one run of records for each scope.
pub fn encode(spans: &[SpanData]) -> EncodedBatch {
    let encoder = SpanEncoder::new(&Resource::builder_empty().with_service_name("checkout").build());
    let (mut runs, mut scratch) = (Vec::<(_, Vec<u8>)>::new(), Default::default());
    for span in spans {
        let mut record = Vec::new();
        let scope = encoder.encode(span, &mut scratch, &mut record);
        match runs.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, run)) => run.extend(record),
            None => runs.push((scope, record)),
        }
    }
    let mut body = Vec::new();
    for (scope, run) in runs {
        let mut header = Vec::new();
        encoder.open_scope(scope, run.len(), &mut header);
        body.extend([Bytes::from(header), Bytes::from(run)]);
    }
    let mut head = Vec::new();
    encoder.open_request(body.iter().map(Bytes::len).sum(), &mut head);
    body.insert(0, head.into());
    EncodedBatch::new(body, spans.len(), Priority::Normal)
}

pub fn batch(count: usize) -> EncodedBatch {
    encode(&spans(count))
}

/// Remembers which encodings it was told to be refused.
#[derive(Debug, Default)]
pub struct Recorder {
    refusals: Mutex<Vec<(ContentEncoding, ContentEncoding)>>,
    ratios: Mutex<Vec<f64>>,
}

impl Recorder {
    pub fn refusals(&self) -> Vec<(ContentEncoding, ContentEncoding)> {
        lock(&self.refusals).clone()
    }

    pub fn ratios(&self) -> Vec<f64> {
        lock(&self.ratios).clone()
    }
}

impl Observer for Recorder {
    fn record(&self, metric: &'static spanwright_core::semconv::Metric, value: f64, _: &[(&'static str, &str)]) {
        assert_eq!(metric.name, spanwright_core::semconv::COMPRESSION_RATIO.name);
        // It is called from within an export, about which no telemetry must arise.
        assert!(opentelemetry::Context::is_current_telemetry_suppressed());
        lock(&self.ratios).push(value);
    }

    fn event(&self, event: &Event<'_>) {
        if let Event::EncodingRefused { refused, fallback } = *event {
            lock(&self.refusals).push((refused, fallback));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
