//! With a stage that decides later in front of the queue, every span is still in exactly one place.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use spanwright_batching::{BatchConfig, BatchSpanProcessor};
use spanwright_core::{
    Class, Encode, EncodedBatch, Ended, ExportError, Held, LossReason, Receipt, Release, RewriteTraceState, ScopeId,
    TailLedger, TailStage,
};
use spanwright_otlp::{SpanEncoder, SpanScratch, count_spans};
use spanwright_testing::{ConservationProbe, http_server_span};
use tokio::sync::Semaphore;
use tower_service::Service;

const PATIENCE: Duration = Duration::from_secs(30);

/// Holds traces until a span without a parent ends, or somebody lets everything go; keeps those with an even id.
#[derive(Default)]
struct Stage {
    held: Mutex<HashMap<TraceId, Vec<Record>>>,
    is_due: AtomicBool,
}

type Record = (Vec<u8>, ScopeId, Class);

struct Kept;

impl RewriteTraceState for Kept {
    fn rewrite<'a>(&'a mut self, _: &'a str, _: bool) -> &'a str {
        "ot=th:0"
    }
}

impl Stage {
    fn decide(id: TraceId, records: Vec<Record>, out: &mut dyn Release) {
        if !id.to_bytes()[15].is_multiple_of(2) {
            return out.discard(records.len() as u64);
        }
        for (record, scope, class) in records {
            out.release(&record, scope, class, &mut Kept);
        }
    }

    /// Everything, one trace after the other, as long as there is room.
    fn let_go(&self, out: &mut dyn Release) -> bool {
        let mut held = self.held.lock().unwrap();
        let ids: Vec<_> = held.keys().copied().collect();
        for id in ids {
            if !out.has_room() {
                return false;
            }
            let records = held.remove(&id).unwrap();
            Self::decide(id, records, out);
        }
        true
    }
}

impl TailStage<SpanData> for Stage {
    fn hold(&self, ended: Ended<'_, SpanData>, out: &mut dyn Release) {
        let id = ended.item.span_context.trace_id();
        let mut held = self.held.lock().unwrap();
        let records = held.entry(id).or_default();
        records.push((ended.record.to_vec(), ended.scope, ended.class));
        if ended.item.parent_span_id == SpanId::INVALID {
            let records = held.remove(&id).unwrap();
            drop(held);
            Self::decide(id, records, out);
        }
    }

    fn poll(&self, now: Instant, out: &mut dyn Release) -> Option<Instant> {
        let is_done = !self.is_due.load(Ordering::Relaxed) || self.let_go(out);
        Some(if is_done { now + Duration::from_millis(1) } else { now })
    }

    fn drain(&self, out: &mut dyn Release) -> bool {
        self.let_go(out)
    }

    fn held(&self) -> Held {
        // Whoever asks has stopped all threads that could have the lock; else the law would not hold, and this wait.
        let held = self.held.try_lock();
        let items = held.map_or(u64::MAX, |held| held.values().map(Vec::len).sum::<usize>() as u64);
        Held { items, bytes: 1000 }
    }
}

/// Takes a batch whenever it has a permit.
#[derive(Clone)]
struct Sink {
    permits: Arc<Semaphore>,
    batches: Arc<Mutex<Vec<EncodedBatch>>>,
}

impl Sink {
    fn open() -> Self {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    fn with_permits(permits: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            batches: Arc::default(),
        }
    }

    fn spans(&self) -> usize {
        let batches = self.batches.lock().unwrap();
        batches
            .iter()
            .map(|batch| count_spans(&batch.to_bytes()).unwrap())
            .sum()
    }
}

impl Service<EncodedBatch> for Sink {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        let Self { permits, batches } = self.clone();
        Box::pin(async move {
            permits.acquire().await.expect("it is never closed").forget();
            batches.lock().unwrap().push(batch);
            Ok(Receipt::accepted())
        })
    }
}

/// Cannot encode a span of this name.
struct Fragile(SpanEncoder);

const BOOM: &str = "boom";

impl Encode<SpanData> for Fragile {
    type Scratch = SpanScratch;

    fn encode(&self, span: &SpanData, scratch: &mut SpanScratch, out: &mut Vec<u8>) -> ScopeId {
        out.extend_from_slice(b"half of a record");
        assert_ne!(span.name, BOOM, "a span that cannot be encoded");
        out.clear();
        self.0.encode(span, scratch, out)
    }

    fn amend(&self, record: &[u8], trace_state: &mut dyn RewriteTraceState, out: &mut Vec<u8>) {
        self.0.amend(record, trace_state, out);
    }

    fn record_len(&self, run: &[u8]) -> usize {
        self.0.record_len(run)
    }

    fn open_scope(&self, scope: ScopeId, records_len: usize, out: &mut Vec<u8>) {
        self.0.open_scope(scope, records_len, out);
    }

    fn open_request(&self, scopes_len: usize, out: &mut Vec<u8>) {
        self.0.open_request(scopes_len, out);
    }
}

type Processor = BatchSpanProcessor<Fragile>;

fn processor(sink: &Sink, queue: usize) -> (Arc<Stage>, Processor) {
    let stage = Arc::new(Stage::default());
    let config = BatchConfig::default()
        .with_max_queue_size(queue)
        .with_max_export_batch_size(queue.min(64))
        .with_scheduled_delay(Duration::from_millis(100));
    let processor = BatchSpanProcessor::builder(Fragile(SpanEncoder::new(&Resource::builder_empty().build())))
        .with_config(config)
        .with_exporter("sink", sink.clone())
        .with_tail(Arc::clone(&stage) as Arc<dyn TailStage<SpanData>>)
        .spawn()
        .unwrap();
    (stage, processor)
}

/// A span of this trace, recorded but not sampled.
fn span(trace: u64, is_root: bool) -> SpanData {
    let mut span = http_server_span(trace);
    let id = TraceId::from(u128::from(trace) | 1 << 100);
    span.span_context = SpanContext::new(id, SpanId::from(7), TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
    span.parent_span_id = if is_root { SpanId::INVALID } else { SpanId::from(9) };
    span
}

fn tail(processor: &Processor) -> TailLedger {
    let stats = processor.stats();
    let tail = stats.tail.expect("there is a tail");
    tail.check(&stats.ledger()).unwrap();
    tail
}

/// Both laws, at the same moment.
fn probe(processor: &Processor) -> ConservationProbe {
    let processor = processor.clone();
    ConservationProbe::new(move || {
        let stats = processor.stats();
        if let Err(broken) = stats.tail.expect("there is a tail").check(&stats.ledger()) {
            panic!("{broken}");
        }
        stats.ledger()
    })
}

#[test]
fn both_laws_hold_while_threads_end_spans() {
    const THREADS: u64 = 4;
    const TRACES: u64 = 300;
    let sink = Sink::open();
    let (stage, processor) = processor(&sink, 1 << 16);
    let probe = probe(&processor);
    let watch = probe.watch();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let processor = &processor;
            scope.spawn(move || {
                for trace in 0..TRACES {
                    let trace = thread << 16 | trace;
                    (0..5).for_each(|_| processor.on_end(span(trace, false)));
                    // Every third one has no root.
                    if trace % 3 > 0 {
                        processor.on_end(span(trace, true));
                    }
                }
            });
        }
        stage.is_due.store(true, Ordering::Relaxed);
    });
    assert!(processor.shutdown_within(PATIENCE).unwrap().is_complete());
    assert!(watch.finish() > 2);
    let ledger = probe.settled();
    let tail = tail(&processor);
    let all = THREADS * TRACES * 5 + THREADS * (TRACES - TRACES / 3);
    assert_eq!(
        (tail.ended, tail.kept + tail.dropped, tail.held, tail.lost),
        (all, all, 0, 0)
    );
    assert_eq!((ledger.ended, ledger.exported), (tail.kept, tail.kept));
    assert_eq!(sink.spans() as u64, tail.kept);
    assert_eq!(processor.stats().unsampled, 0);
}

#[test]
fn what_comes_out_is_sampled_and_has_the_new_trace_state() {
    let sink = Sink::open();
    let (_, processor) = processor(&sink, 64);
    processor.on_end(span(2, true));
    processor.shutdown_within(PATIENCE).unwrap();
    let batch = sink.batches.lock().unwrap()[0].to_bytes();
    let expected = {
        let mut span = span(2, true);
        let state = TraceState::from_key_value([("ot", "th:0")]).unwrap();
        let context = span.span_context.clone();
        span.span_context = SpanContext::new(context.trace_id(), context.span_id(), TraceFlags::SAMPLED, false, state);
        let mut record = Vec::new();
        SpanEncoder::builder()
            .build()
            .encode(&span, &mut SpanScratch::default(), &mut record);
        record
    };
    assert!(batch.ends_with(&expected));
}

#[test]
fn a_flush_decides_nothing_and_says_what_is_held() {
    let sink = Sink::open();
    let (_, processor) = processor(&sink, 64);
    processor.on_end(span(2, true));
    (0..3).for_each(|_| processor.on_end(span(4, false)));
    let report = processor.flush(PATIENCE).unwrap();
    assert_eq!((report.destinations[0].exported, report.held), (1, 3));
    assert!(report.is_complete());
    assert_eq!(
        report.to_string(),
        "sink: exported 1, rejected 0, lost {}, pending 0; held 3"
    );
    assert_eq!((tail(&processor).held, processor.stats().ledger().pending), (3, 0));
    let report = processor.shutdown_within(PATIENCE).unwrap();
    assert_eq!((report.destinations[0].exported, report.held), (3, 0));
}

#[test]
fn a_shutdown_delivers_more_than_the_queue_has_room_for() {
    let sink = Sink::open();
    let (_, processor) = processor(&sink, 32);
    for trace in 0..1_000 {
        processor.on_end(span(trace, false));
    }
    assert_eq!(tail(&processor).held, 1_000);
    let report = processor.shutdown_within(PATIENCE).unwrap();
    assert_eq!(report.destinations[0].exported, 500, "{report}");
    assert!(report.is_complete());
    let tail = tail(&processor);
    assert_eq!((tail.kept, tail.dropped, tail.held), (500, 500, 0));
    assert_eq!(sink.spans(), 500);
}

#[test]
fn at_the_deadline_of_a_shutdown_the_rest_is_decided_about_and_lost() {
    let sink = Sink::with_permits(0);
    let (_, processor) = processor(&sink, 32);
    for trace in 0..1_000 {
        processor.on_end(span(trace, false));
    }
    let report = processor.shutdown_within(Duration::from_millis(100)).unwrap();
    assert_eq!(
        report.destinations[0].lost[LossReason::ShutdownTimeout],
        500,
        "{report}"
    );
    assert!(report.is_timed_out());
    let ledger = probe(&processor).settled();
    assert_eq!((ledger.exported, ledger.lost[LossReason::ShutdownTimeout]), (0, 500));
    let tail = tail(&processor);
    assert_eq!((tail.kept, tail.dropped, tail.held), (500, 500, 0));
}

#[test]
fn what_time_makes_due_waits_for_room() {
    let sink = Sink::with_permits(0);
    let (stage, processor) = processor(&sink, 64);
    for trace in 0..2_000 {
        processor.on_end(span(2 * trace, false));
    }
    stage.is_due.store(true, Ordering::Relaxed);
    // The receiver takes its time: a thousand permits, one after the other, and as many looks.
    while processor.stats().ledger().exported < 2_000 {
        sink.permits.add_permits(1);
        assert!(tail(&processor).held <= 2_000);
        thread::yield_now();
    }
    let ledger = processor.stats().ledger();
    assert_eq!((ledger.lost.total(), ledger.exported), (0, 2_000));
}

#[test]
fn what_cannot_be_encoded_or_comes_too_late_is_lost_by_its_reason() {
    let sink = Sink::open();
    let (_, processor) = processor(&sink, 64);
    processor.on_end(span(2, false));
    let boom = SpanData {
        name: BOOM.into(),
        ..span(2, true)
    };
    assert_eq!(processor.end(&boom), Err(LossReason::Encode));
    assert_eq!(processor.end(&span(2, false)), Ok(()));
    let ledger = tail(&processor);
    assert_eq!((ledger.ended, ledger.lost, ledger.held), (3, 1, 2));

    processor.shutdown_within(PATIENCE).unwrap();
    assert_eq!(processor.end(&span(2, true)), Err(LossReason::AlreadyShutdown));
    let ledger = probe(&processor).settled();
    assert_eq!(ledger.lost[LossReason::Encode], 1);
    assert_eq!(ledger.lost[LossReason::AlreadyShutdown], 1);
    let tail = tail(&processor);
    assert_eq!((tail.ended, tail.kept, tail.lost, tail.held), (4, 2, 2, 0));
    assert_eq!(sink.spans(), 2);
}
