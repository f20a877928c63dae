//! Several processes on one directory.

use std::collections::BTreeSet;
use std::time::Duration;

use spanwright_spool::{Spool, SpoolConfig};
use spanwright_testing::ScratchDir;

use crate::child::Process;
use crate::support::{batch, id_of};

#[test]
fn processes_on_one_directory_disturb_each_other_in_nothing_and_the_living_deliver_for_the_dead() {
    let scratch = ScratchDir::new().unwrap();
    let mut processes: Vec<Process> = (0..3)
        .map(|index| Process::spawn(scratch.path(), index * 1_000_000))
        .collect();
    for process in &mut processes {
        (0..200).for_each(|_| assert!(process.hear()));
    }
    // One dies; the others go on, and may adopt what it left.
    processes[0].kill();
    for process in &mut processes[1..] {
        (0..400).for_each(|_| assert!(process.hear()));
    }
    processes.iter_mut().for_each(Process::kill);

    let written: BTreeSet<u64> = processes.iter().flat_map(|process| &process.written).copied().collect();
    let acked: BTreeSet<u64> = processes.iter().flat_map(|process| &process.acked).copied().collect();
    let counts: usize = processes.iter().map(|process| process.acked.len()).sum();
    assert_eq!(acked.len(), counts, "no two delivered the same");

    let spool = Spool::builder(scratch.path()).spawn().unwrap();
    let mut found = BTreeSet::new();
    while let Some(claim) = spool.claim() {
        assert!(found.insert(id_of(claim.batch())), "read twice");
        claim.ack();
    }
    let missing: Vec<_> = written.difference(&acked).filter(|id| !found.contains(id)).collect();
    assert!(
        missing.len() <= 3,
        "one acknowledgement each may be untold: {missing:?}"
    );
    assert!(
        found.intersection(&acked).next().is_none(),
        "what was delivered is not delivered again"
    );
    let stats = spool.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!((stats.pending, stats.directories), (0, 1), "{stats:?}");
}

#[test]
fn a_spool_is_for_one_owner_at_a_time_and_free_after_its_end() {
    let scratch = ScratchDir::new().unwrap();
    let open = || Spool::builder(scratch.path()).spawn().unwrap();
    let (first, second) = (open(), open());
    first.write(batch(1)).unwrap();
    second.write(batch(2)).unwrap();
    assert_eq!(second.claim().map(|claim| id_of(claim.batch())), Some(2));
    first.flush(Duration::from_secs(60)).unwrap();
    drop(first);
    let third = open();
    assert_eq!(third.claim().map(|claim| id_of(claim.batch())), Some(1));
    drop(second);
    drop(third);
    let config = SpoolConfig::new(scratch.path());
    let fourth = Spool::builder("").with_config(config).spawn().unwrap();
    assert_eq!(fourth.stats().pending_records, 2);
}
