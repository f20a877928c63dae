//! The SDK's own processor in front, and an exporter that fails behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use spanwright_core::LossReason;
use spanwright_resilience::{Backoff, BreakerState, ResilientExporter, RetryAdvice};

/// Takes batches while it is up.
#[derive(Clone, Debug, Default)]
struct Flaky {
    is_down: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    exported: Arc<AtomicU64>,
    attempts: Arc<AtomicU64>,
}

impl SpanExporter for Flaky {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a defect of the exporter");
        if self.is_down.load(Ordering::SeqCst) {
            return Err(OTelSdkError::InternalFailure("down".into()));
        }
        self.exported.fetch_add(batch.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

fn span() -> SpanData {
    let exporter = opentelemetry_sdk::trace::InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    provider.tracer("test").in_span("span", |_| {});
    exporter.get_finished_spans().expect("one").remove(0)
}

fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(1), Duration::from_millis(5)).expect("in range")
}

fn export(exporter: &ResilientExporter, batch: Vec<SpanData>) -> OTelSdkResult {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(exporter.export(batch))
}

#[test]
fn an_outage_loses_nothing_under_the_stock_processor() {
    let flaky = Flaky::default();
    flaky.is_down.store(true, Ordering::SeqCst);
    let exporter = ResilientExporter::builder(flaky.clone())
        .with_backoff(quick())
        .spawn()
        .expect("a thread");
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let tracer = provider.tracer("test");
    // Far more than the stock queue of 2048; it is flushed, because nothing else paces it here.
    for _ in 0..20 {
        for _ in 0..1000 {
            tracer.in_span("span", |_| {});
        }
        provider.force_flush().expect("the processor hands everything over");
    }
    assert_eq!(flaky.exported.load(Ordering::SeqCst), 0);
    assert!(flaky.attempts.load(Ordering::SeqCst) >= 1);
    flaky.is_down.store(false, Ordering::SeqCst);
    provider
        .shutdown_with_timeout(Duration::from_secs(60))
        .expect("all of it");
    assert_eq!(flaky.exported.load(Ordering::SeqCst), 20_000);
}

#[test]
fn while_the_receiver_is_away_the_breaker_is_open_and_everything_is_pending() {
    let flaky = Flaky::default();
    flaky.is_down.store(true, Ordering::SeqCst);
    let exporter = ResilientExporter::builder(flaky.clone())
        .with_backoff(quick())
        .spawn()
        .expect("a thread");
    export(&exporter, vec![span(); 10]).expect("room");
    while exporter.stats().breaker == BreakerState::Closed {
        std::thread::yield_now();
    }
    let stats = exporter.stats();
    stats.ledger.check().expect("adds up");
    assert_eq!((stats.ledger.pending, stats.breaker_counts.opened), (10, 1));
    assert_eq!(flaky.attempts.load(Ordering::SeqCst), 5, "the least that say something");
    let error = exporter
        .shutdown_with_timeout(Duration::from_millis(1))
        .expect_err("it is away")
        .to_string();
    assert!(error.contains("10 could not be delivered"), "{error}");
    let ledger = exporter.stats().ledger;
    ledger.check().expect("adds up");
    assert_eq!((ledger.pending, ledger.lost[LossReason::ShutdownTimeout]), (0, 10));
    assert!(matches!(
        export(&exporter, vec![span()]),
        Err(OTelSdkError::AlreadyShutdown)
    ));
    exporter.stats().ledger.check().expect("adds up");
}

#[test]
fn what_has_no_room_and_what_is_refused_for_good_and_what_panicked_is_counted() {
    let flaky = Flaky::default();
    flaky.panics.store(true, Ordering::SeqCst);
    let exporter = ResilientExporter::builder(flaky.clone())
        .with_advice(|_| RetryAdvice::Never)
        .with_max_parked_spans(10)
        .spawn()
        .expect("a thread");
    assert!(export(&exporter, vec![span(); 15]).is_err(), "five have no room");
    exporter.force_flush().expect("nothing is pending");
    export(&exporter, vec![span(); 3]).expect("room");
    exporter.force_flush().expect("nothing is pending");
    flaky.is_down.store(true, Ordering::SeqCst);
    export(&exporter, vec![span(); 2]).expect("room");
    exporter.force_flush().expect("nothing is pending");
    let ledger = exporter.stats().ledger;
    ledger.check().expect("adds up");
    assert_eq!((ledger.ended, ledger.exported), (20, 3));
    let lost = |reason| ledger.lost[reason];
    assert_eq!(
        (
            lost(LossReason::QueueFull),
            lost(LossReason::ExporterPanicked),
            lost(LossReason::Permanent)
        ),
        (5, 10, 2)
    );
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let error = ResilientExporter::builder(Flaky::default())
        .with_max_parked_spans(0)
        .spawn()
        .expect_err("no room");
    assert!(error.to_string().starts_with("`max_parked_spans`"), "{error}");
    let error = ResilientExporter::builder(Flaky::default())
        .with_export_timeout(Duration::ZERO)
        .spawn();
    assert!(error.expect_err("no time").to_string().starts_with("`export_timeout`"));
}
