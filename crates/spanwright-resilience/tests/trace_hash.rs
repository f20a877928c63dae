//! Traces divided among real receivers.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use spanwright_core::{ErrorKind, ManualClock};
use spanwright_resilience::TraceHash;
use spanwright_testing::{Gate, Receiver, Reply};
use support::{Traces, batch, export, exporter, receivers};

use spanwright_otlp::split_by_trace;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn hash(receivers: &[Receiver; 3], clock: &ManualClock) -> TraceHash {
    let exporters = NAMES.iter().zip(receivers);
    let exporters = exporters.map(|(name, receiver)| exporter(name, receiver.grpc_endpoint(), clock));
    TraceHash::new(exporters, split_by_trace).expect("three")
}

/// The traces that each has taken.
fn traces(receivers: &[Receiver; 3]) -> [BTreeSet<Vec<u8>>; 3] {
    receivers
        .each_ref()
        .map(|receiver| receiver.spans().into_iter().map(|span| span.trace_id).collect())
}

#[tokio::test]
async fn all_spans_of_a_trace_go_to_one_receiver() {
    let (receivers, clock) = (receivers(), ManualClock::new());
    let mut hash = hash(&receivers, &clock);
    for _ in 0..3 {
        let receipt = export(&mut hash, batch(Traces(0..300), 2)).await.expect("all take all");
        assert_eq!((receipt.rejected(), receipt.message()), (0, None));
    }
    let taken = traces(&receivers);
    assert_eq!(taken.iter().map(BTreeSet::len).sum::<usize>(), 300, "none is in two");
    assert!(taken.iter().all(|traces| (70..=130).contains(&traces.len())));
    let spans: u64 = receivers.iter().map(Receiver::accepted_spans).sum();
    assert_eq!(spans, 3 * 300 * 2);
}

#[tokio::test]
async fn what_the_receivers_reject_is_added_up() {
    let (receivers, clock) = (receivers(), ManualClock::new());
    for (rejected, receiver) in (1..).zip(&receivers) {
        receiver.script([Reply::partial_success(rejected, "too old")]);
    }
    let receipt = export(&mut hash(&receivers, &clock), batch(Traces(0..300), 1)).await;
    let receipt = receipt.expect("taken in part");
    assert_eq!((receipt.rejected(), receipt.message()), (6, Some("too old")));
}

#[tokio::test]
async fn parts_are_sent_at_the_same_time() {
    let (receivers, clock) = (receivers(), ManualClock::new());
    let gate = Gate::new();
    receivers
        .iter()
        .for_each(|receiver| receiver.set_default(Reply::ok().gated(&gate)));
    let mut hash = hash(&receivers, &clock);
    let exports = export(&mut hash, batch(Traces(0..300), 1));
    let all_have_it = async {
        for receiver in &receivers {
            receiver.reached(|counts| counts.in_flight == 1).await;
        }
        gate.open();
    };
    let (result, ()) = tokio::join!(exports, all_have_it);
    result.expect("taken");
}

#[tokio::test]
async fn only_the_traces_of_the_one_that_is_gone_move_and_they_return_with_it() {
    let (receivers, clock) = (receivers(), ManualClock::new());
    let mut hash = hash(&receivers, &clock);
    export(&mut hash, batch(Traces(0..300), 1))
        .await
        .expect("all are there");
    let before = traces(&receivers);

    receivers[1].stop_listening().expect("it listens");
    receivers[1].abort_connections().expect("it runs");
    let mut error = export(&mut hash, batch(Traces(300..600), 1))
        .await
        .expect_err("one is away");
    assert!(error.is_retryable(), "{error}");
    let (receipt, rest) = error.take_rest().expect("two have taken their parts");
    let accepted = |receivers: &[Receiver; 3]| receivers.iter().map(Receiver::accepted_spans).sum::<u64>();
    assert_eq!(receipt.rejected(), 0);
    assert_eq!(
        accepted(&receivers),
        600 - rest.item_count() as u64,
        "taken or left, and nothing else"
    );

    // The rest, and traces that were seen already.
    let again = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match export(&mut hash, rest.clone()).await {
                Ok(receipt) => break receipt,
                Err(error) => assert_eq!(error.rest().map(|_| ()), None, "nothing of the rest is taken twice"),
            }
        }
    });
    again.await.expect("the others take them");
    assert_eq!(accepted(&receivers), 600);
    export(&mut hash, batch(Traces(0..300), 1))
        .await
        .expect("two are there");
    let during = traces(&receivers);
    assert!(before[0].is_subset(&during[0]) && before[2].is_subset(&during[2]));
    let moved: BTreeSet<_> = before[1].iter().collect();
    let taken_over = during[0]
        .union(&during[2])
        .filter(|trace| moved.contains(trace))
        .count();
    assert_eq!(taken_over, moved.len(), "its traces went elsewhere");

    receivers[1].resume_listening().expect("the port is free");
    clock.advance(Duration::from_secs(60));
    let seen = receivers[1].requests().len();
    export(&mut hash, batch(Traces(0..300), 1)).await.expect("all are back");
    let back: BTreeSet<_> = receivers[1].requests()[seen..]
        .iter()
        .flat_map(|request| request.spans().map(|span| span.trace_id.clone()).collect::<Vec<_>>())
        .collect();
    assert_eq!(back, before[1], "each returns to where it was");
}

#[tokio::test]
async fn a_part_that_is_refused_for_good_is_counted_and_never_sent_again() {
    const INVALID_ARGUMENT: i32 = 3;
    let (receivers, clock) = (receivers(), ManualClock::new());
    receivers[0].script([Reply::grpc_status(INVALID_ARGUMENT, "no")]);
    receivers[1].script([Reply::unavailable().with_retry_after(Duration::from_secs(7))]);
    let mut hash = hash(&receivers, &clock);
    let mut error = export(&mut hash, batch(Traces(0..300), 1))
        .await
        .expect_err("two refuse");
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::Retryable, Some(Duration::from_secs(7)))
    );
    let (receipt, rest) = error.take_rest().expect("one took its part");
    assert!(
        receipt
            .message()
            .is_some_and(|message| message.contains("INVALID_ARGUMENT"))
    );
    let taken = receivers[2].accepted_spans();
    assert_eq!(taken + receipt.rejected() + rest.item_count() as u64, 300);
    assert_eq!(receivers[0].counts().spans, receipt.rejected());
    assert_eq!(receivers[1].counts().spans, rest.item_count() as u64);
}
