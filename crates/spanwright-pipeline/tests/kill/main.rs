//! `kill -9` of a process with a pipeline that writes ahead. `SPANWRIGHT_PIPELINE_KILLS` is how often, `SPANWRIGHT_PIPELINE_SEED` repeats
//! the moments of a run that failed; the ordinary tests kill ten times.
#![cfg(feature = "grpc")]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod account;
mod child;
mod round;

use std::time::Duration;

use spanwright_core::Env;
use spanwright_pipeline::{Pipeline, SpoolConfig};
use spanwright_testing::{Receiver, ScratchDir};

use crate::account::Account;
use crate::round::{Behaviour, Round};

/// How long what is left may take to arrive at the end.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_killed_process_loses_nothing_older_than_a_tenth_of_a_second_and_repeats_what_was_in_flight() {
    let env = Env::process();
    let kills = env.integer("SPANWRIGHT_PIPELINE_KILLS", 1..=u64::MAX).unwrap_or(10);
    let seed = env.integer("SPANWRIGHT_PIPELINE_SEED", 0..=u64::MAX);
    let mut random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    let seed = random.get_seed();
    let scratch = ScratchDir::new().unwrap();
    let mut account = Account::default();
    for kill in 0..kills {
        let behaviour = Behaviour::draw(&mut random);
        let moment = Duration::from_millis(random.u64(30..400));
        let about = format!("kill {kill} after {moment:?}, {behaviour:?}, seed {seed}");
        let round = Round::run(scratch.path(), account.next(), behaviour, moment);
        account.settle(&round, &about);
        if kills > 20 && (kill + 1) % 50 == 0 {
            println!("# {} kills: {account}", kill + 1);
        }
    }

    // The next process that is given the directory delivers the rest.
    let receiver = Receiver::spawn().unwrap();
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(receiver.grpc_endpoint())
        .with_spool_config(SpoolConfig::new(scratch.path()))
        .build()
        .unwrap();
    let recovered = pipeline.stats().ledger().recovered;
    assert!(receiver.wait_for_spans(recovered, PATIENCE), "{:?}", pipeline.stats());
    let report = pipeline.shutdown(PATIENCE).unwrap();
    let ledger = pipeline.stats().ledger();
    assert_eq!(
        (ledger.exported, ledger.lost.total(), ledger.pending),
        (recovered, 0, 0),
        "{report}, seed {seed}"
    );
    account.finish(&receiver.requests(), &format!("at the end, seed {seed}"));
    println!("{kills} kills, seed {seed}: {account}");
}
