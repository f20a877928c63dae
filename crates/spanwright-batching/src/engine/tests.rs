mod outage;
mod shelf;

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use spanwright_core::semconv::Metric;
use spanwright_core::{EncodedBatch, ErrorKind, LossCounts, Pressure, Receipt, Store};

use super::*;
use crate::collect::{Class, Encoded, EncodedInput, EncodedRequest};
use crate::config::BatchConfig;
use crate::intake::Snapshot;
use crate::overflow::OverflowPolicy;
use crate::report::Report;
use crate::sizer::Fixed;
use crate::testing::{Item, Plain};

type Plainly = Encoded<Item, Plain, fn(&Item) -> Class>;

/// An engine with its intake, a time that stands still, and the requests that are under way.
struct Rig {
    intake: Arc<Intake<Plainly>>,
    engine: Engine<Plainly>,
    now: Instant,
    under_way: Vec<(usize, RequestId, EncodedRequest)>,
    is_stopped: bool,
    reports: Arc<Mutex<Vec<Report>>>,
    told: Arc<Told>,
}

/// What an observer hears of.
#[derive(Default)]
struct Told {
    lost: Mutex<LossCounts>,
    in_flight: AtomicI64,
}

impl Observer for Told {
    fn event(&self, event: &Event<'_>) {
        if let Event::Lost { reason, items } = event {
            self.lost.lock().unwrap().add(*reason, *items);
        }
    }

    fn count(&self, metric: &'static Metric, delta: i64, _: &[(&'static str, &str)]) {
        if *metric == semconv::EXPORTER_SPAN_INFLIGHT {
            self.in_flight.fetch_add(delta, Ordering::Relaxed);
        }
    }
}

/// Items of value 1 are of high priority; the affinity is the value's too.
fn class(item: &Item) -> Class {
    let priority = if item.1 == 1 { Priority::High } else { Priority::Normal };
    Class {
        priority,
        affinity: u32::from(item.1) << 24,
    }
}

fn end(intake: &Intake<Plainly>, count: usize, item: Item) -> usize {
    (0..count)
        .filter(|_| intake.push(EncodedInput::Item(&item)).is_ok())
        .count()
}

const NORMAL: Item = (0, 200, 10);
const HIGH: Item = (0, 1, 10);
const RECORD: usize = 12;

impl Rig {
    fn new(config: &BatchConfig, outlets: usize) -> Self {
        Self::with_stores(config, vec![None; outlets])
    }

    fn with_stores(config: &BatchConfig, stores: Vec<Option<Arc<dyn Store>>>) -> Self {
        let outlets = stores.len();
        config.validate().unwrap();
        let limits = config.limits();
        let (high, low) = (limits.high_watermark, limits.low_watermark());
        let collect = Encoded::new(Plain, class as fn(&Item) -> Class);
        let intake = Arc::new(Intake::new(collect, limits, outlets, Pressure::new()));
        let destination = |(n, store)| Destination {
            name: Arc::from(format!("receiver/{n}")),
            store,
        };
        let destinations = stores.into_iter().enumerate().map(destination).collect();
        let sizer = Box::new(Fixed::new(config.max_export_batch_size()));
        let monitor = QueueMonitor::new(Arc::clone(&intake.bound), high, low);
        let told = Arc::new(Told::default());
        let observer = Arc::clone(&told) as Arc<dyn Observer>;
        let engine = Engine::new(
            Arc::clone(&intake),
            destinations,
            sizer,
            observer,
            monitor,
            SeededRandom::new(1),
        );
        let now = spanwright_core::ManualClock::new();
        let now = spanwright_core::Clock::now(&now);
        Self {
            intake,
            engine,
            now,
            under_way: Vec::new(),
            is_stopped: false,
            reports: Arc::default(),
            told,
        }
    }

    fn end(&self, count: usize, item: Item) -> usize {
        end(&self.intake, count, item)
    }

    /// On a thread of its own, which is gone afterwards.
    fn end_on_thread(&self, count: usize, item: Item) -> usize {
        let intake = Arc::clone(&self.intake);
        std::thread::spawn(move || end(&intake, count, item)).join().unwrap()
    }

    /// Lets the engine do all that it can do now.
    fn poll(&mut self) -> Option<Instant> {
        let is_ready = vec![true; self.engine.outlets.len()];
        while !self.is_stopped {
            match self.engine.poll(self.now, &is_ready) {
                Action::Export { outlet, id, request } => self.under_way.push((outlet, id, request)),
                Action::Wait { until, .. } => return Some(until),
                Action::Stop => self.is_stopped = true,
            }
        }
        None
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Goes to the next moment at which the engine wants to be polled, and polls it.
    fn skip_wait(&mut self) {
        if let Some(until) = self.poll() {
            self.now = until;
            self.poll();
        }
    }

    fn answer(&mut self, index: usize, result: Result<Receipt, ExportError>) {
        let (outlet, id, _) = self.under_way.remove(index);
        self.engine.complete(self.now, outlet, id, result);
    }

    fn answer_all(&mut self, mut answer: impl FnMut(&EncodedRequest) -> Result<Receipt, ExportError>) {
        self.poll();
        while !self.under_way.is_empty() {
            let result = answer(&self.under_way[0].2);
            self.answer(0, result);
            self.poll();
        }
    }

    fn flush(&mut self, timeout: Duration) {
        let reports = Arc::clone(&self.reports);
        let reply = Box::new(move |report| reports.lock().unwrap().push(report));
        self.engine.flush(self.now, self.now + timeout, reply);
    }

    fn shutdown(&mut self, timeout: Duration) {
        let reports = Arc::clone(&self.reports);
        let reply = Box::new(move |report| reports.lock().unwrap().push(report));
        self.engine.shutdown(self.now, self.now + timeout, reply);
    }

    fn report(&self) -> Report {
        self.reports.lock().unwrap().pop().expect("a report")
    }

    fn items_under_way(&self) -> usize {
        self.under_way
            .iter()
            .map(|(_, _, request)| request.batch.item_count())
            .sum()
    }

    /// Takes a step, and adds to what each destination's receiver took.
    fn take(&mut self, step: &Step, taken: &mut [u64]) {
        match *step {
            Step::End { count, item, on_thread } if on_thread => _ = self.end_on_thread(count, item),
            Step::End { count, item, .. } => _ = self.end(count, item),
            Step::Poll => _ = self.poll(),
            Step::Answer { .. } | Step::Panic { .. } if self.under_way.is_empty() => {}
            Step::Answer { index, fault: kind } => {
                let index = index % self.under_way.len();
                let (outlet, _, request) = &self.under_way[index];
                let (answer, items) = fault(kind, request.batch.item_count() as u64);
                taken[*outlet] += items;
                self.answer(index, answer);
            }
            Step::Panic { index } => {
                let (outlet, id, _) = self.under_way.remove(index % self.under_way.len());
                self.engine.panicked(self.now, outlet, id, "boom");
            }
            Step::Advance { millis } => self.advance(Duration::from_millis(millis)),
            Step::Flush => self.flush(3 * SECOND),
            Step::Unready { outlet } => {
                let outlet = outlet % taken.len();
                self.engine.unavailable(self.now, outlet, &unavailable());
            }
        }
    }

    fn check(&self) -> Snapshot {
        let snapshot = self.intake.snapshot();
        for outlet in 0..self.engine.outlets.len() {
            snapshot.ledger(outlet).check().unwrap();
        }
        let in_flight: u64 = self.engine.outlets.iter().map(Outlet::items_in_flight).sum();
        assert_eq!(self.told.in_flight.load(Ordering::Relaxed), in_flight as i64);
        snapshot
    }
}

fn config() -> BatchConfig {
    BatchConfig::default()
        .with_max_queue_size(100)
        .with_max_export_batch_size(10)
        .with_max_concurrent_exports(4)
}

const SECOND: Duration = Duration::from_secs(1);

fn unavailable() -> ExportError {
    ExportError::new(ErrorKind::Retryable, "UNAVAILABLE", "")
}

fn lost(rig: &Rig, reason: LossReason) -> u64 {
    rig.check().ledger(0).lost[reason]
}

#[test]
fn a_full_request_leaves_at_once_and_the_rest_after_the_delay() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(25, NORMAL);
    let until = rig.poll().unwrap();
    // Chunks of a tenth: 24 are ready, 20 of them fill requests.
    assert_eq!(rig.items_under_way(), 20);
    assert_eq!(until, rig.now + BatchConfig::DEFAULT_SCHEDULED_DELAY);
    rig.skip_wait();
    assert_eq!(rig.items_under_way(), 25);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    let snapshot = rig.check();
    assert_eq!((snapshot.ledger(0).exported, snapshot.used.bytes), (25, 0));
}

#[test]
fn bytes_bound_a_request_and_a_large_item_goes_alone() {
    let config = config()
        .with_max_export_batch_bytes(1024)
        .with_max_export_batch_size(100);
    let mut rig = Rig::new(&config, 1);
    rig.end(20, (0, 200, 98)); // 100 bytes each
    rig.flush(SECOND);
    rig.poll();
    let sizes: Vec<usize> = rig
        .under_way
        .iter()
        .map(|(_, _, request)| request.batch.item_count())
        .collect();
    assert_eq!(sizes, [10, 10]);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    rig.check();
}

#[test]
fn a_flush_covers_every_thread_and_nothing_that_ended_after_it() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(3, NORMAL);
    rig.end_on_thread(4, NORMAL);
    rig.flush(SECOND);
    rig.end(2, NORMAL);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    let report = rig.report();
    assert_eq!(report.destinations[0].exported, 7);
    assert!(report.is_complete());
    assert_eq!(rig.check().ledger(0).pending, 2);
}

#[test]
fn a_flush_reports_every_batch_and_not_the_last_one() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(40, NORMAL);
    rig.flush(SECOND);
    let mut answers = [
        Ok(Receipt::accepted()),
        Err(ExportError::new(ErrorKind::Permanent, "INVALID_ARGUMENT", "")),
        Ok(Receipt::partial(3, "")),
        Ok(Receipt::accepted()),
    ]
    .into_iter();
    rig.answer_all(|_| answers.next().unwrap_or_else(|| Ok(Receipt::accepted())));
    let delivery = rig.report().destinations.remove(0);
    assert_eq!((delivery.exported, delivery.rejected), (27, 3));
    assert_eq!(delivery.lost[LossReason::Permanent], 10);
    rig.check();
}

#[test]
fn a_flush_that_runs_out_of_time_says_what_is_pending() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(15, NORMAL);
    rig.flush(SECOND);
    rig.poll();
    rig.answer(0, Ok(Receipt::accepted()));
    rig.advance(SECOND);
    rig.poll();
    let report = rig.report();
    assert_eq!(
        (report.destinations[0].exported, report.destinations[0].pending),
        (10, 5)
    );
    assert!(report.is_timed_out() && !report.is_complete());
}

#[test]
fn what_a_receiver_cannot_take_now_is_parked_and_arrives_later() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(95, NORMAL);
    rig.answer_all(|_| Err(unavailable()));
    // While it is away, what comes is parked too, beyond the size of the queue.
    for _ in 0..20 {
        assert_eq!(rig.end(90, NORMAL), 90);
        rig.poll();
    }
    let snapshot = rig.check();
    assert_eq!(snapshot.ledger(0).lost.total(), 0);
    assert!(!snapshot.outlets[0].is_reachable && snapshot.outlets[0].parked_items > 1_800);
    // Back again: one probe first, then everything.
    while rig.under_way.is_empty() {
        rig.skip_wait();
    }
    assert_eq!(rig.under_way.len(), 1);
    rig.flush(SECOND);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    assert_eq!(rig.check().ledger(0).exported, 95 + 20 * 90);
}

#[test]
fn a_servers_delay_is_waited_for_even_by_a_flush() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(10, NORMAL);
    rig.poll();
    rig.answer(0, Err(unavailable().with_retry_after(Some(3 * SECOND))));
    rig.flush(60 * SECOND);
    assert_eq!(rig.poll(), Some(rig.now + 3 * SECOND));
    assert!(rig.under_way.is_empty());
    rig.skip_wait();
    assert_eq!(rig.items_under_way(), 10);
}

#[test]
fn requests_that_fail_together_are_one_failure() {
    let mut rig = Rig::new(&config().with_retry_backoff(SECOND, 60 * SECOND), 1);
    rig.end(40, NORMAL);
    rig.poll();
    assert_eq!(rig.under_way.len(), 4);
    rig.advance(SECOND);
    (0..4).for_each(|_| rig.answer(0, Err(unavailable())));
    let until = rig.poll().unwrap();
    assert!(until <= rig.now + SECOND, "the pause grew with each of them");
}

#[test]
fn parked_requests_go_oldest_first_and_live_ones_keep_three_of_four_turns() {
    let mut rig = Rig::new(&config().with_max_concurrent_exports(1), 1);
    for round in 0..8_u8 {
        rig.end(10, (round, 200, 1));
        rig.poll();
        if !rig.under_way.is_empty() {
            rig.answer(0, Err(unavailable()));
        }
    }
    while rig.under_way.is_empty() {
        rig.skip_wait();
    }
    let scope_of = |request: &EncodedRequest| crate::testing::read(&request.batch)[0].0;
    let mut order = Vec::new();
    for live in 100..109_u8 {
        order.push(scope_of(&rig.under_way[0].2));
        rig.end(10, (live, 200, 1));
        rig.answer(0, Ok(Receipt::accepted()));
        rig.poll();
    }
    assert_eq!(order[0], 0, "the probe is the oldest");
    let parked: Vec<u8> = order.iter().copied().filter(|scope| *scope < 100).collect();
    assert!(parked.is_sorted(), "{order:?}");
    assert_eq!(order.len() - parked.len(), 6, "{order:?}");
}

#[test]
fn a_request_that_is_too_large_goes_in_halves_down_to_one_item() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(9, NORMAL);
    rig.end(1, (0, 7, 60)); // too large by itself
    rig.flush(SECOND);
    let mut requests = 0;
    rig.answer_all(|request| {
        requests += 1;
        match request.batch.len() > 60 {
            true => Err(ExportError::new(ErrorKind::TooLarge, "413", "")),
            false => Ok(Receipt::accepted()),
        }
    });
    let ledger = rig.check().ledger(0);
    assert_eq!((ledger.exported, ledger.lost[LossReason::TooLarge]), (9, 1));
    assert!(requests < 2 * 10, "{requests}");
    assert_eq!(rig.check().used.bytes, 0);
}

#[test]
fn an_item_over_the_protocols_limit_is_refused_at_its_end() {
    let rig = Rig::new(
        &config()
            .with_max_request_bytes(1024)
            .with_max_export_batch_bytes(1024)
            .with_max_queue_bytes(4096),
        1,
    );
    assert_eq!(rig.end(1, (0, 1, 255)), 1);
    let tight = Rig::new(&config().with_max_queue_bytes(4096), 1);
    assert_eq!(tight.end(1, NORMAL), 1);
    assert_eq!(lost(&tight, LossReason::TooLarge), 0);
}

#[test]
fn an_item_that_cannot_be_encoded_is_counted_and_the_next_one_is_not_harmed() {
    let mut rig = Rig::new(&config(), 1);
    assert_eq!(
        (rig.end(1, NORMAL), rig.end(1, (0, 255, 1)), rig.end(1, NORMAL)),
        (1, 0, 1)
    );
    assert_eq!(lost(&rig, LossReason::Encode), 1);
    rig.flush(SECOND);
    rig.poll();
    assert_eq!(crate::testing::read(&rig.under_way[0].2.batch), [NORMAL, NORMAL]);
}

#[test]
fn an_observer_hears_of_every_loss_once() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(110, NORMAL);
    rig.end(2, (0, 255, 1));
    rig.end_on_thread(5, NORMAL);
    for _ in 0..3 {
        rig.flush(SECOND);
        rig.answer_all(|_| Err(ExportError::new(ErrorKind::Permanent, "INVALID_ARGUMENT", "")));
        rig.end(1, (0, 255, 1));
    }
    rig.shutdown(SECOND);
    rig.poll();
    assert_eq!(*rig.told.lost.lock().unwrap(), rig.check().ledger(0).lost);
    assert_eq!(lost(&rig, LossReason::QueueFull), 15 + 2);
}

#[test]
fn a_chunk_whose_only_item_was_taken_back_makes_no_request() {
    let mut rig = Rig::new(&config(), 1);
    assert_eq!(rig.end(1, (0, 255, 1)), 0);
    rig.flush(SECOND);
    rig.poll();
    assert!(rig.under_way.is_empty());
    assert!(rig.report().is_complete());
}

#[test]
fn a_burst_as_large_as_the_bound_loses_nothing_whatever_the_threads() {
    for threads in [1, 7, 100] {
        let rig = Rig::new(&config(), 1);
        let ended: usize = (0..threads)
            .map(|n| rig.end_on_thread(100 / threads + usize::from(n < 100 % threads), NORMAL))
            .sum();
        assert_eq!(ended, 100);
        assert_eq!(rig.end(1, NORMAL), 0);
        assert_eq!(lost(&rig, LossReason::QueueFull), 1);
    }
}

#[test]
fn high_priority_takes_the_place_of_normal_items_up_to_its_share() {
    let rig = Rig::new(&config().with_high_priority_share(0.2), 1);
    assert_eq!(rig.end(100, NORMAL), 100);
    let taken = rig.end(60, HIGH);
    assert!((20..40).contains(&taken), "{taken}");
    let ledger = rig.check().ledger(0);
    assert!(ledger.pending <= 100 && ledger.ended == 160);
}

#[test]
fn drop_oldest_keeps_what_came_last() {
    let config = config()
        .with_overflow_policy(OverflowPolicy::DropOldest)
        .with_max_concurrent_exports(1);
    let mut rig = Rig::new(&config, 1);
    for value in 2..=201_u8 {
        assert_eq!(rig.end(1, (0, value, 1)), 1);
    }
    assert!(lost(&rig, LossReason::QueueFull) >= 100);
    rig.flush(SECOND);
    let mut values = Vec::new();
    rig.answer_all(|request| {
        values.extend(crate::testing::read(&request.batch).into_iter().map(|item| item.1));
        Ok(Receipt::accepted())
    });
    assert_eq!(values.last(), Some(&201));
    assert!(values.len() > 80 && values.is_sorted());
    assert_eq!(values.len() + 201 - 1 - values.len(), 200);
    rig.check();
}

#[test]
fn drop_oldest_makes_room_in_what_is_parked() {
    let config = config()
        .with_overflow_policy(OverflowPolicy::DropOldest)
        .with_max_queue_bytes(400 * RECORD);
    let mut rig = Rig::new(&config, 1);
    rig.end(10, NORMAL);
    rig.answer_all(|_| Err(unavailable()));
    for _ in 0..100 {
        assert_eq!(rig.end(10, NORMAL), 10, "the newest is never refused");
        rig.poll();
    }
    let ledger = rig.check().ledger(0);
    assert!(ledger.pending >= 300 && ledger.pending <= 400, "{ledger:?}");
    assert!(rig.check().used.bytes <= 400 * RECORD as u64);
}

#[test]
fn drop_traces_drops_the_same_traces_and_recovers() {
    let config = config()
        .with_overflow_policy(OverflowPolicy::DropTraces)
        .with_high_watermark(0.5);
    let mut rig = Rig::new(&config, 1);
    let mut kept_after_drop = 0;
    let mut dropped = std::collections::HashSet::new();
    for round in 0..20 {
        for trace in (2..=250_u8).step_by(8) {
            match rig.intake.push(EncodedInput::Item(&(0, trace, 1))) {
                Ok(()) => kept_after_drop += usize::from(dropped.contains(&trace)),
                Err(_) if rig.intake.bound.is_full() => {}
                Err(_) => _ = dropped.insert(trace),
            }
        }
        let _ = round;
    }
    assert!(!dropped.is_empty());
    assert_eq!(kept_after_drop, 0, "a dropped trace came back while the queue was high");
    rig.flush(SECOND);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    assert_eq!(rig.end(1, (0, 2, 1)), 1, "recovered");
    rig.check();
}

#[test]
fn one_deadline_ends_a_shutdown_and_what_is_left_is_lost() {
    let mut rig = Rig::new(&config(), 2);
    rig.end(45, NORMAL);
    rig.shutdown(SECOND);
    rig.poll();
    let first = rig.under_way.iter().position(|(outlet, ..)| *outlet == 0).unwrap();
    rig.answer(first, Ok(Receipt::accepted()));
    assert_eq!(rig.end(5, NORMAL), 0);
    rig.advance(SECOND);
    rig.poll();
    assert!(rig.is_stopped);
    let report = rig.report();
    assert_eq!(report.destinations[0].exported, 10);
    assert_eq!(report.destinations[0].lost[LossReason::ShutdownTimeout], 35);
    assert_eq!(report.destinations[1].lost[LossReason::ShutdownTimeout], 45);
    let snapshot = rig.check();
    assert_eq!(snapshot.ledger(0).pending, 0);
    assert_eq!(snapshot.ledger(0).lost[LossReason::AlreadyShutdown], 5);
    assert_eq!(snapshot.used.bytes, 0);
    // An answer that comes too late changes nothing.
    let late = rig.under_way.pop().unwrap();
    rig.engine.complete(rig.now, late.0, late.1, Ok(Receipt::accepted()));
    rig.check();
}

#[test]
fn of_a_request_that_was_taken_in_part_the_rest_alone_is_sent_again() {
    let mut rig = Rig::new(&config(), 1);
    rig.end(10, NORMAL);
    rig.poll();
    let rest = EncodedBatch::new([Bytes::from_static(b"rest")], 4, Priority::Normal);
    let error = unavailable().with_rest(Receipt::partial(1, "too old"), rest);
    rig.answer(0, Err(error));
    let ledger = rig.check().ledger(0);
    assert_eq!((ledger.exported, ledger.rejected, ledger.pending), (5, 1, 4));
    rig.skip_wait();
    assert_eq!(rig.under_way[0].2.batch.to_bytes(), "rest");
    rig.answer(0, Ok(Receipt::accepted()));
    assert_eq!(rig.check().ledger(0).exported, 9);
}

#[test]
fn a_destination_that_hangs_costs_the_others_nothing() {
    let mut rig = Rig::new(&config().with_max_queue_bytes(4_800), 2);
    let mut accepted = 0;
    for _ in 0..100 {
        accepted += rig.end(40, NORMAL);
        rig.poll();
        while let Some(index) = rig.under_way.iter().position(|(outlet, ..)| *outlet == 0) {
            rig.answer(index, Ok(Receipt::accepted()));
            rig.poll();
        }
    }
    assert_eq!(accepted, 4_000);
    let snapshot = rig.check();
    assert!(snapshot.ledger(0).exported >= 3_990);
    assert!(snapshot.ledger(1).lost[LossReason::QueueFull] > 3_000);
}

#[test]
fn threads_that_are_gone_are_forgotten_but_not_their_counts() {
    let mut rig = Rig::new(&config(), 1);
    (0..5).for_each(|_| _ = rig.end_on_thread(1, NORMAL));
    assert_eq!(rig.check().threads, 5);
    rig.flush(SECOND);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    let snapshot = rig.check();
    assert_eq!(
        (snapshot.threads, snapshot.ledger(0).ended, snapshot.ledger(0).exported),
        (0, 5, 5)
    );
}

/// One step of a schedule.
#[derive(Clone, Debug)]
enum Step {
    End { count: usize, item: Item, on_thread: bool },
    Poll,
    Answer { index: usize, fault: u8 },
    Panic { index: usize },
    Advance { millis: u64 },
    Flush,
    Unready { outlet: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let item = (0..3_u8, prop_oneof![Just(1_u8), 2..255_u8], 0..60_u8);
    prop_oneof![
        4 => (1..60_usize, item, any::<bool>()).prop_map(|(count, item, on_thread)| Step::End { count, item, on_thread }),
        4 => Just(Step::Poll),
        6 => (any::<usize>(), any::<u8>()).prop_map(|(index, fault)| Step::Answer { index, fault }),
        1 => any::<usize>().prop_map(|index| Step::Panic { index }),
        2 => (1..7_000_u64).prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Flush),
        1 => (0..3_usize).prop_map(|outlet| Step::Unready { outlet }),
    ]
}

/// Answers as a receiver might, and what it took.
fn fault(kind: u8, items: u64) -> (Result<Receipt, ExportError>, u64) {
    let error = |kind, name: &'static str| (Err(ExportError::new(kind, name, "")), 0);
    match kind % 12 {
        0..=3 => (Ok(Receipt::accepted()), items),
        4 => (Ok(Receipt::partial(items / 2, "some")), items - items / 2),
        5 => error(ErrorKind::Permanent, "INVALID_ARGUMENT"),
        6 => error(ErrorKind::TooLarge, "413"),
        7 => (Err(unavailable().with_retry_after(Some(2 * SECOND))), 0),
        8 => error(ErrorKind::Connect, "connect"),
        9 | 10 if items > 1 => {
            let (settled, left) = (items / 2, items - items / 2);
            let rest = EncodedBatch::new([Bytes::from_static(b"rest")], left as usize, Priority::Normal);
            let kind = if kind % 12 == 9 {
                ErrorKind::Retryable
            } else {
                ErrorKind::TooLarge
            };
            let error = ExportError::new(kind, "parts", "").with_rest(Receipt::partial(settled / 3, ""), rest);
            (Err(error), settled - settled / 3)
        }
        _ => error(ErrorKind::Unauthenticated, "UNAUTHENTICATED"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    /// The law, after every step of any schedule of faults; and the bound; and in the end nothing is pending.
    #[test]
    fn the_law_holds_under_every_schedule(
        steps in prop::collection::vec(step(), 1..60),
        outlets in 1..4_usize,
        policy in prop::sample::select(vec![OverflowPolicy::DropNewest, OverflowPolicy::DropOldest, OverflowPolicy::DropTraces]),
        max_queue_bytes in 4_096..20_000_usize,
    ) {
        let config = config().with_overflow_policy(policy).with_max_queue_bytes(max_queue_bytes);
        let mut rig = Rig::new(&config, outlets);
        let mut taken = vec![0; outlets];
        for step in steps {
            rig.take(&step, &mut taken);
            let snapshot = rig.check();
            prop_assert!(snapshot.used.bytes <= max_queue_bytes as u64 && snapshot.used.items <= 100);
            for (outlet, taken) in taken.iter().enumerate() {
                prop_assert_eq!(snapshot.ledger(outlet).exported, *taken, "what the receiver took");
            }
        }
        rig.shutdown(SECOND);
        rig.poll();
        rig.advance(SECOND);
        rig.poll();
        prop_assert!(rig.is_stopped);
        let snapshot = rig.check();
        prop_assert_eq!((snapshot.ledger(0).pending, snapshot.used.items, snapshot.used.bytes), (0, 0, 0));
    }
}
