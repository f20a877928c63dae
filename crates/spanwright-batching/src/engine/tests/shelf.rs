//! With a spool: the log itself, by the engine's time, on a disk in memory that fails on demand.

use std::time::SystemTime;

use parking_lot::Mutex as Lock;
use spanwright_core::{NotStored, StoreCounts, Stored};
use spanwright_spool::testing::{Fault, MemoryFs, Operation};
use spanwright_spool::{ClaimId, FullPolicy, Log, Now, SpoolConfig};

use super::*;

/// A log that is driven by the test. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    fs: MemoryFs,
    state: Arc<Lock<State>>,
    is_ahead: bool,
}

#[derive(Debug)]
struct State {
    log: Log,
    now: Now,
}

struct Taken {
    disk: Disk,
    id: ClaimId,
    batch: EncodedBatch,
    is_open: bool,
}

impl Disk {
    fn new(fs: MemoryFs, now: Instant, config: SpoolConfig, is_ahead: bool) -> Self {
        let now = Now {
            instant: now,
            time: SystemTime::UNIX_EPOCH + 50 * 365 * 24 * 3600 * SECOND,
        };
        let log = Log::open(config, Arc::new(fs.clone()), now).expect("a directory that can be used");
        let state = Arc::new(Lock::new(State { log, now }));
        Self { fs, state, is_ahead }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Log, Now) -> R) -> R {
        let State { log, now } = &mut *self.state.lock();
        let result = work(log, *now);
        while let Some(commit) = log.poll(*now) {
            let done = commit.run();
            log.committed(*now, done);
        }
        log.stats(*now).ledger().check().expect("the log's own law");
        result
    }

    pub(super) fn advance(&self, by: Duration) {
        let now = &mut self.state.lock().now;
        *now = Now {
            instant: now.instant + by,
            time: now.time + by,
        };
    }

    fn pending(&self) -> u64 {
        self.with(|log, now| log.stats(now).pending)
    }
}

impl Store for Disk {
    fn write(&self, batch: &EncodedBatch) -> Result<(), NotStored> {
        let written = self.with(|log, now| log.write(now, batch.clone()));
        written.map(drop).map_err(|_| NotStored)
    }

    fn write_claimed(&self, batch: &EncodedBatch) -> Result<Box<dyn Stored>, NotStored> {
        let written = self.with(|log, now| log.write_claimed(now, batch.clone()));
        let (_, id) = written.map_err(|_| NotStored)?;
        Ok(Box::new(Taken {
            disk: self.clone(),
            id,
            batch: batch.clone(),
            is_open: true,
        }))
    }

    fn claim(&self) -> Option<Box<dyn Stored>> {
        let record = self.with(Log::claim)?;
        Some(Box::new(Taken {
            disk: self.clone(),
            id: record.id,
            batch: record.batch,
            is_open: true,
        }))
    }

    fn counts(&self) -> StoreCounts {
        let stats = self.with(|log, now| log.stats(now));
        StoreCounts {
            recovered: stats.recovered,
            lost: stats.lost,
            waiting: stats.pending - stats.claimed_items,
            waiting_requests: stats.pending_records - stats.claimed,
        }
    }

    fn writes_ahead(&self) -> bool {
        self.is_ahead
    }

    fn close(&self, _: Duration) -> bool {
        let State { log, now } = &mut *self.state.lock();
        let done = log.close(*now).run();
        log.committed(*now, done);
        log.durable() == log.written()
    }
}

impl Stored for Taken {
    fn batch(&self) -> &EncodedBatch {
        &self.batch
    }

    fn ack(mut self: Box<Self>) {
        self.is_open = false;
        assert!(self.disk.with(|log, now| log.ack(now, self.id)), "acknowledged once");
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.is_open {
            self.disk.with(|log, now| log.release(now, self.id));
        }
    }
}

pub(super) fn spool() -> SpoolConfig {
    SpoolConfig::new("/spool")
        .with_segment_bytes(4 << 10)
        .with_max_bytes(1 << 20)
}

fn rig(config: &BatchConfig, is_ahead: bool) -> (Rig, Disk) {
    rig_on(&MemoryFs::new(), spool(), config, is_ahead)
}

pub(super) fn rig_on(fs: &MemoryFs, spool: SpoolConfig, config: &BatchConfig, is_ahead: bool) -> (Rig, Disk) {
    let clock = spanwright_core::ManualClock::new();
    let disk = Disk::new(fs.clone(), spanwright_core::Clock::now(&clock), spool, is_ahead);
    let rig = Rig::with_stores(config, vec![Some(Arc::new(disk.clone()) as Arc<dyn Store>)]);
    (rig, disk)
}

/// On a disk on which a process has left a request of ten items.
fn with_ten_of_an_earlier_process() -> (Rig, Disk) {
    let (mut rig, disk) = rig(&config(), false);
    rig.end(10, NORMAL);
    rig.poll();
    rig.answer(0, Err(unavailable()));
    rig.shutdown(SECOND);
    rig.poll();
    drop(rig);
    rig_on(&disk.fs.fork(), spool(), &config(), false)
}

fn small() -> BatchConfig {
    config().with_max_queue_bytes(4_800)
}

#[test]
fn an_outage_longer_than_the_memory_loses_nothing_and_the_oldest_go_to_disk() {
    let (mut rig, disk) = rig(&small(), false);
    for _ in 0..100 {
        assert_eq!(rig.end(40, NORMAL), 40, "there is always room");
        rig.poll();
        while !rig.under_way.is_empty() {
            rig.answer(0, Err(unavailable()));
        }
        rig.poll();
        rig.check();
        rig.advance(SECOND / 10);
    }
    let snapshot = rig.check();
    let ledger = snapshot.ledger(0);
    assert_eq!((ledger.ended, ledger.pending, ledger.lost.total()), (4_000, 4_000, 0));
    let outlet = &snapshot.outlets[0];
    assert!(outlet.spooled_items > 3_500, "{outlet:?}");
    assert_eq!(
        outlet.spooled_items,
        disk.pending() - disk.with(|log, now| log.stats(now).claimed_items)
    );

    // It is back: everything arrives, what is on disk too.
    for _ in 0..200 {
        rig.skip_wait();
        rig.answer_all(|_| Ok(Receipt::accepted()));
    }
    rig.flush(SECOND);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    let snapshot = rig.check();
    assert_eq!((snapshot.ledger(0).exported, snapshot.ledger(0).pending), (4_000, 0));
    assert!(snapshot.outlets[0].replayed > 3_500);
    assert_eq!(disk.pending(), 0);
}

#[test]
fn three_live_requests_go_for_each_of_the_disk() {
    let (mut rig, _disk) = rig(&small().with_max_concurrent_exports(1), false);
    for _ in 0..20 {
        rig.end(40, NORMAL);
        rig.poll();
        if !rig.under_way.is_empty() {
            rig.answer(0, Err(unavailable()));
        }
        rig.advance(SECOND);
    }
    assert!(rig.check().outlets[0].spooled_items > 300);
    let mut is_replay = Vec::new();
    for _ in 0..60 {
        rig.end(30, NORMAL);
        rig.poll();
        let before = rig.check().outlets[0].replayed;
        if rig.under_way.is_empty() {
            rig.skip_wait();
        }
        rig.answer(0, Ok(Receipt::accepted()));
        is_replay.push(rig.check().outlets[0].replayed > before);
    }
    let replays = is_replay[8..].iter().filter(|is_replay| **is_replay).count();
    assert!((11..=15).contains(&replays), "{replays} of 52: {is_replay:?}");
}

#[test]
fn a_shutdown_puts_away_at_once_what_an_absent_receiver_leaves() {
    let (mut rig, disk) = rig(&config(), false);
    rig.end(45, NORMAL);
    rig.poll();
    while !rig.under_way.is_empty() {
        rig.answer(0, Err(unavailable()));
    }
    rig.shutdown(5 * SECOND);
    rig.poll();
    assert!(rig.is_stopped, "it does not wait for the deadline");
    let report = rig.report();
    let delivery = &report.destinations[0];
    assert_eq!((delivery.spooled, delivery.lost.total(), delivery.pending), (45, 0, 0));
    assert!(!report.is_complete() && !report.is_timed_out(), "{report}");
    assert_eq!((rig.check().ledger(0).pending, disk.pending()), (45, 45));
    drop(rig);

    // The next process has them.
    let (mut rig, _) = rig_on(&disk.fs.fork(), spool(), &config(), false);
    let ledger = rig.check().ledger(0);
    assert_eq!((ledger.recovered, ledger.ended, ledger.pending), (45, 45, 45));
    for _ in 0..5 {
        rig.skip_wait();
        rig.answer_all(|_| Ok(Receipt::accepted()));
    }
    assert_eq!(rig.check().ledger(0).exported, 45);
}

#[test]
fn a_shutdown_waits_for_a_slow_receiver_and_puts_away_what_is_left_before_its_time_is_over() {
    let (mut rig, disk) = rig(&config().with_max_concurrent_exports(1), false);
    rig.end(45, NORMAL);
    rig.shutdown(2 * SECOND);
    rig.poll();
    rig.answer(0, Ok(Receipt::accepted()));
    rig.poll();
    assert!(!rig.is_stopped);
    rig.advance(2 * SECOND - SECOND / 2);
    rig.poll();
    assert!(rig.is_stopped);
    let delivery = &rig.report().destinations[0];
    assert_eq!(
        (delivery.exported, delivery.spooled),
        (10, 35),
        "what was under way is on disk, too"
    );
    assert_eq!(disk.pending(), 35);
}

#[test]
fn without_a_disk_that_works_a_shutdown_waits_and_then_loses() {
    let (mut rig, disk) = rig(&config(), false);
    disk.fs.set_read_only();
    rig.end(25, NORMAL);
    rig.poll();
    while !rig.under_way.is_empty() {
        rig.answer(0, Err(unavailable()));
    }
    rig.shutdown(SECOND);
    rig.poll();
    assert!(!rig.is_stopped, "the receiver may come back");
    rig.advance(SECOND);
    rig.poll();
    assert!(rig.is_stopped);
    assert_eq!(rig.report().destinations[0].lost[LossReason::ShutdownTimeout], 25);
    rig.check();
}

#[test]
fn written_ahead_everything_is_on_disk_before_it_is_sent_and_is_forgotten_when_it_has_arrived() {
    let (mut rig, disk) = rig(&config(), true);
    rig.end(20, NORMAL);
    rig.flush(SECOND);
    rig.poll();
    assert_eq!(rig.under_way.len(), 2);
    assert_eq!(disk.pending(), 20);
    let after_kill = disk.fs.fork();
    rig.answer(0, Ok(Receipt::accepted()));
    assert_eq!((disk.pending(), rig.check().ledger(0).pending), (10, 10));
    rig.answer(0, Err(unavailable()));
    let snapshot = rig.check();
    assert_eq!(
        (snapshot.outlets[0].parked_items, snapshot.outlets[0].spooled_items),
        (10, 0),
        "it is in memory as well"
    );

    let (rig, _) = rig_on(&after_kill, spool(), &config(), true);
    assert_eq!(rig.check().ledger(0).recovered, 20);
}

#[test]
fn a_request_of_the_disk_that_is_too_large_is_halved_and_its_place_freed_with_the_last_half() {
    let (mut rig, disk) = rig(&config(), true);
    rig.end(10, NORMAL);
    rig.flush(SECOND);
    rig.poll();
    rig.answer(0, Err(ExportError::new(ErrorKind::TooLarge, "413", "")));
    rig.poll();
    assert_eq!(rig.under_way.len(), 2);
    rig.answer(0, Ok(Receipt::accepted()));
    assert_eq!((disk.pending(), rig.check().ledger(0).exported), (10, 5));
    // The other half must not come back as the whole.
    rig.answer(0, Err(unavailable()));
    rig.shutdown(SECOND);
    rig.poll();
    assert!(rig.is_stopped);
    assert_eq!((disk.pending(), rig.check().ledger(0).pending), (5, 5));
}

#[test]
fn a_shutdown_waits_for_what_it_took_from_the_disk_and_does_not_forget_parts_of_it() {
    let (mut rig, disk) = with_ten_of_an_earlier_process();
    rig.poll();
    let rest = EncodedBatch::new([Bytes::from_static(b"rest")], 4, Priority::Normal);
    rig.answer(0, Err(unavailable().with_rest(Receipt::accepted(), rest)));
    rig.skip_wait();
    rig.shutdown(SECOND);
    rig.poll();
    assert!(!rig.is_stopped, "four are under way");
    rig.advance(SECOND);
    rig.poll();
    assert!(rig.is_stopped);
    let ledger = rig.check().ledger(0);
    assert_eq!((ledger.exported, ledger.pending, disk.pending()), (6, 4, 4));
}

#[test]
fn a_part_of_a_request_of_the_disk_for_which_that_has_no_room_any_more_is_lost_by_name() {
    let (mut rig, disk) = with_ten_of_an_earlier_process();
    rig.poll();
    let rest = EncodedBatch::new([Bytes::from_static(b"rest")], 4, Priority::Normal);
    rig.answer(0, Err(unavailable().with_rest(Receipt::accepted(), rest)));
    disk.fs.set_read_only();
    rig.shutdown(SECOND);
    rig.poll();
    assert!(!rig.is_stopped, "the receiver may come back");
    rig.advance(SECOND);
    rig.poll();
    assert!(rig.is_stopped);
    let ledger = rig.check().ledger(0);
    assert_eq!((ledger.exported, ledger.lost[LossReason::ShutdownTimeout]), (6, 4));
    assert_eq!((ledger.pending, disk.pending()), (0, 0));
}

#[test]
fn who_waits_for_a_service_is_not_called_for_what_was_due_before() {
    let (mut rig, disk) = with_ten_of_an_earlier_process();
    let batch = EncodedBatch::new([Bytes::from_static(b"another one")], 1_000, Priority::Normal);
    disk.write(&batch).unwrap();
    disk.write(&batch).unwrap();
    rig.poll();
    rig.answer_all(|_| Ok(Receipt::accepted()));
    // The pace asks for a pause, and when that is over the service is busy; then it is away, and busy again.
    for _ in 0..2 {
        rig.advance(SECOND);
        let Action::Wait { until, .. } = rig.engine.poll(rig.now, &[false]) else {
            panic!("nothing can be sent");
        };
        assert!(until > rig.now);
        rig.engine.unavailable(rig.now, 0, &unavailable());
    }
}

#[test]
fn what_is_down_is_asked_with_the_oldest() {
    let (mut rig, _disk) = with_ten_of_an_earlier_process();
    rig.engine.unavailable(rig.now, 0, &unavailable());
    rig.end(20, HIGH);
    rig.skip_wait();
    assert_eq!(rig.under_way.len(), 1, "one at a time");
    rig.answer(0, Ok(Receipt::accepted()));
    assert_eq!(rig.check().outlets[0].replayed, 10);
}

/// What may happen to the disk between two steps.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Full,
    Fails(Operation),
    Heals,
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    let operation = prop::sample::select(vec![
        Operation::Append,
        Operation::Create,
        Operation::Read,
        Operation::Sync,
    ]);
    prop_oneof![
        12 => Just(None),
        1 => Just(Some(Trouble::Full)),
        1 => operation.prop_map(|operation| Some(Trouble::Fails(operation))),
        3 => Just(Some(Trouble::Heals)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    /// The law after every step of any schedule of faults, of the receiver and of the disk; and what the last shutdown left is
    /// found by the next process, to the last item.
    #[test]
    fn the_law_holds_with_a_disk_under_every_schedule(
        steps in prop::collection::vec((step(), trouble()), 1..50),
        is_ahead in any::<bool>(),
        full_policy in prop::sample::select(vec![FullPolicy::DropNewest, FullPolicy::DropOldest, FullPolicy::HighPriorityLast]),
        max_queue_bytes in 4_096..12_000_usize,
        max_bytes in 8_192..40_000_u64,
    ) {
        let spool = spool().with_max_bytes(max_bytes).with_full_policy(full_policy);
        let config = config().with_max_queue_bytes(max_queue_bytes);
        let fs = MemoryFs::new();
        let (mut rig, disk) = rig_on(&fs, spool.clone(), &config, is_ahead);
        let (mut taken, mut had_trouble) = ([0], false);
        for (step, trouble) in steps {
            had_trouble |= matches!(trouble, Some(Trouble::Full | Trouble::Fails(_)));
            match trouble {
                None => {}
                Some(Trouble::Full) => fs.set_capacity(0),
                Some(Trouble::Fails(operation)) => fs.inject(operation, Fault::Error(std::io::ErrorKind::Other), 2),
                Some(Trouble::Heals) => fs.heal(),
            }
            rig.take(&step, &mut taken);
            if let Step::Advance { millis } = step {
                disk.advance(Duration::from_millis(millis));
            }
            let snapshot = rig.check();
            prop_assert!(snapshot.used.bytes <= max_queue_bytes as u64 && snapshot.used.items <= 100);
            prop_assert_eq!(snapshot.ledger(0).exported, taken[0], "what the receiver took");
        }
        rig.shutdown(SECOND);
        rig.poll();
        rig.advance(SECOND);
        rig.poll();
        prop_assert!(rig.is_stopped);
        let snapshot = rig.check();
        let pending = snapshot.ledger(0).pending;
        prop_assert_eq!((pending, snapshot.used.items, snapshot.used.bytes), (disk.pending(), 0, 0));

        fs.heal();
        drop((rig, disk));
        let (rig, _) = rig_on(&fs.fork(), spool, &config, is_ahead);
        let recovered = rig.check().ledger(0).recovered;
        // A disk that fails may have forgotten that something has arrived; what has not is always there.
        prop_assert!(recovered == pending || (had_trouble && recovered > pending), "{recovered} of {pending}");
    }
}
