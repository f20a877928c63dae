//! Ending a span allocates nothing in steady state.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use spanwright_batching::{BatchConfig, BatchSpanProcessor};
use spanwright_core::{EncodedBatch, ExportError, Receipt};
use spanwright_otlp::SpanEncoder;
use spanwright_testing::{CountingAllocator, SpanFactory, allocations};
use tokio::sync::Semaphore;
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Takes everything, once it is open.
struct Sink(Arc<Semaphore>);

impl Service<EncodedBatch> for Sink {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        let open = Arc::clone(&self.0);
        Box::pin(async move {
            let _permit = open.acquire().await;
            drop(batch);
            Ok(Receipt::accepted())
        })
    }
}

#[test]
fn on_end_allocates_nothing_in_steady_state() {
    let encoder = SpanEncoder::new(&Resource::builder_empty().build());
    // No sweep by time: it would give back buffers that it finds idle.
    let config = BatchConfig::default()
        .with_max_queue_size(8192)
        .with_scheduled_delay(Duration::from_secs(3600));
    let open = Arc::new(Semaphore::new(0));
    let sink = Sink(Arc::clone(&open));
    let processor = BatchSpanProcessor::builder(encoder)
        .with_config(config)
        .with_exporter("sink", sink)
        .spawn()
        .unwrap();
    let mut factory = SpanFactory::new(1);
    let mut spans = |count: usize| -> Vec<SpanData> { (0..count).map(|_| factory.http_server_span()).collect() };
    let flush = || processor.flush(Duration::from_secs(10)).unwrap();

    // The first time ever that a thread has to wait for a lock (for a sweep, here), parking_lot makes room for it.
    parking_lot::Condvar::new().wait_for(&mut parking_lot::Mutex::new(()).lock(), Duration::from_millis(1));

    // Warm up: as many chunk buffers as will ever be in use at once, since nothing comes back yet.
    spans(6_000).into_iter().for_each(|span| processor.on_end(span));
    open.add_permits(16);
    flush();
    for round in 0..8 {
        let spans = spans(4_000);
        let counted = allocations(|| spans.into_iter().for_each(|span| processor.on_end(span)));
        assert_eq!(counted.count, 0, "round {round}: {counted:?} for 4 000 spans");
        assert!(flush().is_complete());
    }
    assert_eq!(processor.stats().ledger().exported, 6_000 + 8 * 4_000);
}
