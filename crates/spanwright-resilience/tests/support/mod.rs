//! Receivers, exporters to them behind breakers, and requests of traces.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "part of tests, each of which uses its share; the lints see neither"
)]

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use opentelemetry::trace::{SpanContext, TraceId, TraceState};
use opentelemetry_sdk::Resource;
use spanwright_core::{BoxExporter, Encode, EncodedBatch, ExportError, ManualClock, Priority, Receipt};
use spanwright_otlp::{GrpcExporter, SpanEncoder};
use spanwright_resilience::{BreakerConfig, CircuitBreaker, CircuitBreakerLayer};
use spanwright_testing::{Receiver, SpanFactory};
use tower_layer::Layer;
use tower_service::Service;

/// Traces by number.
pub struct Traces(pub Range<u128>);

pub fn receivers<const N: usize>() -> [Receiver; N] {
    std::array::from_fn(|_| Receiver::spawn().unwrap())
}

/// An exporter behind a breaker that one failure opens.
pub fn exporter(name: &str, endpoint: String, clock: &ManualClock) -> (Arc<str>, BoxExporter) {
    let exporter = GrpcExporter::builder().with_endpoint(endpoint).build().unwrap();
    let mut config = BreakerConfig::default();
    config.min_calls = 1;
    let breaker = CircuitBreaker::with_clock(config, clock.clone()).unwrap();
    (
        name.into(),
        BoxExporter::new(CircuitBreakerLayer::new(breaker).layer(exporter)),
    )
}

/// A request with so many spans of each trace, which stand apart.
pub fn batch(traces: Traces, spans: usize) -> EncodedBatch {
    let encoder = SpanEncoder::new(&Resource::builder_empty().with_service_name("checkout").build());
    let (mut factory, mut scratch) = (SpanFactory::new(7), Default::default());
    let (mut records, mut count) = (Vec::new(), 0);
    let mut scope = None;
    for trace in (0..spans).flat_map(|_| traces.0.clone()) {
        let mut span = factory.http_server_span();
        let (context, id) = (
            &span.span_context,
            TraceId::from((trace + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 << 32 | 1)),
        );
        span.span_context = SpanContext::new(id, context.span_id(), context.trace_flags(), false, TraceState::NONE);
        let its = encoder.encode(&span, &mut scratch, &mut records);
        assert_eq!(*scope.get_or_insert(its), its, "all of one scope");
        count += 1;
    }
    let (mut head, mut header) = (Vec::new(), Vec::new());
    encoder.open_scope(scope.unwrap(), records.len(), &mut header);
    encoder.open_request(header.len() + records.len(), &mut head);
    EncodedBatch::new([head, header, records].map(Bytes::from), count, Priority::Normal)
}

/// Delivers one request, as a caller of a tower service does.
pub async fn export<S>(service: &mut S, batch: EncodedBatch) -> Result<Receipt, ExportError>
where
    S: Service<EncodedBatch, Response = Receipt, Error = ExportError>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(batch).await
}
