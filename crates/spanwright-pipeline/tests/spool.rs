//! What cannot be delivered now is on disk, and is delivered later.
#![cfg(feature = "grpc")]

mod support;

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{Clock, EncodedBatch, Env, ErrorKind, ExportError, LossReason, Receipt, SystemClock};
use spanwright_pipeline::{BatchConfig, Mode, Pipeline, PipelineBuilder, SpoolConfig};
use spanwright_spool::{DiskFs, inspect};
use spanwright_testing::{Receiver, Reply, ScratchDir};
use tower::service_fn;

use support::{PATIENCE, Recorder, end_spans, patient_config, probe, quick_breaker, tens, to};

fn spooled(receiver: &Receiver, directory: &ScratchDir) -> PipelineBuilder {
    to(receiver).with_spool(directory.path())
}

/// The queue takes no more than two hundred, and the memory some hundred kilobytes.
fn small() -> BatchConfig {
    patient_config()
        .with_max_queue_size(200)
        .with_max_export_batch_size(50)
        .with_max_queue_bytes(100_000)
}

fn is_away(receiver: &Receiver) {
    receiver.stop_listening().expect("a socket");
    receiver.abort_connections().expect("a socket");
}

/// How many different spans arrived.
fn distinct(receiver: &Receiver) -> usize {
    let spans = receiver.spans();
    spans.iter().map(|span| &span.span_id).collect::<HashSet<_>>().len()
}

#[test]
fn an_outage_that_memory_cannot_hold_goes_to_disk_and_arrives_when_the_receiver_is_back() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    let pipeline = spooled(&receiver, &directory)
        .with_batch_config(small())
        .build()
        .unwrap();
    let probe = probe(&pipeline, 0);
    let watch = probe.watch();
    is_away(&receiver);
    for _ in 0..100 {
        end_spans(&pipeline, 50);
        // Whoever makes spans at this pace gives the pipeline's thread its turn, too.
        pipeline.flush(Duration::from_millis(2)).unwrap();
    }
    let stats = pipeline.stats();
    let destination = &stats.delivery.destinations[0];
    assert_eq!(
        (destination.ledger.lost.total(), destination.ledger.pending),
        (0, 5_000)
    );
    assert!(destination.spooled > 3_000, "{destination:?}");
    assert!(!destination.is_reachable);
    assert!(stats.spools[0].1.pending > 3_000, "{stats:?}");

    receiver.resume_listening().unwrap();
    assert!(receiver.wait_for_spans(5_000, PATIENCE));
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(report.destinations[0].spooled, 0, "{report}");
    watch.finish();
    let ledger = probe.settled();
    assert_eq!((ledger.exported, ledger.ended, ledger.pending), (5_000, 5_000, 0));
    assert!(pipeline.stats().delivery.destinations[0].replayed > 3_000);
    assert_eq!(distinct(&receiver), 5_000);
}

#[test]
fn a_hundred_thousand_pending_spans_are_on_disk_within_the_deadline_of_the_shutdown() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    is_away(&receiver);
    let config = patient_config().with_max_queue_size(100_000);
    let pipeline = spooled(&receiver, &directory)
        .with_batch_config(config)
        .build()
        .unwrap();
    end_spans(&pipeline, 100_000);
    let report = pipeline.shutdown(Duration::from_secs(5)).unwrap();
    let delivery = &report.destinations[0];
    assert_eq!((delivery.spooled, delivery.lost.total()), (100_000, 0), "{report}");
    assert_eq!(probe(&pipeline, 0).check("after the shutdown").pending, 100_000);
    drop(pipeline);

    // The next process finds them.
    let receiver = Receiver::spawn().unwrap();
    let pipeline = spooled(&receiver, &directory).build().unwrap();
    let ledger = pipeline.stats().ledger();
    assert_eq!((ledger.recovered, ledger.ended), (100_000, 100_000));
    assert!(receiver.wait_for_spans(100_000, PATIENCE));
    end_spans(&pipeline, 1);
    pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(probe(&pipeline, 0).settled().exported, 100_001);
}

#[test]
fn each_destination_has_its_own_and_one_that_is_away_costs_the_other_nothing() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    let away =
        service_fn(|_: EncodedBatch| async { Err::<Receipt, _>(ExportError::new(ErrorKind::Connect, "away", "")) });
    let pipeline = spooled(&receiver, &directory)
        .with_batch_config(tens())
        .with_exporter("away", away)
        .build()
        .unwrap();
    end_spans(&pipeline, 40);
    assert!(receiver.wait_for_spans(40, PATIENCE));
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(report.destinations[1].spooled, 40, "{report}");
    assert_eq!(
        (probe(&pipeline, 0).settled().exported, receiver.accepted_spans()),
        (40, 40)
    );
    assert!(directory.path().join("otlp").is_dir() && directory.path().join("away").is_dir());
    let (_, on_disk, ..) = inspect(&DiskFs, directory.path(), true).unwrap().total();
    assert_eq!(on_disk, 40, "seen from above");
}

#[test]
fn written_ahead_a_process_that_is_gone_leaves_what_was_not_delivered() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    receiver.set_default(Reply::hang());
    let config = SpoolConfig::new(directory.path()).with_mode(Mode::Wal);
    let pipeline = to(&receiver).with_spool_config(config).build().unwrap();
    end_spans(&pipeline, 7);
    // No flush, and a delay of an hour: it is the mode that puts them on disk.
    let otlp = directory.path().join("otlp");
    let on_disk = || inspect(&DiskFs, &otlp, true).unwrap().total().1;
    let deadline = SystemClock.now() + PATIENCE;
    while on_disk() < 7 && SystemClock.now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(on_disk(), 7);
    let stats = pipeline.stats();
    assert_eq!(
        (stats.delivery.destinations[0].spooled, stats.spools[0].1.pending),
        (0, 7)
    );
    receiver.set_default(Reply::ok());
    receiver.abort_connections().unwrap();
    assert!(receiver.wait_for_spans(7, PATIENCE));
    pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(distinct(&receiver), 7);
    assert_eq!(on_disk(), 0);
}

#[test]
fn a_request_that_comes_back_from_disk_too_large_goes_in_halves() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    is_away(&receiver);
    let pipeline = spooled(&receiver, &directory).build().unwrap();
    end_spans(&pipeline, 400);
    assert_eq!(pipeline.shutdown(PATIENCE).unwrap().destinations[0].spooled, 400);
    drop(pipeline);
    receiver.set_max_request_bytes(8 << 10);
    receiver.resume_listening().unwrap();
    let pipeline = spooled(&receiver, &directory).build().unwrap();
    assert!(receiver.wait_for_spans(400, PATIENCE), "{:?}", pipeline.stats());
    pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(probe(&pipeline, 0).settled().exported, 400);
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error_by_name_and_nothing_in_it_is_touched() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    let file = directory.path().join("file");
    fs::write(&file, "somebody's").unwrap();
    let error = to(&receiver).with_spool(&file).build().unwrap_err();
    assert_eq!(error.field(), "directory", "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"somebody's");

    let error = to(&receiver)
        .with_spool(directory.path())
        .with_exporter("../elsewhere", support::exporter_to(&receiver))
        .build()
        .unwrap_err();
    assert_eq!((error.field(), error.value()), ("exporter", "../elsewhere"));
}

#[test]
fn the_environment_names_a_directory_and_code_another_one() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    let (named, other) = (directory.path().join("named"), directory.path().join("other"));
    let path = named.to_str().unwrap().to_owned();
    let env = || {
        Env::from_pairs([
            ("SPANWRIGHT_SPOOL_DIRECTORY", path.as_str()),
            ("SPANWRIGHT_SPOOL_MAX_BYTES", "33554432"),
        ])
    };
    let builder = || {
        Pipeline::builder()
            .with_env(env())
            .with_endpoint(receiver.grpc_endpoint())
    };
    let pipeline = builder().build().unwrap();
    assert_eq!(pipeline.stats().spools[0].1.max_bytes, 32 << 20);
    assert!(named.join("otlp").is_dir());
    drop(builder().with_spool(&other).build().unwrap());
    assert!(other.join("otlp").is_dir());
}

#[test]
fn a_disk_that_vanishes_degrades_to_memory_and_says_so_once() {
    let (receiver, directory) = (Receiver::spawn().unwrap(), ScratchDir::new().unwrap());
    is_away(&receiver);
    let recorder = Arc::new(Recorder::default());
    let pipeline = spooled(&receiver, &directory)
        .with_batch_config(small())
        .with_observer(recorder.clone())
        .with_breaker_config(quick_breaker())
        .build()
        .unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    end_spans(&pipeline, 150);
    for _ in 0..60 {
        pipeline.flush(Duration::from_millis(2)).unwrap();
        end_spans(&pipeline, 50);
    }
    let ledger = probe(&pipeline, 0).check("without a disk");
    assert!(
        ledger.lost[LossReason::QueueFull] > 0 && ledger.pending > 100,
        "{ledger:?}"
    );
    let told = recorder
        .events()
        .into_iter()
        .filter(|event| event.starts_with("SpoolDegraded"));
    assert_eq!(told.count(), 1);
    receiver.resume_listening().unwrap();
    let report = pipeline.shutdown(PATIENCE).unwrap();
    assert_eq!(
        report.destinations[0].pending + report.destinations[0].spooled,
        0,
        "{report}"
    );
    assert_eq!(probe(&pipeline, 0).settled().exported, ledger.pending);
}
