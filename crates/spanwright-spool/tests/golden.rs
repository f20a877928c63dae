//! Files of format version 1 stay readable, and are still what is written.
//!
//! `tests/golden/v1` is what `make_v1` wrote when the format was fixed; it is never written again.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{Clock, EncodedBatch, ManualClock, Priority};
use spanwright_spool::{DiskFs, Log, Now, SegmentState, SpoolConfig, inspect};
use spanwright_testing::ScratchDir;
use support::{batch, id_of};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Copies what is committed, so that reading it changes nothing of it.
fn copy_of(name: &str, scratch: &ScratchDir) -> PathBuf {
    let (from, to) = (
        golden(name).join("spool-00000001"),
        scratch.path().join("spool-00000001"),
    );
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    scratch.path().to_owned()
}

fn open(directory: &Path, clock: &ManualClock) -> Log {
    let config = SpoolConfig::new(directory).with_segment_bytes(4 << 10);
    Log::open(config, Arc::new(DiskFs), Now::of(clock)).unwrap()
}

/// Two segments of normal priority and one of high; two requests acknowledged, one of them known to the cursor.
fn make_v1(directory: &Path) {
    let clock = ManualClock::new();
    let mut log = open(directory, &clock);
    for id in 0..6 {
        log.write(Now::of(&clock), batch(id)).unwrap();
        clock.advance(Duration::from_secs(1));
    }
    let high = EncodedBatch::new([batch(6).to_bytes()], batch(6).item_count(), Priority::High);
    log.write(Now::of(&clock), high).unwrap();
    for is_committed in [true, false] {
        let record = log.claim(Now::of(&clock)).unwrap();
        assert!(log.ack(Now::of(&clock), record.id));
        if is_committed {
            log.request_flush();
            let commit = log.poll(Now::of(&clock)).unwrap();
            log.committed(Now::of(&clock), commit.run());
        }
    }
}

#[test]
fn version_1_reads_as_it_was_written() {
    let scratch = ScratchDir::new().unwrap();
    let directory = copy_of("v1", &scratch);
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(60));
    let inspected = inspect(&DiskFs, &directory, true).unwrap();
    assert!(
        inspected.directories[0]
            .segments
            .iter()
            .all(|segment| segment.state == SegmentState::Whole)
    );

    let mut log = open(&directory, &clock);
    let start = clock.system_time() - Duration::from_secs(60);
    let mut found = Vec::new();
    while let Some(record) = log.claim(Now::of(&clock)) {
        let id = id_of(&record.batch);
        assert_eq!(record.written_at, start + Duration::from_secs(id));
        assert_eq!(record.batch.priority() == Priority::High, id == 6);
        found.push(id);
    }
    assert_eq!(found, [2, 3, 4, 5, 6]);
}

#[test]
fn what_is_written_today_is_version_1_byte_by_byte() {
    let scratch = ScratchDir::new().unwrap();
    make_v1(scratch.path());
    let names = |path: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(path.join("spool-00000001")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(scratch.path()), names(&golden("v1")));
    for name in names(scratch.path()) {
        let read = |root: &Path| std::fs::read(root.join("spool-00000001").join(&name)).unwrap();
        assert_eq!(read(scratch.path()), read(&golden("v1")), "{name:?}");
    }
}

#[test]
fn compressed_records_of_version_1_are_read_or_refused_by_name() {
    let scratch = ScratchDir::new().unwrap();
    let directory = copy_of("v1-zstd", &scratch);
    let clock = ManualClock::new();
    let opened = Log::open(SpoolConfig::new(&directory), Arc::new(DiskFs), Now::of(&clock));
    #[cfg(feature = "zstd")]
    {
        let mut log = opened.unwrap();
        let record = log.claim(Now::of(&clock)).unwrap();
        assert_eq!(id_of(&record.batch), 7);
    }
    #[cfg(not(feature = "zstd"))]
    {
        let error = opened.unwrap_err();
        assert!(error.accepted().contains("zstd"), "{error}");
    }
}

/// What is compressed is smaller, and reads back; what would be larger is left as it is.
#[cfg(feature = "zstd")]
#[test]
fn compression_is_a_matter_of_each_record() {
    let scratch = ScratchDir::new().unwrap();
    let clock = ManualClock::new();
    let config = SpoolConfig::new(scratch.path()).with_zstd(true);
    let mut log = Log::open(config, Arc::new(DiskFs), Now::of(&clock)).unwrap();
    log.write(Now::of(&clock), batch(7)).unwrap();
    let before = log.stats(Now::of(&clock)).bytes;
    assert!(before < batch(7).len() as u64 / 2);
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1000).collect();
    let incompressible = EncodedBatch::new([noise.into()], 1, Priority::Normal);
    log.write(Now::of(&clock), incompressible.clone()).unwrap();
    assert_eq!(log.stats(Now::of(&clock)).bytes - before, 21 + 1000);
    assert_eq!(id_of(&log.claim(Now::of(&clock)).unwrap().batch), 7);
    let read = log.claim(Now::of(&clock)).unwrap().batch;
    assert_eq!(read.to_bytes(), incompressible.to_bytes());
}
