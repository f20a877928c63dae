//! What survives which end.

use std::time::Duration;

use super::support::{Bench, ROOT, batch, config, id_of};
use crate::testing::{Fault, MemoryFs, Operation};
use crate::{Log, Notice, Now, SpoolConfig};
use spanwright_core::{LossReason, Priority};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

#[test]
fn what_was_written_is_read_oldest_first_and_across_segments() {
    let mut bench = Bench::new(config());
    bench.fill(0..200);
    assert!(bench.segments().len() > 3);
    assert_eq!(bench.claim_all(), (0..200).collect::<Vec<_>>());
    assert_eq!(bench.log.stats(bench.now()).claimed, 200);
}

#[test]
fn the_end_of_the_process_loses_nothing_that_was_written_and_repeats_nothing_that_was_acknowledged() {
    let mut bench = Bench::new(config());
    bench.fill(0..100);
    // Out of order, with two left open.
    let claims: Vec<_> = (0..40).map(|_| bench.claim().unwrap()).collect();
    for (_, record) in claims.iter().rev().filter(|(id, _)| ![3, 20].contains(id)) {
        bench.ack(record);
    }
    bench.restart();
    let expected: Vec<u64> = [3, 20].into_iter().chain(40..100).collect();
    assert_eq!(bench.claim_all(), expected);
    assert_eq!(bench.log.stats(bench.now()).recovered, 620);
}

/// The file of acknowledgements is begun anew when it has become long, while some of what is in it is in no cursor yet.
#[test]
fn the_end_of_the_process_within_a_commit_repeats_nothing_that_was_acknowledged() {
    fn acknowledge(bench: &mut Bench, ids: Range<u64>) {
        bench.fill(ids.clone());
        for id in ids {
            let (found, record) = bench.claim().expect("what was written");
            assert_eq!(found, id);
            bench.ack(&record);
        }
    }
    let acks = Path::new(ROOT).join("spool-00000001/acks");
    let size = |bench: &Bench| bench.fs.content(&acks).expect("acknowledgements").len();
    // What comes after the operation that fails is as if the process had ended before it.
    let ends = [
        Operation::Create,
        Operation::Append,
        Operation::Rename,
        Operation::SetSize,
    ];
    for end in ends.map(Some).into_iter().chain([None]) {
        let mut bench = Bench::new(config().with_max_bytes(8 << 20));
        acknowledge(&mut bench, 0..2500);
        bench.log.request_flush();
        let commit = bench.log.poll(bench.now()).expect("a commit");
        acknowledge(&mut bench, 2500..2600);
        bench.fill(2600..2610);
        let (done, before) = (commit.run(), size(&bench));
        if let Some(operation) = end {
            let error = Fault::Error(io::ErrorKind::Other);
            bench.fs.inject(operation, error, u32::MAX);
        }
        bench.log.committed(bench.now(), done);
        bench.fs.heal();
        assert_eq!(
            size(&bench) < before,
            matches!(end, None | Some(Operation::SetSize)),
            "{end:?}"
        );
        bench.restart();
        assert_eq!(bench.claim_all(), (2600..2610).collect::<Vec<_>>(), "{end:?}");
    }
}

#[test]
fn a_released_claim_is_given_out_again_before_anything_younger() {
    let mut bench = Bench::new(config());
    bench.fill(0..5);
    let first = bench.claim().unwrap();
    let second = bench.claim().unwrap();
    assert!(bench.log.release(bench.now(), second.1.id));
    assert!(bench.log.release(bench.now(), first.1.id));
    assert_eq!(bench.claim_all(), [0, 1, 2, 3, 4]);
    assert!(!bench.log.release(
        bench.now(),
        crate::log::ClaimId(crate::log::Position {
            volume: 9,
            seq: 9,
            at: 9
        })
    ));
}

#[test]
fn a_claimed_write_is_read_by_nobody_else_unless_it_is_released() {
    let mut bench = Bench::new(config());
    let now = bench.now();
    let (_, kept) = bench.log.write_claimed(now, batch(0, 1, Priority::Normal)).unwrap();
    bench.advance(Duration::from_secs(1));
    let now = bench.now();
    let (_, given_back) = bench.log.write_claimed(now, batch(1, 1, Priority::High)).unwrap();
    bench.advance(Duration::from_secs(1));
    bench.write(2).unwrap();
    assert_eq!(bench.claim_all(), [2]);
    assert!(bench.log.release(now, given_back));
    let record = bench.log.claim(now).unwrap();
    assert_eq!(
        (id_of(&record.batch), record.batch.priority()),
        (Some(1), Priority::High)
    );
    assert!(bench.log.ack(now, kept));
    bench.restart();
    assert_eq!(bench.claim_all(), [1, 2]);
}

#[test]
fn emptied_segments_are_removed_after_the_cursor_and_an_idle_spool_takes_no_room() {
    let mut bench = Bench::new(config());
    bench.fill(0..200);
    while let Some((_, record)) = bench.claim() {
        bench.ack(&record);
    }
    bench.flush();
    assert_eq!(bench.segments().len(), 1, "the one that is written to");
    bench.advance(Duration::from_secs(11));
    bench.poll();
    bench.advance(Duration::from_secs(1));
    bench.poll();
    assert_eq!(bench.segments().len(), 0);
    let stats = bench.log.stats(bench.now());
    assert_eq!((stats.bytes, stats.segments, stats.pending), (0, 0, 0));
    bench.write(1000).unwrap();
    bench.restart();
    assert_eq!(bench.claim_all(), [1000]);
}

#[test]
fn a_request_is_durable_after_the_interval_and_one_commit() {
    let mut bench = Bench::new(config());
    bench.flush();
    let written = bench.write(0).unwrap();
    assert_eq!((written.number(), bench.log.durable()), (1, 0));
    bench.poll();
    assert_eq!(bench.log.durable(), 0, "not before it is due");
    assert!(bench.log.next_poll() <= bench.now().instant + bench.config.sync_interval());
    bench.advance(bench.config.sync_interval());
    bench.poll();
    assert_eq!(bench.log.durable(), 1);
    (0..100).for_each(|seed| {
        let mut after = Bench::on(bench.fs.fork(), config()).unwrap();
        after.crash(seed);
        assert_eq!(after.claim_all(), [0]);
    });
}

#[test]
fn a_write_during_a_commit_is_not_taken_for_durable() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    bench.log.request_flush();
    let commit = bench.log.poll(bench.now()).unwrap();
    bench.write(1).unwrap();
    let done = commit.run();
    bench.log.committed(bench.now(), done);
    assert_eq!((bench.log.written(), bench.log.durable()), (2, 1));
    bench.flush();
    assert_eq!(bench.log.durable(), 2);
}

#[test]
fn logs_on_one_directory_keep_apart_and_adopt_what_a_dead_one_left() {
    let mut first = Bench::new(config());
    let mut second = Bench::on(first.fs.clone(), config()).unwrap();
    let mut third = Bench::on(first.fs.clone(), config()).unwrap();
    first.write(1).unwrap();
    second.write(2).unwrap();
    third.write(3).unwrap();
    assert_eq!(third.log.stats(third.now()).directories, 1);

    // The second dies; the third looks for it when it is time.
    second.stop();
    third.advance(SpoolConfig::DEFAULT_ADOPT_INTERVAL);
    third.poll();
    assert_eq!(third.log.stats(third.now()).directories, 2);
    while let Some((_, record)) = third.claim() {
        third.ack(&record);
    }
    assert_eq!(third.log.stats(third.now()).acked, 20);
    third.flush();
    third.flush();
    assert_eq!(third.log.stats(third.now()).directories, 1, "an emptied one is removed");

    // The third dies with the rest; who starts then takes its directory for its own.
    third.write(4).unwrap();
    third.stop();
    let mut fourth = Bench::on(first.fs.clone(), config()).unwrap();
    assert_eq!(fourth.claim_all(), [4]);
    assert_eq!(fourth.log.stats(fourth.now()).directories, 1);
    assert_eq!(first.claim_all(), [1]);
}

#[test]
fn what_is_too_old_is_dropped_and_counted_request_by_request() {
    let mut bench = Bench::new(config().with_max_age(Duration::from_secs(60)));
    bench.write(0).unwrap();
    bench.advance(Duration::from_secs(40));
    bench.write(1).unwrap();
    bench.advance(Duration::from_secs(40));
    assert_eq!(bench.claim().unwrap().0, 1);
    assert_eq!(bench.log.stats(bench.now()).lost[LossReason::Expired], 10);

    let mut bench = Bench::new(config().with_max_age(Duration::from_secs(60)));
    bench.fill(0..100);
    bench.advance(Duration::from_secs(61));
    bench.poll();
    bench.flush();
    let stats = bench.log.stats(bench.now());
    assert_eq!(
        (stats.lost[LossReason::Expired], stats.segments),
        (1000, 0),
        "whole segments, without reading"
    );
}

#[test]
fn closing_makes_everything_durable_and_takes_nothing_more() {
    let mut bench = Bench::new(config());
    bench.write(0).unwrap();
    let commit = bench.log.close(bench.now());
    bench.log.committed(bench.now(), commit.run());
    assert_eq!(bench.log.durable(), 1);
    let refused = bench.write(1).unwrap_err();
    assert_eq!(refused.reason(), crate::RefusedReason::AlreadyShutdown);
    assert_eq!(id_of(refused.batch()), Some(1));
    bench.log.release_directories();
    let mut next = Bench::on(bench.fs.clone(), config()).unwrap();
    assert_eq!(next.claim_all(), [0]);
}

#[test]
fn what_can_be_known_to_be_wrong_is_said_at_once() {
    let open = |fs: &MemoryFs| {
        let now = Now::of(&spanwright_core::ManualClock::new());
        Log::open(config(), Arc::new(fs.clone()), now).map(|_| ())
    };
    let fresh = || Bench::new(config()).fs.fork();

    let fs = fresh();
    fs.vanish(Path::new(ROOT));
    fs.put(Path::new(ROOT), b"a file").unwrap();
    assert_eq!(open(&fs).unwrap_err().field(), "directory");

    let fs = MemoryFs::new();
    fs.set_read_only();
    let error = open(&fs).unwrap_err();
    assert!(error.accepted().contains("may write"), "{error}");

    let fs = fresh();
    let mut newer = crate::format::segment_header(5);
    newer[8] = 2;
    let crc = crc32c::crc32c(&newer[..20]);
    newer[20..].copy_from_slice(&crc.to_le_bytes());
    let path = Path::new(ROOT).join("spool-00000001/seg-0000000000000007.log");
    fs.put(&path, &newer).unwrap();
    let error = open(&fs).unwrap_err();
    assert!(error.value().contains("version 2"), "{error}");
    assert_eq!(fs.content(&path).as_deref(), Some(&newer[..]), "it is left alone");
}

#[test]
fn foreign_files_are_left_alone() {
    let bench = Bench::new(config());
    let dir = Path::new(ROOT).join("spool-00000001");
    let foreign = [
        dir.join("seg-0000000000000001.log"),
        dir.join("seg-1.log"),
        dir.join("notes.txt"),
        Path::new(ROOT).join("README"),
    ];
    for path in &foreign {
        bench
            .fs
            .put(path, b"somebody else's, and longer than a header")
            .unwrap();
    }
    let fs = bench.fs.fork();
    let mut bench = Bench::on(fs, config()).unwrap();
    bench.fill(0..100);
    while let Some((_, record)) = bench.claim() {
        bench.ack(&record);
    }
    bench.advance(Duration::from_secs(60));
    (0..3).for_each(|_| bench.flush());
    bench.restart();
    assert_eq!(bench.log.stats(bench.now()).foreign_files, 1);
    for path in &foreign {
        assert!(bench.fs.content(path).is_some(), "{path:?}");
    }
}

/// A segment that the disk does not let us read, the first of two.
fn bench_with_an_unreadable_segment() -> Bench {
    let mut bench = Bench::new(config());
    bench.fill(0..60);
    assert!(bench.segments().len() > 1);
    let (_, record) = bench.claim().expect("the oldest");
    bench.ack(&record);
    bench.flush();
    bench.stop();
    bench.fs.deny(&bench.segments()[0]);
    bench.open();
    let told = bench.log.take_notices();
    assert!(
        matches!(&told[..], [Notice::Unreadable { segments: 1, error }] if error.kind() == io::ErrorKind::PermissionDenied),
        "{told:?}"
    );
    bench
}

#[test]
fn a_segment_that_cannot_be_read_when_it_is_found_is_read_later() {
    let mut bench = bench_with_an_unreadable_segment();
    bench.fs.heal();
    let stats = bench.log.stats(bench.now());
    assert_eq!(stats.unreadable_segments, 1, "{stats:?}");
    assert!(stats.pending < 590, "{stats:?}");
    bench.advance(bench.config.adopt_interval);
    bench.poll();
    let stats = bench.log.stats(bench.now());
    assert_eq!((stats.unreadable_segments, stats.pending), (0, 590), "{stats:?}");
    assert_eq!(bench.claim_all(), (1..60).collect::<Vec<_>>());
}

#[test]
fn a_segment_that_could_not_be_read_is_not_taken_for_settled_by_the_next_process() {
    let mut bench = bench_with_an_unreadable_segment();
    bench.fill(60..70);
    // A cursor is written meanwhile.
    let (oldest, record) = bench.claim().expect("of another segment");
    bench.ack(&record);
    bench.flush();
    bench.crash(7);
    bench.fs.heal();
    bench.restart();
    assert_eq!(bench.log.stats(bench.now()).unreadable_segments, 0);
    let rest = (1..70).filter(|id| *id != oldest);
    assert_eq!(bench.claim_all(), rest.collect::<Vec<_>>());
}

/// A bit that flipped in memory alone is as it was after the end of the machine.
#[test]
fn a_segment_whose_head_is_nobodys_for_a_while_keeps_what_is_settled_of_it() {
    let mut bench = Bench::new(config());
    bench.fill(0..1);
    bench.fill_as(1..2, Priority::High);
    let (_, waits) = bench.claim().expect("the oldest");
    let (id, done) = bench.claim().expect("of the other lane");
    bench.ack(&done);
    assert!(bench.log.release(bench.now(), waits.id));
    bench.flush();
    bench.stop();
    let segment = bench.segments().remove(1);
    bench.fs.flip_bit(&segment, 3);
    bench.open();
    assert_eq!((id, bench.log.stats(bench.now()).foreign_files), (1, 1));
    bench.fill(2..3);
    let (_, waits) = bench.claim().expect("the oldest");
    let (_, done) = bench.claim().expect("of another segment");
    bench.ack(&done);
    assert!(bench.log.release(bench.now(), waits.id));
    bench.flush();
    bench.stop();
    bench.fs.flip_bit(&segment, 3);
    bench.open();
    assert_eq!(bench.claim_all(), [0]);
}
