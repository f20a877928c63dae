//! Flush and shutdown come to an end wherever they are called from. The stock processor hangs in most of these places.
#![cfg(feature = "grpc")]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use spanwright_core::{EncodedBatch, ExportError, Receipt};
use spanwright_pipeline::{FlushError, Pipeline, Report};
use spanwright_testing::Receiver;
use tokio::runtime::{Builder, Runtime};
use tower::service_fn;

use support::{PATIENCE, block_on, end_spans, probe, to, within_patience};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn one_worker() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A pipeline with spans in it, and where they go.
fn five_spans() -> (Receiver, Pipeline) {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    end_spans(&pipeline, 5);
    (receiver, pipeline)
}

/// Blocks the thread, twice.
fn flush_and_shutdown(pipeline: &Pipeline) {
    arrived(pipeline.flush(PATIENCE), 5);
    end_spans(pipeline, 5);
    arrived(pipeline.shutdown(PATIENCE), 5);
}

async fn flush_and_shutdown_async(pipeline: &Pipeline) {
    arrived(pipeline.flush_async(PATIENCE).await, 5);
    end_spans(pipeline, 5);
    arrived(pipeline.shutdown_async(PATIENCE).await, 5);
}

fn arrived(result: Result<Report, FlushError>, exported: u64) {
    let report = result.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.destinations[0].exported, exported);
}

#[test]
fn without_any_runtime() {
    within_patience("a thread without a runtime", || {
        let (_receiver, pipeline) = five_spans();
        flush_and_shutdown(&pipeline);
    });
    within_patience("a future without a runtime", || {
        let (_receiver, pipeline) = five_spans();
        block_on(flush_and_shutdown_async(&pipeline));
    });
}

#[test]
fn on_the_only_thread_of_a_runtime() {
    within_patience("a blocking call", || {
        let (_receiver, pipeline) = five_spans();
        current_thread().block_on(async { flush_and_shutdown(&pipeline) });
    });
    within_patience("an async call", || {
        let (_receiver, pipeline) = five_spans();
        current_thread().block_on(flush_and_shutdown_async(&pipeline));
    });
}

#[test]
fn on_the_only_worker_of_a_runtime() {
    within_patience("a blocking call", || {
        let (_receiver, pipeline) = five_spans();
        let runtime = one_worker();
        let task = runtime.spawn(async move { flush_and_shutdown(&pipeline) });
        runtime.block_on(task).unwrap();
    });
    within_patience("an async call", || {
        let (_receiver, pipeline) = five_spans();
        let runtime = one_worker();
        let task = runtime.spawn(async move { flush_and_shutdown_async(&pipeline).await });
        runtime.block_on(task).unwrap();
    });
}

#[test]
fn inside_spawn_blocking() {
    for runtime in [current_thread, one_worker] {
        within_patience("spawn_blocking", move || {
            let (_receiver, pipeline) = five_spans();
            let runtime = runtime();
            let task = runtime.spawn_blocking(move || flush_and_shutdown(&pipeline));
            runtime.block_on(task).unwrap();
        });
    }
}

#[test]
fn when_a_guard_is_dropped_in_async_code() {
    for runtime in [current_thread, one_worker] {
        within_patience("dropping a guard", move || {
            let (_receiver, pipeline) = five_spans();
            let guard = pipeline.guard();
            runtime().block_on(async move { drop(guard) });
            assert_eq!(probe(&pipeline, 0).settled().exported, 5);
        });
    }
}

#[test]
fn when_a_runtime_is_dropped_that_holds_the_guard() {
    for runtime in [current_thread, one_worker] {
        within_patience("dropping a runtime", move || {
            let (_receiver, pipeline) = five_spans();
            let guard = pipeline.guard();
            let runtime = runtime();
            runtime.spawn(async move {
                std::future::pending::<()>().await;
                drop(guard);
            });
            drop(runtime);
            assert_eq!(probe(&pipeline, 0).settled().exported, 5);
        });
    }
}

#[test]
fn when_the_last_handle_is_dropped_in_async_code() {
    within_patience("dropping a pipeline", || {
        let (receiver, pipeline) = five_spans();
        current_thread().block_on(async move { drop(pipeline) });
        assert_eq!(receiver.accepted_spans(), 5);
    });
}

#[test]
fn when_a_thread_panics_that_holds_the_guard() {
    within_patience("unwinding", || {
        let (_receiver, pipeline) = five_spans();
        let guard = pipeline.guard();
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(probe(&pipeline, 0).settled().exported, 5);
    });
}

#[test]
fn from_within_an_exporter_it_is_refused() {
    within_patience("an exporter that flushes", || {
        let pipeline: Arc<OnceLock<Pipeline>> = Arc::default();
        let (told, said) = channel();
        let own = Arc::clone(&pipeline);
        let exporter = service_fn(move |_: EncodedBatch| {
            let flushed = own
                .get()
                .map(|pipeline: &Pipeline| pipeline.flush(Duration::from_secs(3600)));
            let _ = told.send(flushed.map(Result::unwrap_err));
            async { Ok::<_, ExportError>(Receipt::accepted()) }
        });
        let built = Pipeline::builder()
            .without_env()
            .without_otlp()
            .with_exporter("itself", exporter)
            .build();
        pipeline.set(built.unwrap()).unwrap();
        let pipeline = pipeline.get().unwrap();
        end_spans(pipeline, 1);
        assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
        assert_eq!(said.recv().unwrap(), Some(FlushError::OnPipelineThread));
    });
}

#[test]
fn many_at_once_all_get_an_answer() {
    within_patience("a crowd", || {
        let (_receiver, pipeline) = five_spans();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let pipeline = pipeline.clone();
                std::thread::spawn(move || {
                    for _ in 0..20 {
                        end_spans(&pipeline, 1);
                        pipeline.flush(PATIENCE).unwrap();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        pipeline.shutdown(PATIENCE).unwrap();
        assert_eq!(probe(&pipeline, 0).settled().exported, 165);
    });
}
