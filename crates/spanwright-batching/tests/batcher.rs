//! The generic batcher: any item, any async function, any runtime or none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use spanwright_batching::{BatchConfig, Batcher, FlushError};
use spanwright_core::{Event, LossReason, Observer, Pressure};
use spanwright_testing::ConservationProbe;

const PATIENCE: Duration = Duration::from_secs(10);

type Never = std::io::Error;

/// Tells which watermarks were crossed.
struct Watermarks(mpsc::Sender<&'static str>);

impl Observer for Watermarks {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::QueueHigh { .. } => _ = self.0.send("high"),
            Event::QueueRecovered { .. } => _ = self.0.send("recovered"),
            _ => {}
        }
    }
}

fn probe<T: Send + 'static>(batcher: &Batcher<T>) -> ConservationProbe {
    let batcher = batcher.clone();
    ConservationProbe::new(move || batcher.stats().ledger())
}

#[test]
fn leaves_by_size_and_by_delay() {
    let (sender, batches) = mpsc::channel();
    let delay = Duration::from_millis(20);
    let config = BatchConfig::default()
        .with_max_export_batch_size(3)
        .with_scheduled_delay(delay);
    let batcher = Batcher::builder()
        .with_config(config.with_max_concurrent_exports(1))
        .spawn(move |items: Vec<u32>| {
            let sender = sender.clone();
            async move { sender.send(items) }
        })
        .unwrap();
    let probe = probe(&batcher);
    (0..4).for_each(|item| batcher.push(item).unwrap());
    assert_eq!(batches.recv_timeout(PATIENCE).unwrap(), [0, 1, 2]);
    assert_eq!(batches.recv_timeout(PATIENCE).unwrap(), [3]); // nobody flushed: the delay did
    assert!(batcher.shutdown(PATIENCE).unwrap().is_complete());
    probe.expect_ended(4);
    probe.settled();
}

#[test]
fn many_threads_lose_nothing_and_the_law_holds_all_the_while() {
    let sum = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&sum);
    let batcher = Batcher::builder()
        .with_config(BatchConfig::default().with_max_queue_size(1 << 20))
        .spawn(move |items: Vec<u64>| {
            total.fetch_add(items.iter().sum(), Ordering::Relaxed);
            async { Ok::<_, Never>(()) }
        })
        .unwrap();
    let probe = probe(&batcher);
    let watch = probe.watch();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20_000_u64).for_each(|item| batcher.push(item).unwrap()));
        }
    });
    assert!(batcher.flush(PATIENCE).unwrap().is_complete());
    watch.finish();
    probe.expect_ended(80_000);
    assert_eq!(probe.settled().exported, 80_000);
    assert_eq!(sum.load(Ordering::Relaxed), 4 * (0..20_000).sum::<u64>());
}

#[test]
fn a_full_queue_gives_the_item_back_and_says_that_it_is_high() {
    let (opener, open) = tokio::sync::watch::channel(false);
    let (called, calls) = mpsc::channel();
    let (events, heard) = mpsc::channel();
    let pressure = Pressure::new();
    let config = BatchConfig::default()
        .with_max_queue_size(10)
        .with_max_export_batch_size(10);
    let batcher = Batcher::builder()
        .with_config(config.with_max_concurrent_exports(1))
        .with_pressure(pressure.clone())
        .with_observer(Arc::new(Watermarks(events)))
        .spawn(move |items: Vec<String>| {
            called.send(items.len()).unwrap();
            let mut open = open.clone();
            async move { open.wait_for(|is_open| *is_open).await.map(drop) }
        })
        .unwrap();
    // One batch is under way and stays there; after it the queue fills.
    let first = 10;
    (0..first).for_each(|item| batcher.push(item.to_string()).unwrap());
    assert_eq!(calls.recv_timeout(PATIENCE), Ok(first));
    (0..10).for_each(|item| batcher.push(item.to_string()).unwrap());
    let refused = batcher.push("one more".into()).unwrap_err();
    assert_eq!(refused.reason(), LossReason::QueueFull);
    assert_eq!(refused.into_item().as_deref(), Some("one more"));
    assert_eq!(pressure.get(), 1.0);
    // Whether it came down in between, when the first batch left, depends on when the worker looked.
    let mut crossings = Vec::new();
    while !batcher.queue().is_high() {
        crossings.push(heard.recv_timeout(PATIENCE).unwrap());
    }

    opener.send(true).unwrap();
    assert!(batcher.flush(PATIENCE).unwrap().is_complete());
    assert_eq!(pressure.get(), 0.0);
    crossings.extend(heard.try_iter());
    let alternating = ["high", "recovered"].into_iter().cycle().take(crossings.len());
    assert!(
        alternating.eq(crossings.iter().copied()) && crossings.last() == Some(&"recovered"),
        "{crossings:?}"
    );
    let ledger = probe(&batcher).settled();
    assert_eq!(
        (ledger.ended, ledger.exported, ledger.lost[LossReason::QueueFull]),
        (21, 20, 1)
    );
}

#[test]
fn a_sink_that_fails_or_panics_costs_its_batch_and_nothing_else() {
    let config = BatchConfig::default()
        .with_max_export_batch_size(1)
        .with_max_concurrent_exports(1);
    let batcher = Batcher::builder()
        .with_config(config)
        .spawn(|items: Vec<u32>| {
            assert_ne!(items, [1], "panics in the call");
            async move {
                assert_ne!(items, [2], "panics in the future");
                if items == [3] { Err("refused") } else { Ok(()) }
            }
        })
        .unwrap();
    (0..5).for_each(|item| batcher.push(item).unwrap());
    batcher.shutdown(PATIENCE).unwrap();
    let ledger = probe(&batcher).settled();
    assert_eq!((ledger.exported, ledger.lost[LossReason::ExporterPanicked]), (2, 2));
    assert_eq!(ledger.lost[LossReason::Permanent], 1);
}

#[test]
fn after_shutdown_items_are_refused_and_counted() {
    let batcher = Batcher::builder()
        .spawn(|_: Vec<u32>| async { Ok::<_, Never>(()) })
        .unwrap();
    batcher.push(1).unwrap();
    assert_eq!(batcher.shutdown(PATIENCE).unwrap().destinations[0].exported, 1);
    assert_eq!(batcher.push(2).unwrap_err().reason(), LossReason::AlreadyShutdown);
    assert_eq!(batcher.shutdown(PATIENCE).unwrap_err(), FlushError::AlreadyShutdown);
    assert_eq!(batcher.flush(PATIENCE).unwrap_err(), FlushError::AlreadyShutdown);
    let ledger = probe(&batcher).settled();
    assert_eq!((ledger.ended, ledger.exported), (2, 1));
}

#[test]
fn a_deadline_cancels_what_is_under_way() {
    struct Cancelled(mpsc::Sender<()>);
    impl Drop for Cancelled {
        fn drop(&mut self) {
            _ = self.0.send(());
        }
    }
    let (sender, cancelled) = mpsc::channel();
    let batcher = Batcher::builder()
        .spawn(move |_: Vec<u32>| {
            let guard = Cancelled(sender.clone());
            async move {
                std::future::pending::<()>().await;
                drop(guard);
                Ok::<_, Never>(())
            }
        })
        .unwrap();
    batcher.push(1).unwrap();
    let report = batcher.shutdown(Duration::from_millis(50)).unwrap();
    assert_eq!(report.destinations[0].lost[LossReason::ShutdownTimeout], 1);
    cancelled.recv_timeout(PATIENCE).expect("the call was dropped");
    probe(&batcher).settled();
}

#[test]
fn the_sink_may_push_but_not_wait_for_itself() {
    let own: Arc<std::sync::OnceLock<Batcher<u32>>> = Arc::default();
    let (sender, results) = mpsc::channel();
    let inner = Arc::clone(&own);
    let batcher = Batcher::builder()
        .with_config(BatchConfig::default().with_max_export_batch_size(1))
        .spawn(move |items: Vec<u32>| {
            if let (Some(batcher), [1]) = (inner.get(), &items[..]) {
                batcher.push(2).unwrap();
                sender.send(batcher.flush(PATIENCE)).unwrap();
            }
            async { Ok::<_, Never>(()) }
        })
        .unwrap();
    assert!(own.set(batcher.clone()).is_ok());
    batcher.push(1).unwrap();
    assert_eq!(
        results.recv_timeout(PATIENCE).unwrap().unwrap_err(),
        FlushError::OnPipelineThread
    );
    let report = batcher.shutdown(PATIENCE).unwrap();
    assert!(report.is_complete());
    assert_eq!(probe(&batcher).settled().exported, 2);
}

#[test]
fn waiting_needs_nothing_of_the_runtime_that_calls() {
    let new = || {
        Batcher::builder()
            .spawn(|_: Vec<u32>| async { Ok::<_, Never>(()) })
            .unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Blocking on the only thread of a runtime, awaiting on it, and dropping in it.
    runtime.block_on(async {
        let batcher = new();
        batcher.push(1).unwrap();
        assert_eq!(batcher.flush(PATIENCE).unwrap().destinations[0].exported, 1);
        batcher.push(2).unwrap();
        assert_eq!(batcher.flush_async(PATIENCE).await.unwrap().destinations[0].exported, 1);
        batcher.push(3).unwrap();
        assert_eq!(
            batcher.shutdown_async(PATIENCE).await.unwrap().destinations[0].exported,
            1
        );
        let dropped = new();
        dropped.push(4).unwrap();
    });
}

#[test]
fn the_last_clone_hands_over_what_is_left() {
    let (sender, batches) = mpsc::channel();
    let batcher = Batcher::builder()
        .spawn(move |items: Vec<u32>| {
            let sender = sender.clone();
            async move { sender.send(items) }
        })
        .unwrap();
    let clone = batcher.clone();
    batcher.push(1).unwrap();
    drop(batcher);
    clone.push(2).unwrap();
    drop(clone);
    assert_eq!(batches.try_iter().flatten().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn bad_settings_are_refused_before_a_thread_starts() {
    let config = BatchConfig::default().with_max_queue_size(0);
    let refused = Batcher::builder()
        .with_config(config)
        .spawn(|_: Vec<u32>| async { Ok::<_, Never>(()) });
    assert_eq!(refused.unwrap_err().field(), "max_queue_size");
}
