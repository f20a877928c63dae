//! What the tests of the pipeline share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "part of tests, each of which uses its share; the lints see neither"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::{self, Thread};
use std::time::Duration;

use opentelemetry::trace::Tracer;
use spanwright_core::{EncodedBatch, Event, ExportError, Exporter, Observer, Receipt};
use spanwright_otlp::GrpcExporter;
use spanwright_pipeline::{BatchConfig, BreakerConfig, Pipeline, PipelineBuilder, Protocol};
use spanwright_testing::{ConservationProbe, Gate, Receiver};
use tower::Service;

/// What every test does over both protocols.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// How long a test waits for what must come. Never reached, unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Batches leave when they are full or when somebody asks, and not because time has passed.
pub fn patient_config() -> BatchConfig {
    BatchConfig::default()
        .with_scheduled_delay(Duration::from_secs(3600))
        .with_retry_backoff(Duration::from_millis(1), Duration::from_millis(5))
}

/// A pipeline to `receiver`, that knows nothing of the environment.
pub fn to(receiver: &Receiver) -> PipelineBuilder {
    to_over(receiver, Protocol::Grpc)
}

pub fn to_over(receiver: &Receiver, protocol: Protocol) -> PipelineBuilder {
    let endpoint = match protocol {
        Protocol::HttpProtobuf => receiver.http_endpoint(),
        _ => receiver.grpc_endpoint(),
    };
    Pipeline::builder()
        .without_env()
        .with_endpoint(endpoint)
        .with_protocol(protocol)
        .with_batch_config(patient_config())
        .with_breaker_config(quick_breaker())
}

/// Leaves a receiver alone for milliseconds.
pub fn quick_breaker() -> BreakerConfig {
    let mut config = BreakerConfig::default();
    config.open = Duration::from_millis(5);
    config.longest_open = Duration::from_millis(20);
    config
}

/// An exporter of the test's own, beside that of the settings.
pub fn exporter_to(receiver: &Receiver) -> GrpcExporter {
    let builder = GrpcExporter::builder().with_endpoint(receiver.grpc_endpoint());
    builder.build().unwrap()
}

/// Batches of ten, one after the other.
pub fn tens() -> BatchConfig {
    patient_config()
        .with_max_export_batch_size(10)
        .with_max_concurrent_exports(1)
}

/// Three batches of ten, which leave at once.
pub fn three_batches(receiver: &Receiver) -> Pipeline {
    let pipeline = to(receiver).with_batch_config(tens()).build().unwrap();
    end_spans(&pipeline, 30);
    pipeline
}

/// Makes so many spans.
pub fn end_spans(pipeline: &Pipeline, count: usize) {
    let tracer = pipeline.tracer("test");
    for _ in 0..count {
        drop(tracer.start("work"));
    }
}

/// The law, of the destination at this place.
pub fn probe(pipeline: &Pipeline, destination: usize) -> ConservationProbe {
    let pipeline = pipeline.clone();
    ConservationProbe::new(move || pipeline.stats().delivery.destinations[destination].ledger)
}

/// Runs `work` on a thread of its own, and fails when it does not come to an end.
#[track_caller]
pub fn within_patience<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = thread::spawn(move || _ = done.send(work()));
    match result.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => panic!("{what} has no result"),
        },
    }
}

/// Runs a future without any runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls a future once, which must not be enough: what it asks for is then under way.
pub fn started<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending(), "it is done before it could begin");
    future
}

/// An exporter that is ready for nothing until the gate is open: whatever ended before is still there.
pub struct Gated<S> {
    exporter: S,
    opening: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Gated<S> {
    pub fn new(exporter: S, gate: &Gate) -> Self {
        let gate = gate.clone();
        Self {
            exporter,
            opening: Some(Box::pin(async move { gate.passed().await })),
        }
    }
}

impl<S: Exporter> Service<EncodedBatch> for Gated<S> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        if let Some(opening) = &mut self.opening {
            ready!(opening.as_mut().poll(cx));
            self.opening = None;
        }
        self.exporter.poll_ready(cx)
    }

    fn call(&mut self, batch: EncodedBatch) -> S::Future {
        self.exporter.call(batch)
    }
}

/// Remembers the events, as text.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    pub fn events(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Recorder {
    fn event(&self, event: &Event<'_>) {
        let text = match event {
            Event::VariableIgnored(variable) => variable.to_string(),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}
