//! A disk that fails: the log refuses, gives back, and recovers.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::support::{Bench, ROOT, batch, config};
use crate::testing::{Fault, MemoryFs, Operation};
use crate::{Notice, RefusedReason};
use spanwright_core::{LossReason, Priority};

/// What has to hold when the disk has come back: writes are taken within 30 s.
fn recovers(bench: &mut Bench) {
    bench.advance(Duration::from_secs(30));
    bench.poll();
    bench.write(900).expect("a recovered disk");
    let notices = bench.log.take_notices();
    assert!(
        notices.iter().any(|notice| matches!(notice, Notice::Recovered { .. })),
        "{notices:?}"
    );
}

fn degraded(bench: &mut Bench, id: u64) {
    assert_eq!(bench.write(id).unwrap_err().reason(), RefusedReason::Degraded);
    assert!(!bench.log.stats(bench.now()).is_healthy);
}

#[test]
fn each_failing_write_is_given_back_and_leaves_nothing_behind() {
    for fault in [
        Fault::Error(ErrorKind::Other),
        Fault::Torn(5, ErrorKind::Other),
        Fault::Torn(30, ErrorKind::StorageFull),
    ] {
        let mut bench = Bench::new(config());
        bench.write(0).unwrap();
        bench.fs.inject(Operation::Append, fault, 1);
        degraded(&mut bench, 1);
        degraded(&mut bench, 2); // not tried at once
        recovers(&mut bench);
        assert_eq!(bench.claim_all(), [0, 900], "{fault:?}");
        bench.restart();
        assert_eq!(bench.claim_all(), [0, 900], "{fault:?}");
        assert_eq!(bench.log.stats(bench.now()).lost.total(), 0, "{fault:?}");
    }
}

#[test]
fn a_short_write_is_gone_on_with() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    for count in [1, 20, 21, 25, 50] {
        bench.fs.inject(Operation::Append, Fault::Short(count), 1);
        bench.write(count as u64).unwrap();
    }
    assert_eq!(bench.claim_all(), [0, 1, 20, 21, 25, 50]);
}

#[test]
fn what_cannot_be_cut_off_is_no_loss_for_whoever_reads_it_later() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    bench.fs.inject(Operation::Append, Fault::Torn(30, ErrorKind::Other), 1);
    bench.fs.inject(Operation::SetSize, Fault::Error(ErrorKind::Other), 1);
    degraded(&mut bench, 1);
    recovers(&mut bench);
    bench.flush();
    bench.restart();
    assert_eq!(bench.claim_all(), [0, 900]);
    assert_eq!(bench.log.stats(bench.now()).lost.total(), 0);
}

#[test]
fn a_full_disk_is_waited_for_and_deliveries_free_it() {
    let mut bench = Bench::new(config());
    bench.fill(0..60);
    bench.flush();
    let used: usize = bench
        .fs
        .files()
        .iter()
        .map(|path| bench.fs.content(path).unwrap().len())
        .sum();
    bench.fs.set_capacity(used as u64 + 100);
    let refused = (60..).find(|id| bench.write(*id).is_err()).unwrap();
    degraded(&mut bench, refused);
    // Everything that is there is delivered; not even a cursor has room, and yet the room comes back.
    while let Some((_, record)) = bench.claim() {
        bench.ack(&record);
    }
    for _ in 0..4 {
        bench.advance(Duration::from_secs(10));
        bench.poll();
    }
    bench.write(901).expect("room");
    bench.restart();
    assert_eq!(bench.claim_all(), [901]);
}

#[test]
fn nothing_is_removed_that_no_durable_cursor_says_is_settled() {
    for operation in [Operation::Rename, Operation::SyncDir, Operation::Sync] {
        let mut bench = Bench::new(config());
        bench.fill(0..100);
        bench.flush();
        while let Some((_, record)) = bench.claim() {
            bench.ack(&record);
        }
        let before = bench.segments();
        bench.fs.inject(operation, Fault::Error(ErrorKind::Other), 1);
        bench.flush();
        assert_eq!(bench.segments(), before, "{operation:?}");
        bench.advance(Duration::from_secs(10));
        bench.poll();
        assert!(bench.segments().len() < before.len(), "{operation:?}");
    }
}

#[test]
fn a_failed_sync_is_not_repeated_and_nothing_of_it_counts_as_durable() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    bench.flush();
    bench.write(1).unwrap();
    bench.fs.inject(Operation::Sync, Fault::Error(ErrorKind::Other), 1);
    bench.flush();
    assert_eq!(bench.log.durable(), 1);
    degraded(&mut bench, 2);
    recovers(&mut bench);
    bench.flush();
    assert_eq!(bench.log.durable(), 1, "a second sync would only say that it is");
    let before: Vec<_> = bench.segments();
    assert_eq!(before.len(), 2, "what comes now is in another segment");

    // Once it is delivered, nothing that is not durable is left.
    let (_, first) = bench.claim().unwrap();
    let (_, suspect) = bench.claim().unwrap();
    bench.ack(&first);
    bench.ack(&suspect);
    bench.flush();
    assert_eq!(bench.log.durable(), bench.log.written());
}

#[test]
fn a_failed_sync_of_the_directory_makes_its_new_segments_suspect() {
    let mut bench = Bench::new(config());
    bench.flush();
    bench.write(0).unwrap();
    bench.fs.inject(Operation::SyncDir, Fault::Error(ErrorKind::Other), 1);
    bench.flush();
    assert_eq!(bench.log.durable(), 0);
    degraded(&mut bench, 1);
    recovers(&mut bench);
    assert_eq!(bench.claim_all(), [0, 900]);
}

#[test]
fn a_directory_that_is_taken_away_is_noticed_by_the_next_write_and_made_again() {
    for path in [
        ROOT,
        "/var/spool/spool-00000001",
        "/var/spool/spool-00000001/seg-0000000000000001.log",
    ] {
        let mut bench = Bench::new(config());
        bench.fill(0..40);
        bench.fs.vanish(Path::new(path));
        let mut id = 40;
        while bench.write(id).is_ok() {
            id += 1;
            // Taking the first segment away is seen only by whoever reads it.
            if id > 60 {
                break;
            }
        }
        if id <= 60 {
            degraded(&mut bench, 41);
            recovers(&mut bench);
        }
        let claimed = bench.claim_all();
        bench.flush();
        bench.check();
        let stats = bench.log.stats(bench.now());
        assert_eq!(stats.lost.total(), stats.lost[LossReason::Corrupt], "{path}");
        assert_eq!(stats.written, stats.pending + stats.lost.total(), "{path}: {claimed:?}");
    }
}

#[test]
fn a_disk_that_becomes_read_only_is_waited_for() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    bench.fs.set_read_only();
    degraded(&mut bench, 1);
    let (_, record) = bench.claim().expect("reading goes on");
    bench.ack(&record);
    for _ in 0..5 {
        bench.advance(Duration::from_secs(10));
        bench.poll();
        degraded(&mut bench, 2);
    }
    let notices = bench.log.take_notices();
    let told = notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Degraded(_)))
        .count();
    assert_eq!(told, 1, "once, not each time");
    bench.fs.heal();
    recovers(&mut bench);
}

#[test]
fn a_log_starts_on_a_disk_that_fails_for_now() {
    for operation in [Operation::Create, Operation::Read, Operation::SyncDir] {
        for skipped in 0..4 {
            let fs = MemoryFs::new();
            fs.inject(operation, Fault::Short(usize::MAX), skipped); // passes
            fs.inject(operation, Fault::Error(ErrorKind::StorageFull), 20);
            let mut bench = Bench::on(fs, config()).expect("it starts all the same");
            if bench.log.stats(bench.now()).is_healthy && bench.write(0).is_ok() {
                continue;
            }
            degraded(&mut bench, 0);
            bench.fs.heal();
            recovers(&mut bench);
        }
    }
}

#[test]
fn a_segment_that_cannot_be_read_is_tried_again_and_then_counted() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    bench.fs.inject(Operation::Read, Fault::Error(ErrorKind::Other), 1);
    assert!(bench.claim().is_none());
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.claim().unwrap().0, 0, "it was only for a moment");

    bench.write(1).unwrap();
    bench.fs.inject(Operation::Read, Fault::Error(ErrorKind::Other), 100);
    for _ in 0..3 {
        assert!(bench.claim().is_none());
        bench.advance(Duration::from_secs(10));
    }
    assert_eq!(bench.log.stats(bench.now()).lost[LossReason::Corrupt], 10);
    bench.fs.heal();
    bench.flush();
    let kept = bench
        .fs
        .files()
        .into_iter()
        .any(|path| path.extension().is_some_and(|end| end == "bad"));
    assert!(kept, "a person may have more luck with it");
}

#[test]
fn a_released_claim_that_cannot_be_read_does_not_keep_the_others_waiting() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    bench.write_as(1, Priority::High).unwrap();
    let (_, record) = bench.claim().unwrap();
    assert!(bench.log.release(bench.now(), record.id));
    bench.fs.inject(Operation::Read, Fault::Error(ErrorKind::Other), 1);
    assert_eq!(bench.claim().map(|(id, _)| id), Some(1));
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.claim().map(|(id, _)| id), Some(0));
}

#[test]
fn no_failure_at_any_step_breaks_the_law_or_loses_what_was_taken() {
    let operations = [
        Operation::Append,
        Operation::Create,
        Operation::Remove,
        Operation::Rename,
        Operation::SetSize,
        Operation::Sync,
        Operation::SyncDir,
    ];
    for operation in operations {
        for skipped in 0..12 {
            let mut bench = Bench::new(config());
            if skipped > 0 {
                bench.fs.inject(operation, Fault::Short(usize::MAX), skipped);
            }
            bench.fs.inject(operation, Fault::Error(ErrorKind::StorageFull), 2);
            let mut taken = Vec::new();
            for id in 0..120 {
                if bench.log.write(bench.now(), batch(id, 10, Priority::Normal)).is_ok() {
                    taken.push(id);
                }
                bench.check();
                if id % 10 == 9 {
                    bench.advance(Duration::from_secs(10));
                    bench.poll();
                }
                if id % 3 == 0
                    && let Some((claimed, record)) = bench.claim()
                {
                    bench.ack(&record);
                    taken.retain(|id| *id != claimed);
                }
            }
            bench.advance(Duration::from_secs(10));
            bench.poll();
            bench.restart();
            assert_eq!(bench.claim_all(), taken, "{operation:?} after {skipped}");
        }
    }
}
