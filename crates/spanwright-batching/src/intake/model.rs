//! Every interleaving of the handover between threads that end items and the one that takes them.
//!
//! `RUSTFLAGS="--cfg spanwright_loom" cargo test -p spanwright-batching --release --lib model`

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Wake, Waker};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::*;
use crate::collect::Items;
use crate::config::BatchConfig;

type Numbers = Intake<Items<u32>>;

fn intake(chunk_items: usize) -> Arc<Numbers> {
    let config = BatchConfig::default()
        .with_max_queue_size(chunk_items * 8)
        .with_max_export_batch_size(chunk_items);
    let mut limits = config.limits();
    limits.chunk_items = chunk_items;
    Arc::new(Intake::new(Items::new(|_| 1), limits, 1, Pressure::new()))
}

fn push(intake: &Numbers, slot: &Slot<Items<u32>>, item: u32) -> bool {
    intake.push_to(slot, &mut &mut Some(item)).is_ok()
}

#[test]
fn a_sweep_covers_everything_that_was_pushed_before_it() {
    loom::model(|| {
        let intake = intake(2);
        let slot = intake.register();
        let pushed = Arc::new(AtomicBool::new(false));
        let producer = thread::spawn({
            let (intake, pushed) = (Arc::clone(&intake), Arc::clone(&pushed));
            move || {
                push(&intake, &slot, 1);
                pushed.store(true, Ordering::Release);
                push(&intake, &slot, 2); // fills the chunk: sealed by this thread or by the sweep
            }
        });
        let was_pushed = pushed.load(Ordering::Acquire);
        let epoch = intake.sweep().epoch;
        let covered = intake.books().items_until(epoch);
        if was_pushed {
            assert!(covered >= 1, "the flush missed an item that ended before it");
        }
        producer.join().unwrap();
        let epoch = intake.sweep().epoch;
        assert_eq!(intake.books().items_until(epoch), 2);
    });
}

#[test]
fn what_is_pushed_while_the_queue_closes_is_taken_or_refused() {
    loom::model(|| {
        let intake = intake(2);
        let slot = intake.register();
        let producer = thread::spawn({
            let intake = Arc::clone(&intake);
            move || push(&intake, &slot, 1)
        });
        intake.close();
        let epoch = intake.sweep().epoch;
        let covered = intake.books().items_until(epoch);
        let was_taken = producer.join().unwrap();
        assert_eq!(
            covered,
            u64::from(was_taken),
            "an item slipped in behind the last sweep"
        );
        intake.snapshot().ledger(0).check().unwrap();
    });
}

#[test]
fn the_law_holds_at_every_moment() {
    loom::model(|| {
        let intake = intake(1);
        let slot = intake.register();
        let producer = thread::spawn({
            let intake = Arc::clone(&intake);
            move || push(&intake, &slot, 1)
        });
        let worker = thread::spawn({
            let intake = Arc::clone(&intake);
            move || {
                intake.sweep();
                let mut books = intake.books();
                _ = books.take(Priority::Normal);
            }
        });
        intake.snapshot().ledger(0).check().unwrap();
        producer.join().unwrap();
        worker.join().unwrap();
        let ledger = intake.snapshot().ledger(0);
        assert_eq!((ledger.ended, ledger.pending), (1, 1));
    });
}

/// Counts how often it was woken. Not loom's: the waker must be of std.
#[derive(Default)]
struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn the_thread_does_not_sleep_while_a_batch_is_ready() {
    loom::model(|| {
        let intake = intake(1);
        let slot = intake.register();
        let rings = Arc::new(Rings::default());
        let producer = thread::spawn({
            let intake = Arc::clone(&intake);
            move || push(&intake, &slot, 1)
        });
        intake.bell.arm(Call::Batch, &Waker::from(Arc::clone(&rings)));
        let seen = intake.books().ready_items() > 0; // the last look before sleep
        producer.join().unwrap();
        let was_rung = rings.0.load(std::sync::atomic::Ordering::SeqCst) > 0;
        assert!(seen || was_rung, "a batch is ready and nobody knows");
    });
}
