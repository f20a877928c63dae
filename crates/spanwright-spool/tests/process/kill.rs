//! `kill -9` at random moments. `SPANWRIGHT_SPOOL_KILLS` is how often; the ordinary tests kill fifty times.

use std::collections::BTreeSet;
use std::sync::Arc;

use spanwright_core::{Env, SystemClock};
use spanwright_spool::{DiskFs, Log, Now, SpoolConfig};
use spanwright_testing::ScratchDir;

use crate::child::Process;
use crate::support::id_of;

#[test]
fn a_killed_process_loses_nothing_that_it_wrote_and_repeats_nothing_that_it_acknowledged() {
    let kills = Env::process()
        .integer("SPANWRIGHT_SPOOL_KILLS", 1..=u64::MAX)
        .unwrap_or(50);
    let scratch = ScratchDir::new().unwrap();
    let mut random = fastrand::Rng::new();
    let seed = random.get_seed();
    let (mut pending, mut next): (BTreeSet<u64>, u64) = (BTreeSet::new(), 0);
    for kill in 0..kills {
        let mut process = Process::spawn(scratch.path(), next);
        let moment = random.u32(1..400);
        for _ in 0..moment {
            assert!(process.hear(), "the child has ended by itself");
        }
        process.kill();
        pending.extend(&process.written);
        pending.retain(|id| !process.acked.contains(id));
        // It may have written one more, and acknowledged one more, than it could say.
        let unsaid = process.written.last().map_or(next, |last| last + 1);
        next = unsaid + 1;

        let now = || Now::of(&SystemClock);
        let mut log = Log::open(SpoolConfig::new(scratch.path()), Arc::new(DiskFs), now()).unwrap();
        let mut found = BTreeSet::new();
        let mut claims = Vec::new();
        while let Some(record) = log.claim(now()) {
            assert!(found.insert(id_of(&record.batch)), "read twice");
            claims.push(record);
        }
        let about = format!("kill {kill} after {moment}, seed {seed}");
        let lost: Vec<_> = pending.difference(&found).collect();
        // The acknowledgement that it had no time to tell of is the only one that may be missing.
        assert!(lost.len() <= 1, "lost {lost:?}: {about}");
        let repeated: Vec<_> = found.difference(&pending).filter(|id| **id != unsaid).collect();
        assert!(repeated.is_empty(), "repeated {repeated:?}: {about}");
        let stats = log.stats(now());
        // At most the write that it died in.
        assert!(stats.damage.records <= 1, "{stats:?}: {about}");
        stats.ledger().check().unwrap();
        // Some are left for the next one, and it is not said good-bye either.
        for record in claims
            .iter()
            .filter(|record| !id_of(&record.batch).is_multiple_of(5) || kill.is_multiple_of(7))
        {
            assert!(log.ack(now(), record.id));
            found.remove(&id_of(&record.batch));
        }
        pending = found;
    }
}
