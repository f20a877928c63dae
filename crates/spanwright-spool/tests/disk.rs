//! A spool on the machine's own disk.

mod support;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spanwright_core::semconv::{self, Metric};
use spanwright_core::{Event, Observer};
use spanwright_spool::{Claim, RefusedReason, Spool, SpoolConfig};
use spanwright_testing::ScratchDir;
use support::{batch, id_of};

/// What an observer was told, in words.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn count(&self, metric: &'static Metric, _: i64, _: &[(&'static str, &str)]) {
        self.0.lock().push(metric.name.to_owned());
    }

    fn record(&self, metric: &'static Metric, _: f64, _: &[(&'static str, &str)]) {
        self.0.lock().push(metric.name.to_owned());
    }

    fn event(&self, event: &Event<'_>) {
        let word = match event {
            Event::SpoolDegraded { .. } => "degraded",
            Event::SpoolRecovered { .. } => "recovered",
            _ => "something else",
        };
        self.0.lock().push(word.to_owned());
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_is_written_is_there_for_the_next_process() {
    let scratch = ScratchDir::new().unwrap();
    let spool = Spool::builder(scratch.path()).spawn().unwrap();
    for id in 0..20 {
        spool.write(batch(id)).unwrap();
    }
    spool.flush(PATIENCE).unwrap();
    assert_eq!(spool.durable(), 20);
    spool.claim().unwrap().ack();
    let kept = spool.claim().unwrap();
    let stats = spool.shutdown(PATIENCE).unwrap();
    assert_eq!((stats.pending_records, stats.claimed), (19, 1));
    assert_eq!(
        spool.write(batch(20)).unwrap_err().reason(),
        RefusedReason::AlreadyShutdown
    );
    kept.ack(); // too late, and no harm

    let spool = Spool::builder(scratch.path()).spawn().unwrap();
    let ids: Vec<u64> = std::iter::from_fn(|| spool.claim())
        .map(|claim| {
            let id = id_of(claim.batch());
            claim.ack();
            id
        })
        .collect();
    assert_eq!(ids, (1..20).collect::<Vec<_>>());
}

#[test]
fn a_claim_that_is_dropped_is_given_out_again() {
    let scratch = ScratchDir::new().unwrap();
    let spool = Spool::builder(scratch.path()).spawn().unwrap();
    let claim = spool.write_claimed(batch(1)).unwrap();
    assert!(spool.claim().is_none());
    claim.release();
    let claim = spool.claim().expect("what was given back");
    assert_eq!(id_of(claim.batch()), 1);
    let panicked = std::thread::spawn(move || {
        let _claim = claim;
        panic!("in the middle of a delivery");
    });
    assert!(panicked.join().is_err());
    assert!(spool.claim().is_some());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = ScratchDir::new().unwrap();
    let directory = scratch.path().join("spool");
    let spool = Spool::builder(&directory).spawn().unwrap();
    spool.write(batch(1)).unwrap();
    spool.claim().unwrap().ack();
    spool.flush(PATIENCE).unwrap();
    spool.shutdown(PATIENCE).unwrap();
    let mut waiting = vec![directory];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        let metadata = std::fs::metadata(&path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{path:?}");
        files += 1;
        if metadata.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(files > 3);
}

#[test]
fn a_directory_that_is_a_file_is_refused_by_name() {
    let scratch = ScratchDir::new().unwrap();
    let file = scratch.path().join("file");
    std::fs::write(&file, "somebody else's").unwrap();
    for directory in [file.clone(), file.join("below")] {
        let error = Spool::builder(&directory).spawn().unwrap_err();
        assert_eq!(error.field(), "directory");
        assert!(error.value().contains("file"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "somebody else's");
}

#[test]
fn a_directory_that_is_removed_is_noticed_and_made_again() {
    let scratch = ScratchDir::new().unwrap();
    let directory = scratch.path().join("spool");
    let config = SpoolConfig::new(&directory).with_retry_interval(Duration::from_millis(10));
    let heard = Arc::new(Heard::default());
    let builder = Spool::builder("").with_config(config).with_observer(heard.clone());
    let spool = builder.spawn().unwrap();
    spool.write(batch(1)).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let refused = spool.write(batch(2)).unwrap_err();
    assert_eq!((refused.reason(), id_of(refused.batch())), (RefusedReason::Degraded, 2));
    while spool.write(batch(2)).is_err() {
        std::thread::yield_now();
    }
    assert!(directory.is_dir());
    spool.stats().ledger().check().unwrap();
    // What was written before is not durable, and nobody says that it is; it can still be read.
    assert_eq!(spool.flush(Duration::from_millis(50)).unwrap_err().requests(), 2);
    assert_eq!(spool.claim().map(|claim| id_of(claim.batch())), Some(1));
    std::iter::from_fn(|| spool.claim()).for_each(Claim::ack);
    assert_eq!(spool.shutdown(PATIENCE).unwrap().acked, 2 + 3);
    let told = heard.0.lock();
    let place = |what: &str| {
        told.iter()
            .position(|told| told == what)
            .unwrap_or_else(|| panic!("{what}: {told:?}"))
    };
    assert!(place("degraded") < place("recovered"));
    for metric in [
        &semconv::SPOOL_CAPACITY,
        &semconv::SPOOL_ITEMS,
        &semconv::SPOOL_SYNC_DURATION,
    ] {
        place(metric.name);
    }
}
