//! The receiver is away for long, and what the spool has kept is delivered beside what comes then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use spanwright_pipeline::{Pipeline, SpoolConfig};

use super::arrivals::{Arrivals, now};
use super::progress::Progress;
use super::settings::Settings;
use crate::command::Failure;
use crate::load::{Application, Rhythm, paced};
use crate::sample::Sample;

/// What is not measured at the edges of the time before the outage: connecting, and what the outage held up.
const EDGE: Duration = Duration::from_secs(2);
/// How long the load goes on when everything is delivered.
const AFTERWARDS: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

/// One thread makes spans all the time; this one watches and has the receiver go and come.
pub(super) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let directory = settings.directory.as_ref().ok_or("--directory is needed")?;
    let mut receiver = Arrivals::spawn()?;
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(receiver.endpoint())
        .with_service_name("checkout")
        .with_spool_config(SpoolConfig::new(directory).with_max_bytes(settings.max_spool_bytes))
        .build()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let load = {
        let (is_over, mut application) = (Arc::clone(&is_over), Application::new(pipeline.provider().clone()));
        let rate = settings.rate;
        thread::spawn(move || {
            let mut is_kept = true;
            // Relaxed: it says nothing but itself.
            while !is_over.load(Ordering::Relaxed) {
                is_kept &= paced(rate, Duration::from_secs(1), || application.handle_request()).is_kept;
            }
            (application.made(), is_kept)
        })
    };

    let mut progress = Progress::start();
    let mut rhythm = Rhythm::start(20, 1);
    let mut most_spooled = 0;
    let mut watch = |progress: &mut Progress, phase: &str| {
        rhythm.wait();
        let stats = pipeline.stats();
        let delivery = &stats.delivery.destinations[0];
        most_spooled = most_spooled.max(delivery.spooled);
        progress.tell(|| {
            let (lost, exported) = (delivery.ledger.lost.total(), delivery.ledger.exported);
            let (parked, spooled) = (delivery.parked, delivery.spooled);
            format!("{phase}: exported {exported}, in memory {parked}, on disk {spooled}, lost {lost}")
        });
        delivery.parked + delivery.spooled
    };
    let started = now();
    while progress.elapsed() < settings.before {
        watch(&mut progress, "before");
    }
    let left = now();
    receiver.stop();
    let end = progress.elapsed() + settings.outage;
    while progress.elapsed() < end {
        watch(&mut progress, "outage");
    }
    receiver.resume()?;
    let back = now();
    let limit = progress.elapsed() + settings.drain;
    let is_drained = loop {
        if watch(&mut progress, "drain") == 0 {
            break true;
        }
        if progress.elapsed() > limit {
            break false;
        }
    };
    let drained = now();
    let end = progress.elapsed() + AFTERWARDS;
    while progress.elapsed() < end {
        watch(&mut progress, "after");
    }
    is_over.store(true, Ordering::Relaxed);
    let (made, is_pace_kept) = load.join().map_err(|_| "the load panicked")?;
    let report = pipeline.shutdown(PATIENCE)?;
    let ledger = pipeline.stats().ledger();
    ledger.check()?;
    progress.say(&report);

    let seen = receiver.seen();
    let (distinct, repeated) = seen.counts();
    let first = seen.first_since(back).unwrap_or(drained);
    Ok(Sample::default()
        .with("made", made)
        .with("is_pace_kept", is_pace_kept)
        .with("lost", ledger.lost.total() + ledger.rejected)
        .with("pending", ledger.pending)
        .with("arrived", distinct)
        .with("repeated", repeated)
        .with("most_spooled", most_spooled)
        .with("is_drained", is_drained)
        .with_ns("drained_ns", drained - back)
        .with_ns("noticed_ns", first - back)
        .with_ns("p95_before_ns", seen.p95(started + EDGE, left.saturating_sub(EDGE)))
        .with_ns("p95_from_return_ns", seen.p95(back, drained))
        .with_ns("p95_drain_ns", seen.p95(first, drained)))
}
