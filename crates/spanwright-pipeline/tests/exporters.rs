//! Several destinations, and what an exporter can do to the others: nothing.
#![cfg(feature = "grpc")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spanwright_core::{EncodedBatch, ErrorKind, ExportError, LossReason, Receipt};
use spanwright_pipeline::{Pipeline, PipelineBuilder};
use spanwright_testing::{Receiver, Reply};
use tower::service_fn;

use support::{PATIENCE, Recorder, end_spans, exporter_to, patient_config, probe, tens, to};

fn alone() -> PipelineBuilder {
    let builder = Pipeline::builder().without_env().without_otlp();
    builder.with_batch_config(tens())
}

#[test]
fn a_panicking_exporter_does_not_end_the_worker() {
    let (calls, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (called, counted) = (Arc::clone(&calls), Arc::clone(&taken));
    let exporter = service_fn(move |batch: EncodedBatch| {
        let call = called.fetch_add(1, Ordering::Relaxed);
        assert_ne!(call, 0, "panics when called");
        let counted = Arc::clone(&counted);
        async move {
            assert_ne!(call, 1, "panics when polled");
            counted.fetch_add(batch.item_count() as u64, Ordering::Relaxed);
            Ok::<_, ExportError>(Receipt::accepted())
        }
    });
    let recorder = Arc::new(Recorder::default());
    let pipeline = alone()
        .with_exporter("flaky", exporter)
        .with_observer(recorder.clone())
        .build()
        .unwrap();
    end_spans(&pipeline, 40);
    pipeline.flush(PATIENCE).unwrap();
    let ledger = probe(&pipeline, 0).settled();
    assert_eq!((ledger.lost[LossReason::ExporterPanicked], ledger.exported), (20, 20));
    assert_eq!(taken.load(Ordering::Relaxed), 20);
    let panics = recorder
        .events()
        .into_iter()
        .filter(|event| event.starts_with("ExporterPanicked"));
    assert_eq!(panics.count(), 2);
}

#[test]
fn an_exporter_may_be_any_service() {
    let exporter = service_fn(|batch: EncodedBatch| async move {
        if batch.item_count() > 4 {
            return Err(ExportError::new(ErrorKind::TooLarge, "too_large", "at most four"));
        }
        Ok(Receipt::partial(1, "never the last one"))
    });
    let pipeline = alone().with_exporter("four", exporter).build().unwrap();
    end_spans(&pipeline, 10);
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(&*report.destinations[0].name, "four");
    // Ten do not go, nor do five; three and two do.
    let ledger = probe(&pipeline, 0).settled();
    assert_eq!((ledger.exported, ledger.rejected), (6, 4));
}

#[test]
fn a_receiver_that_asks_for_a_pause_without_end_is_left_alone() {
    let exporter = service_fn(|_: EncodedBatch| async {
        let error = ExportError::new(ErrorKind::Retryable, "later", "much later");
        Err::<Receipt, _>(error.with_retry_after(Some(Duration::MAX)))
    });
    let pipeline = alone().with_exporter("never", exporter).build().unwrap();
    end_spans(&pipeline, 10);
    for _ in 0..2 {
        let report = pipeline.flush(Duration::from_millis(20)).unwrap();
        assert_eq!(report.destinations[0].pending, 10);
    }
    pipeline.shutdown(Duration::ZERO).unwrap();
    assert_eq!(probe(&pipeline, 0).settled().lost[LossReason::ShutdownTimeout], 10);
}

#[test]
fn every_destination_gets_every_span() {
    let (first, second) = (Receiver::spawn().unwrap(), Receiver::spawn().unwrap());
    second.script([Reply::unavailable(), Reply::partial_success(2, "")]);
    let pipeline = to(&first)
        .with_exporter("second", exporter_to(&second))
        .build()
        .unwrap();
    end_spans(&pipeline, 25);
    let report = pipeline.flush(PATIENCE).unwrap();
    let shown: Vec<_> = report
        .destinations
        .iter()
        .map(|it| (&*it.name, it.exported, it.rejected))
        .collect();
    assert_eq!(shown, [("otlp", 25, 0), ("second", 23, 2)]);
    let ids = |receiver: &Receiver| {
        receiver
            .spans()
            .into_iter()
            .map(|span| span.span_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&second));
    probe(&pipeline, 0).settled();
    probe(&pipeline, 1).settled();
}

#[test]
fn a_destination_that_hangs_does_not_harm_the_other() {
    for hanging in 0..2 {
        let receivers = [Receiver::spawn().unwrap(), Receiver::spawn().unwrap()];
        receivers[hanging].set_default(Reply::hang());
        let config = patient_config().with_max_export_batch_size(10);
        let pipeline = to(&receivers[0])
            .with_exporter("second", exporter_to(&receivers[1]))
            .with_batch_config(config)
            .build()
            .unwrap();
        // Far more than may be under way, and more than the queue holds.
        for sent in (100..=5_000).step_by(100) {
            end_spans(&pipeline, 100);
            pipeline.flush(Duration::ZERO).unwrap();
            assert!(
                receivers[1 - hanging].wait_for_spans(sent, PATIENCE),
                "{:?}",
                pipeline.stats()
            );
        }
        let report = pipeline.shutdown(Duration::from_millis(100)).unwrap();
        assert_eq!(report.destinations[1 - hanging].lost.total(), 0, "{report}");
        let [hung, sound] = [hanging, 1 - hanging].map(|index| probe(&pipeline, index).settled());
        assert_eq!((hung.exported, hung.lost.total()), (0, 5_000));
        assert_eq!((sound.exported, sound.lost.total()), (5_000, 0));
    }
}
