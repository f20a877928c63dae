//! Outages of their whole length, in the engine's time.

use std::collections::VecDeque;

use super::shelf::Disk;
use super::*;
use crate::testing::read;

/// What ends while the receiver is there, and what does while it is not.
const LIVE: Item = (0, 200, 10);
const PAST: Item = (0, 100, 10);

const TICK: Duration = Duration::from_millis(10);
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// A receiver that answers each request after a round trip, or fails it, and notes how long live items took to it.
struct Scene {
    rig: Rig,
    disk: Option<Disk>,
    /// When the requests that are under way were sent, in the rig's order.
    sent: VecDeque<Instant>,
    /// When live items ended that no request has delivered: how many, and when.
    live: VecDeque<(u64, Instant)>,
    delays: Vec<Duration>,
    requests: u64,
    attempts: u64,
    is_away: bool,
}

impl Scene {
    fn new(rig: Rig, disk: Option<Disk>) -> Self {
        Self {
            rig,
            disk,
            sent: VecDeque::new(),
            live: VecDeque::new(),
            delays: Vec::new(),
            requests: 0,
            attempts: 0,
            is_away: false,
        }
    }

    /// Ends `count` items and lets a tick pass.
    fn tick(&mut self, count: usize, item: Item) {
        assert_eq!(self.rig.end(count, item), count, "none is refused");
        if count > 0 && item == LIVE {
            self.live.push_back((count as u64, self.rig.now));
        }
        self.poll();
        while self.sent.front().is_some_and(|sent| self.rig.now >= *sent + ROUND_TRIP) {
            self.sent.pop_front();
            if self.is_away {
                self.rig.answer(0, Err(unavailable()));
            } else {
                let items = read(&self.rig.under_way[0].2.batch);
                self.arrived(items.into_iter().filter(|item| *item == LIVE).count() as u64);
                self.rig.answer(0, Ok(Receipt::accepted()));
            }
            self.poll();
        }
        self.rig.advance(TICK);
        if let Some(disk) = &self.disk {
            disk.advance(TICK);
        }
    }

    fn poll(&mut self) {
        self.rig.poll();
        while self.sent.len() < self.rig.under_way.len() {
            self.sent.push_back(self.rig.now);
            self.attempts += 1;
        }
    }

    fn arrived(&mut self, mut items: u64) {
        while items > 0
            && let Some((count, ended)) = self.live.front_mut()
        {
            let here = items.min(*count);
            self.delays.push(self.rig.now - *ended);
            (items, *count) = (items - here, *count - here);
            if *count == 0 {
                self.live.pop_front();
            }
        }
    }

    fn p95(&mut self) -> Duration {
        assert!(
            self.live.iter().map(|(items, _)| items).sum::<u64>() < 2_000,
            "{:?}",
            self.live
        );
        let mut delays = std::mem::take(&mut self.delays);
        delays.sort_unstable();
        delays[delays.len() * 95 / 100]
    }

    fn ledger(&self) -> spanwright_core::Ledger {
        self.rig.check().ledger(0)
    }
}

fn prompt() -> BatchConfig {
    BatchConfig::default().with_scheduled_delay(Duration::from_millis(200))
}

#[test]
fn thirty_seconds_at_two_thousand_a_second_stay_in_memory_and_none_is_lost() {
    // 372 bytes each, as the span that everything is measured with.
    let mut scene = Scene::new(Rig::new(&BatchConfig::default(), 1), None);
    scene.is_away = true;
    (0..3_000).for_each(|_| scene.tick(20, (0, 100, 255)));
    assert_eq!(scene.ledger().pending, 60_000);
    scene.is_away = false;
    (0..1_000).for_each(|_| scene.tick(0, PAST));
    let ledger = scene.ledger();
    assert_eq!((ledger.exported, ledger.lost.total(), ledger.pending), (60_000, 0, 0));
}

#[test]
fn a_receiver_that_takes_requests_and_never_answers_costs_memory_and_no_items() {
    let mut rig = Rig::new(&config(), 1);
    for _ in 0..2_000 {
        assert_eq!(
            rig.end(10, PAST),
            10,
            "there is room for {} bytes",
            rig.intake.bound.max().bytes
        );
        rig.poll();
    }
    assert_eq!(rig.under_way.len(), 4, "as many as may be");
    let snapshot = rig.check();
    assert!(snapshot.outlets[0].waiting_items > 19_000, "{:?}", snapshot.outlets[0]);
    rig.flush(SECOND);
    rig.answer_all(|_| Ok(Receipt::accepted()));
    assert_eq!(rig.check().ledger(0).exported, 20_000);
}

#[test]
fn ten_minutes_at_five_thousand_a_second_go_through_the_disk_while_live_ones_hardly_wait() {
    let spool = shelf::spool().with_segment_bytes(8 << 20).with_max_bytes(1 << 30);
    let (rig, disk) = shelf::rig_on(
        &Default::default(),
        spool,
        &prompt().with_max_queue_bytes(2 << 20),
        false,
    );
    let mut scene = Scene::new(rig, Some(disk));
    (0..3_000).for_each(|_| scene.tick(50, LIVE));
    let before = scene.p95();

    scene.is_away = true;
    (0..60_000).for_each(|_| scene.tick(50, PAST));
    let snapshot = scene.rig.check();
    assert_eq!(snapshot.ledger(0).lost.total(), 0);
    assert!(
        snapshot.outlets[0].spooled_items > 2_500_000,
        "{:?}",
        snapshot.outlets[0]
    );

    scene.is_away = false;
    let back = scene.rig.now;
    let backlog = |scene: &Scene| {
        let outlet = &scene.rig.intake.books().outlets[0];
        outlet.spooled_items + outlet.parked_items
    };
    while backlog(&scene) > 0 {
        assert!(scene.rig.now - back < 300 * SECOND, "{} are left", backlog(&scene));
        scene.tick(50, LIVE);
    }
    let drained = scene.rig.now - back;
    assert!(drained < 120 * SECOND, "at fifty thousand a second: {drained:?}");
    let during = scene.p95();
    assert!(during <= 2 * before, "{before:?} before, {during:?} beside the past");
    scene.rig.flush(SECOND);
    (0..100).for_each(|_| scene.tick(0, LIVE));
    let ledger = scene.ledger();
    assert_eq!((ledger.lost.total(), ledger.pending), (0, 0));
    assert_eq!(ledger.exported, ledger.ended);
}

#[test]
fn under_total_failure_no_more_than_a_fifth_of_the_requests_is_sent_again() {
    for per_tick in [1, 10, 50, 500] {
        let mut scene = Scene::new(Rig::new(&prompt().with_max_queue_bytes(512 << 20), 1), None);
        scene.is_away = true;
        (0..6_000).for_each(|_| scene.tick(per_tick, PAST));
        let snapshot = scene.rig.check();
        scene.requests = snapshot.ledger(0).pending.div_ceil(512).max(6_000 * 10 / 200);
        let (attempts, requests) = (scene.attempts, scene.requests);
        assert!(
            attempts as f64 <= 0.2 * requests as f64 + 6.0 + 1.0,
            "{per_tick} items a tick: {attempts} attempts for {requests} requests in a minute"
        );
    }
}
