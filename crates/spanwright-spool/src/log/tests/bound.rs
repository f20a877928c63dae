//! The bound, and what gives way.

use super::support::{Bench, config};
use crate::{FullPolicy, RefusedReason};
use spanwright_core::{LossReason, Priority};

fn small(policy: FullPolicy) -> Bench {
    Bench::new(config().with_max_bytes(20 << 10).with_full_policy(policy))
}

#[test]
fn the_newest_is_refused_and_given_back() {
    let mut bench = small(FullPolicy::DropNewest);
    let written = (0..).take_while(|id| bench.write(*id).is_ok()).count() as u64;
    let refused = bench.write(written).unwrap_err();
    assert_eq!(refused.reason(), RefusedReason::Full);
    assert_eq!(bench.claim_all(), (0..written).collect::<Vec<_>>());
    assert_eq!(bench.log.stats(bench.now()).refused, 2);
}

#[test]
fn the_oldest_segment_gives_way_and_is_counted() {
    let mut bench = small(FullPolicy::DropOldest);
    bench.fill(0..500);
    let kept = bench.claim_all();
    assert_eq!(kept, (500 - kept.len() as u64..500).collect::<Vec<_>>());
    let stats = bench.log.stats(bench.now());
    assert_eq!(stats.lost[LossReason::SpoolFull], 5000 - 10 * kept.len() as u64);
    assert!(stats.bytes > (20 << 10) - (5 << 10), "no more is given up than needed");
}

#[test]
fn what_is_delivered_gives_way_before_anything_is_lost() {
    let mut bench = small(FullPolicy::DropOldest);
    for id in 0..500 {
        bench.write(id).unwrap();
        let (_, record) = bench.claim().unwrap();
        bench.ack(&record);
    }
    assert_eq!(bench.log.stats(bench.now()).lost.total(), 0);
}

#[test]
fn high_priority_is_dropped_last() {
    let mut bench = small(FullPolicy::HighPriorityLast);
    bench.fill_as(0..40, Priority::High);
    bench.fill(100..600);
    let kept = bench.claim_all();
    assert_eq!(kept.iter().filter(|id| **id < 40).count(), 40);
    assert!(kept.contains(&599) && !kept.contains(&100));

    // Of high ones alone, the oldest; and a normal one takes the place of none.
    let mut bench = small(FullPolicy::HighPriorityLast);
    bench.fill_as(0..500, Priority::High);
    let dropped = bench.log.stats(bench.now()).lost.total() / 10;
    (1000..1200).for_each(|id| drop(bench.write(id)));
    let kept = bench.claim_all();
    let high: Vec<u64> = kept.into_iter().filter(|id| *id < 1000).collect();
    assert_eq!(high, (dropped..500).collect::<Vec<_>>());
}

#[test]
fn lanes_are_read_by_age() {
    let mut bench = Bench::new(config());
    for id in 0..20 {
        let priority = if id % 2 == 0 { Priority::High } else { Priority::Normal };
        bench.write_as(id, priority).unwrap();
        bench.advance(std::time::Duration::from_millis(1));
    }
    let order = bench.claim_all();
    for (place, id) in order.iter().enumerate() {
        assert!(id.abs_diff(place as u64) <= 1, "{order:?}");
    }
}

#[test]
fn a_claim_outlives_the_segment_that_it_came_from() {
    let mut bench = small(FullPolicy::DropOldest);
    bench.fill(0..10);
    let (_, acked) = bench.claim().unwrap();
    let (_, released) = bench.claim().unwrap();
    bench.fill(10..500);
    let before = bench.log.stats(bench.now());
    assert_eq!(before.claimed, 2);
    bench.ack(&acked);
    assert!(bench.log.release(bench.now(), released.id));
    bench.check();
    let after = bench.log.stats(bench.now());
    assert_eq!(after.acked, 10);
    assert_eq!(after.lost.total(), before.lost.total() + 10, "nobody has it any more");
}

#[test]
fn room_is_made_while_a_commit_is_under_way() {
    let mut bench = small(FullPolicy::DropOldest);
    bench.fill(0..80);
    let (_, record) = bench.claim().unwrap();
    bench.ack(&record);
    bench.log.request_flush();
    let commit = bench.log.poll(bench.now()).unwrap();
    bench.fill(80..500);
    let done = commit.run();
    bench.log.committed(bench.now(), done);
    bench.check();
    let kept = bench.claim_all();
    bench.restart();
    assert_eq!(
        bench.claim_all(),
        kept,
        "an older cursor does not take the place of a newer one"
    );
}

#[test]
fn what_is_larger_than_a_segment_gets_one_and_what_is_larger_than_the_bound_is_refused() {
    let mut bench = Bench::new(config().with_max_bytes(20 << 10));
    let large = |len: usize| spanwright_core::EncodedBatch::new([vec![7; len].into()], 1, Priority::Normal);
    let now = bench.now();
    bench.log.write(now, large(10 << 10)).unwrap();
    assert_eq!(bench.log.claim(now).unwrap().batch.len(), 10 << 10);
    let refused = bench.log.write(now, large(21 << 10)).unwrap_err();
    assert_eq!(refused.reason(), RefusedReason::TooLarge);
    assert_eq!(refused.into_batch().len(), 21 << 10);
    bench.check();
}
