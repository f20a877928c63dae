//! Writes, reads, commits, faults and crashes in any order, against a model that knows what has to survive.
//!
//! `SPANWRIGHT_SPOOL_CRASHES` is how many modelled crashes are gone through; the ordinary tests take 2 000.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use spanwright_core::{Env, LossReason, Priority};

use super::support::{Bench, batch, config, id_of};
use crate::testing::{Fault, Operation};
use crate::{Commit, Committed, Record};

static CRASHES: AtomicU64 = AtomicU64::new(0);

#[test]
fn after_any_crash_what_was_durable_is_there_and_every_loss_is_counted() {
    let target = Env::process()
        .integer("SPANWRIGHT_SPOOL_CRASHES", 1..=u64::MAX)
        .unwrap_or(2_000);
    while CRASHES.load(Ordering::SeqCst) < target {
        let cases = Config {
            cases: 20,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new(cases.clone());
        let schedules = Schedule::sequential_strategy(1..120);
        let result = runner.run(&schedules, |(initial, actions, seen)| {
            Model::test_sequential(cases.clone(), initial, actions, seen);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Write(Priority),
    Claim,
    Ack(usize),
    Release(usize),
    /// Prepares what is due, without running it.
    Begin,
    /// Runs it.
    Run,
    /// Tells the log.
    Finish,
    Flush,
    Advance(u64),
    Fault(Operation, Fault),
    ReadOnly,
    Full,
    Heal,
    /// The end of the process.
    Kill,
    /// The end of the machine.
    Crash(u64),
    /// A bit flips while nobody runs.
    Flip(u64),
}

/// Which actions make sense does not depend on what came before; what has to hold after them does, and the model knows it.
struct Schedule;

impl ReferenceStateMachine for Schedule {
    type State = ();
    type Transition = Action;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Action> {
        let operation = prop::sample::select(vec![
            Operation::Append,
            Operation::Create,
            Operation::Remove,
            Operation::Rename,
            Operation::SetSize,
            Operation::Sync,
            Operation::SyncDir,
        ]);
        let kind = prop::sample::select(vec![ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::TimedOut]);
        let fault = prop_oneof![
            3 => kind.clone().prop_map(Fault::Error),
            1 => (0..200_usize).prop_map(Fault::Short),
            1 => (0..200_usize, kind).prop_map(|(count, kind)| Fault::Torn(count, kind)),
        ];
        prop_oneof![
            24 => prop_oneof![4 => Just(Priority::Normal), 1 => Just(Priority::High)].prop_map(Action::Write),
            10 => Just(Action::Claim),
            8 => any::<usize>().prop_map(Action::Ack),
            3 => any::<usize>().prop_map(Action::Release),
            4 => Just(Action::Begin),
            4 => Just(Action::Run),
            4 => Just(Action::Finish),
            4 => Just(Action::Flush),
            4 => (0..400_u64).prop_map(Action::Advance),
            1 => (9_000..40_000_u64).prop_map(Action::Advance),
            2 => (operation, fault).prop_map(|(operation, fault)| Action::Fault(operation, fault)),
            1 => Just(Action::ReadOnly),
            1 => Just(Action::Full),
            3 => Just(Action::Heal),
            3 => Just(Action::Kill),
            7 => any::<u64>().prop_map(Action::Crash),
            2 => any::<u64>().prop_map(Action::Flip),
        ]
        .boxed()
    }

    fn apply((): (), _: &Action) {}
}

/// What is known of a record that was written.
#[derive(Clone, Copy, Debug)]
struct Known {
    items: u64,
    /// Its number in this process; 0 for one of an earlier process.
    number: u64,
    written: Instant,
    is_durable: bool,
    is_acked: bool,
    /// A durable cursor has its acknowledgement.
    is_ack_durable: bool,
    /// It was given back. It may be there all the same if the disk failed to take it away again.
    is_refused: bool,
    /// An earlier process may have seen its sync fail: no later one can know.
    is_tainted: bool,
}

struct Model {
    bench: Bench,
    known: BTreeMap<u64, Known>,
    claims: Vec<(u64, Record)>,
    next_id: u64,
    begun: Option<Commit>,
    run: Option<Committed>,
    /// The ids that a running commit makes durable, and those whose acknowledgement it does.
    covered: Vec<u64>,
    acked: Vec<u64>,
    /// A fault was injected since the log was opened: duplicates may then be more than they should.
    is_faulty: bool,
    /// Items that were counted as lost to damage.
    damaged: u64,
    flipped: Vec<PathBuf>,
    /// What was lost since a bit flipped. A bit that flipped in memory alone is as it was after a crash, and so is the record.
    gone: BTreeMap<u64, Known>,
}

impl StateMachineTest for Model {
    type SystemUnderTest = Self;
    type Reference = Schedule;

    fn init_test((): &()) -> Self {
        let mut bench = Bench::new(config());
        bench.flush();
        Self {
            bench,
            known: BTreeMap::new(),
            claims: Vec::new(),
            next_id: 0,
            begun: None,
            run: None,
            covered: Vec::new(),
            acked: Vec::new(),
            is_faulty: false,
            damaged: 0,
            flipped: Vec::new(),
            gone: BTreeMap::new(),
        }
    }

    fn apply(mut model: Self, (): &(), action: Action) -> Self {
        match action {
            Action::Write(priority) => model.write(priority),
            Action::Claim => model.claim(),
            Action::Ack(index) => model.ack(index),
            Action::Release(index) => model.release(index),
            Action::Begin => model.begin(),
            Action::Run => model.run = model.begun.take().map(Commit::run).or(model.run.take()),
            Action::Finish => model.finish(),
            Action::Flush => model.flush(),
            Action::Advance(millis) => model.bench.advance(Duration::from_millis(millis)),
            Action::Fault(operation, fault) => model.fault(|fs| fs.inject(operation, fault, 1)),
            Action::ReadOnly => model.fault(crate::testing::MemoryFs::set_read_only),
            Action::Full => model.fault(|fs| fs.set_capacity(100)),
            Action::Heal => model.bench.fs.heal(),
            Action::Kill => model.end(None),
            Action::Crash(seed) => model.end(Some(seed)),
            Action::Flip(seed) => model.flip(seed),
        }
        model
    }

    fn check_invariants(model: &Self, (): &()) {
        model.bench.check();
        let stats = model.bench.log.stats(model.bench.now());
        assert_eq!(stats.claimed, model.claims.len() as u64);
        // What is durable was said to be, and is no more than what was written.
        assert!(model.bench.log.durable() <= model.bench.log.written());
    }

    fn teardown(mut model: Self, (): ()) {
        model.end(None);
    }
}

impl Model {
    fn write(&mut self, priority: Priority) {
        let id = self.next_id;
        self.next_id += 1;
        let items = 1 + id % 13;
        let now = self.bench.now();
        let result = self.bench.log.write(now, batch(id, items as usize, priority));
        let known = Known {
            items,
            number: result.as_ref().map_or(0, |written| written.number()),
            written: now.instant,
            is_durable: false,
            is_acked: false,
            is_ack_durable: false,
            is_refused: result.is_err(),
            is_tainted: false,
        };
        if let Err(refused) = result {
            assert_eq!(id_of(refused.batch()), Some(id), "what is refused is given back");
            assert!(self.is_faulty, "a healthy disk with room takes everything");
        }
        self.known.insert(id, known);
    }

    fn claim(&mut self) {
        if let Some(record) = self.bench.log.claim(self.bench.now()) {
            let id = self.vouch(&record);
            self.claims.push((id, record));
        }
    }

    /// No payload is wrong, and none is given to two.
    fn vouch(&self, record: &Record) -> u64 {
        let id = id_of(&record.batch).expect("a payload that was written, whole");
        let known = self.known.get(&id).expect("a payload that was written");
        assert_eq!(known.items, record.batch.item_count() as u64);
        assert!(
            self.claims.iter().all(|(claimed, _)| *claimed != id),
            "claimed twice: {id}"
        );
        assert!(
            self.is_faulty || !(known.is_refused || known.is_ack_durable),
            "{id}: {known:?}"
        );
        id
    }

    fn ack(&mut self, index: usize) {
        if self.claims.is_empty() {
            return;
        }
        let (id, record) = self.claims.swap_remove(index % self.claims.len());
        assert!(self.bench.log.ack(self.bench.now(), record.id));
        assert!(!self.bench.log.ack(self.bench.now(), record.id), "once");
        self.known.get_mut(&id).expect("known").is_acked = true;
    }

    fn release(&mut self, index: usize) {
        if self.claims.is_empty() {
            return;
        }
        let (_, record) = self.claims.swap_remove(index % self.claims.len());
        assert!(self.bench.log.release(self.bench.now(), record.id));
    }

    fn begin(&mut self) {
        let now = self.bench.now();
        let is_idle = self.begun.is_none() && self.run.is_none();
        let Some(commit) = self.bench.log.poll(now) else {
            // Nothing is due: then nothing is at risk that is older than the interval.
            let (interval, durable) = (self.bench.config.sync_interval(), self.bench.log.durable());
            let mut own = self.known.values().filter(|known| known.number > durable);
            let is_young = own.all(|known| now.instant - known.written < interval);
            assert!(is_young || !is_idle || self.is_faulty);
            return;
        };
        self.begun = Some(commit);
        self.covered = self.known.keys().copied().collect();
        let acked = self.known.iter().filter(|(_, known)| known.is_acked);
        self.acked = acked.map(|(id, _)| *id).collect();
    }

    fn finish(&mut self) {
        let Some(done) = self.run.take() else { return };
        self.bench.log.committed(self.bench.now(), done);
        let is_healthy = self.bench.log.stats(self.bench.now()).is_healthy;
        let durable = self.bench.log.durable();
        for id in std::mem::take(&mut self.covered) {
            let known = self.known.get_mut(&id).expect("known");
            // Of its own writes the log says itself what is durable; what it found is durable with the first commit that succeeds.
            let is_own = known.number > 0;
            known.is_durable |= if is_own {
                known.number <= durable
            } else {
                is_healthy && !self.is_faulty && !known.is_tainted
            };
        }
        for id in std::mem::take(&mut self.acked) {
            let known = self.known.get_mut(&id).expect("known");
            known.is_ack_durable |= is_healthy && !self.is_faulty;
        }
    }

    fn flush(&mut self) {
        self.run = self.begun.take().map(Commit::run).or(self.run.take());
        self.finish();
        self.bench.log.request_flush();
        self.begin();
        self.run = self.begun.take().map(Commit::run);
        self.finish();
        // Without a fault, nothing that is older than an interval is at risk; after a flush nothing at all.
        if !self.is_faulty {
            assert_eq!(self.bench.log.durable(), self.bench.log.written());
        }
    }

    fn fault(&mut self, inject: impl FnOnce(&crate::testing::MemoryFs)) {
        self.is_faulty = true;
        inject(&self.bench.fs);
    }

    /// The end of the process or of the machine, and what has to be there afterwards.
    fn end(&mut self, crash: Option<u64>) {
        self.claims.clear();
        if crash.is_none() {
            // Whatever the killed process had under way ends with it.
            self.begun = None;
            self.run = None;
        }
        let durable = self.bench.log.durable();
        match crash {
            None => {
                self.bench.fs.heal();
                self.bench.restart();
            }
            Some(seed) => {
                // A commit may be on its way: what it has done so far may last.
                self.bench.fs.crash(seed);
                self.bench.fs.heal();
                self.begun = None;
                self.run = None;
                self.bench.stop();
                self.bench.open();
                CRASHES.fetch_add(1, Ordering::SeqCst);
            }
        }
        let was_faulty = std::mem::replace(&mut self.is_faulty, false);
        let damage = self.bench.log.stats(self.bench.now()).damage;
        let found = self.read_all();
        let mut missing = 0;
        for (id, known) in &self.known {
            let is_found = found.contains(id);
            let must_be = !known.is_acked
                && !known.is_refused
                && match crash {
                    None => true,
                    Some(_) => known.is_durable || (known.number > 0 && known.number <= durable),
                };
            assert!(is_found || !must_be, "{id} is lost: {known:?}, durable {durable}");
            if crash.is_none() {
                assert!(
                    was_faulty || !(is_found && known.is_acked),
                    "{id} is repeated: {known:?}"
                );
            }
            if !was_faulty {
                assert!(!(is_found && known.is_ack_durable), "{id} is repeated: {known:?}");
                assert!(!(is_found && known.is_refused), "{id} was refused: {known:?}");
            }
            if !is_found {
                missing += known.items;
            }
        }
        // What was counted and not made durable before the machine ended is met again.
        let most = missing + self.damaged;
        // A header with a flipped bit whose write was torn besides may say anything.
        let is_known = crash.is_none() || self.flipped.is_empty();
        assert!(
            !is_known || damage.items <= most,
            "{} counted as lost, {most} missing",
            damage.items
        );
        self.damaged += damage.items;
        if crash.is_none() && !was_faulty {
            assert_eq!(damage.records, 0, "a killed process leaves no damage");
        }
        self.forget(&found, crash.is_some(), was_faulty);
    }

    /// One bit flips while nobody runs: at most one record is lost, and exactly that is counted.
    fn flip(&mut self, seed: u64) {
        self.end(None);
        let segments = self.bench.segments();
        if segments.is_empty() {
            return;
        }
        let path = &segments[seed as usize % segments.len()];
        // Two in one header may say anything about what was lost with it.
        if self.flipped.contains(path) {
            return;
        }
        self.flipped.push(path.clone());
        let bits = self.bench.fs.content(path).map_or(0, |content| content.len() * 8);
        if bits == 0 {
            return;
        }
        self.bench.stop();
        self.bench.fs.flip_bit(path, (seed >> 8) as usize % bits);
        self.bench.open();
        let found = self.read_all();
        let missing = self
            .known
            .iter()
            .filter(|(id, known)| !known.is_acked && !found.contains(id));
        let missing: Vec<u64> = missing.map(|(id, _)| *id).collect();
        assert!(missing.len() <= 1, "{missing:?}");
        let items: u64 = missing.iter().map(|id| self.known[id].items).sum();
        let stats = self.bench.log.stats(self.bench.now());
        assert_eq!(stats.lost[LossReason::Corrupt], items);
        self.damaged += items;
        self.forget(&found, false, false);
    }

    /// Claims everything and gives it back.
    fn read_all(&mut self) -> Vec<u64> {
        let now = self.bench.now();
        let mut records = Vec::new();
        while let Some(record) = self.bench.log.claim(now) {
            records.push((
                id_of(&record.batch).expect("a payload that was written, whole"),
                record.id,
            ));
        }
        for (_, id) in &records {
            assert!(self.bench.log.release(now, *id));
        }
        self.bench.check();
        let found: Vec<u64> = records.iter().map(|(id, _)| *id).collect();
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len(), "read twice: {found:?}");
        found
    }

    /// What is there now is what there was before, for all that comes.
    fn forget(&mut self, found: &[u64], is_durable: bool, is_tainted: bool) {
        let back = found.iter().filter_map(|id| self.gone.remove_entry(id));
        self.known.extend(back);
        // An acknowledgement that only survives the end of the process may be gone with the machine.
        let stays = |id: &u64, known: &Known| found.contains(id) || (known.is_acked && !known.is_ack_durable);
        if !self.flipped.is_empty() {
            let lost = self.known.iter().filter(|(id, known)| !stays(id, known));
            self.gone.extend(lost.map(|(id, known)| (*id, *known)));
        }
        self.known.retain(|id, known| stays(id, known));
        for (id, known) in &mut self.known {
            let is_found = found.contains(id);
            *known = Known {
                number: 0,
                is_acked: !is_found,
                is_ack_durable: false,
                is_refused: false,
                // What was acknowledged counted as durable without being so.
                is_durable: is_durable || (known.is_durable && !known.is_acked),
                is_tainted: !is_durable && (known.is_tainted || is_tainted),
                ..*known
            };
        }
        self.covered.clear();
        self.acked.clear();
    }
}
