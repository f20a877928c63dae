//! What is held for one destination.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::{Backoff, SeededRandom};

use super::FAR;
use super::line::Line;
use super::request::{InFlight, Label, RequestId, Work};
use super::shelf::{Claim, Shelf};
use crate::config::Limits;
use crate::intake::{Epoch, OutletBooks};
use crate::overflow::OverflowPolicy;

/// The requests of one destination: waiting, under way, and parked while it does not take any.
///
/// Each destination has its own, so that one that hangs costs the others nothing.
pub(super) struct Outlet<R> {
    pub(super) name: Arc<str>,
    /// Where requests go that have no place here, if there is such a place.
    pub(super) shelf: Option<Shelf>,
    waiting: Line<R>,
    parked: Line<R>,
    in_flight: HashMap<RequestId, InFlight<R>>,
    /// Items by epoch, over all three.
    epochs: BTreeMap<Epoch, u64>,
    reach: Reach,
    backoff: Backoff,
    turn: u32,
    max_in_flight: usize,
    max_held_bytes: usize,
}

/// Whether the destination takes requests.
#[derive(Clone, Copy, Debug)]
enum Reach {
    Up,
    Down {
        since: Instant,
        /// Of the last failure that counted: requests sent before it say nothing new.
        failed_at: Instant,
        next_attempt: Instant,
        /// Asked for by the server: nobody's hurry overrides it.
        throttled_until: Instant,
    },
}

impl<R> Outlet<R> {
    pub(super) fn new(name: Arc<str>, shelf: Option<Shelf>, limits: &Limits, outlets: usize) -> Self {
        // A destination that hangs must leave room for the others. One that drops the oldest drops before the bound is full,
        // because at the bound it is the application's thread that must find room, and it cannot look in here.
        let share = limits.max_queue_bytes / outlets.max(1);
        let max_held_bytes = match limits.overflow {
            OverflowPolicy::DropOldest => share - share / 8,
            _ if outlets > 1 => share,
            _ => usize::MAX,
        };
        Self {
            name,
            shelf,
            waiting: Line::new(),
            parked: Line::new(),
            in_flight: HashMap::new(),
            epochs: BTreeMap::new(),
            reach: Reach::Up,
            // Checked with the other settings.
            backoff: Backoff::new(limits.retry_backoff, limits.max_retry_backoff).unwrap_or_default(),
            turn: 0,
            max_in_flight: limits.max_concurrent_exports,
            max_held_bytes,
        }
    }

    /// Takes a new request; while the destination is away it is parked at once.
    pub(super) fn push(&mut self, work: Work<R>) {
        if let Some(epoch) = work.label.epoch {
            *self.epochs.entry(epoch).or_default() += work.label.items;
        }
        match self.reach {
            Reach::Up => self.waiting.push_back(work),
            Reach::Down { .. } => self.parked.push_back(work),
        }
    }

    /// Whether a request may go out now.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        match self.reach {
            Reach::Up => self.in_flight.len() < self.max_in_flight,
            // One at a time, to see whether it is back.
            Reach::Down { next_attempt, .. } => self.in_flight.is_empty() && now >= next_attempt,
        }
    }

    /// Whether it has nothing to send but could.
    pub(super) fn is_hungry(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.may_send(now) && (self.parked.is_empty() || !self.is_turn_of_parked())
    }

    /// Whether new requests are taken off the queue although they cannot go out, because the store wants them: before they are sent, or
    /// because it is the last moment for it.
    pub(super) fn is_shelving(&self, is_last_moment: bool) -> bool {
        let shelf = self.shelf.as_ref();
        shelf.is_some_and(|shelf| shelf.writes_ahead() || is_last_moment)
    }

    /// Whether it is away, so that new requests are taken off the queue at once, to make room there for what comes.
    pub(super) fn is_parking(&self) -> bool {
        matches!(self.reach, Reach::Down { .. })
    }

    /// The place of the next request of the store, if it is its turn.
    pub(super) fn replay(&mut self, now: Instant) -> Option<Claim> {
        let is_live_waiting = !self.waiting.is_empty() || !self.parked.is_empty();
        let is_probe = self.is_parking();
        self.shelf.as_mut()?.take(now, is_live_waiting, is_probe)
    }

    /// The next request to go out of memory: new ones and parked ones in turns, 3:1; while it is away the oldest.
    pub(super) fn next(&mut self) -> Option<Work<R>> {
        let parked_first = self.waiting.is_empty() || self.is_parking() || self.is_turn_of_parked();
        self.turn = self.turn.wrapping_add(1);
        let work = if parked_first {
            self.parked.pop_front().or_else(|| self.waiting.pop_front())
        } else {
            self.waiting.pop_front()
        }?;
        if let Some(shelf) = &mut self.shelf {
            shelf.live_sent();
        }
        Some(work)
    }

    fn is_turn_of_parked(&self) -> bool {
        self.turn % 4 == 3
    }

    pub(super) fn sent(&mut self, id: RequestId, request: InFlight<R>) {
        self.in_flight.insert(id, request);
    }

    /// The request ended. It is still counted until [`settle`](Self::settle) or [`park`](Self::park).
    pub(super) fn ended(&mut self, id: RequestId) -> Option<InFlight<R>> {
        self.in_flight.remove(&id)
    }

    /// These items of a request are done with.
    pub(super) fn settle(&mut self, epoch: Option<Epoch>, items: u64) {
        let pending = epoch.and_then(|epoch| self.epochs.get_mut(&epoch));
        if let (Some(pending), Some(epoch)) = (pending, epoch) {
            *pending -= items;
            if *pending == 0 {
                self.epochs.remove(&epoch);
            }
        }
    }

    /// Keeps a request that could not be delivered, in its place: the oldest goes first.
    pub(super) fn park(&mut self, work: Work<R>) {
        self.parked.insert(work);
    }

    /// Keeps a request that was not taken until it is: one that came from the store goes back there.
    pub(super) fn keep(&mut self, work: Work<R>) {
        if !work.label.is_of_store() {
            self.park(work);
        }
    }

    /// Puts a part of a request that was too large back to the head.
    pub(super) fn retry_first(&mut self, work: Work<R>) {
        self.waiting.push_front(work);
    }

    /// Its service cannot be used for now, and may say how long. That is our own pause, and no wish of the server's.
    pub(super) fn unavailable(&mut self, now: Instant, pause: Option<Duration>, random: &mut SeededRandom) -> bool {
        let is_news = self.failed(now, now, pause, random);
        if let Reach::Down { throttled_until, .. } = &mut self.reach {
            *throttled_until = now;
        }
        is_news
    }

    /// A request that was sent at `sent` was not taken. Answers whether it is news that the destination is away.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        sent: Instant,
        server_delay: Option<Duration>,
        random: &mut SeededRandom,
    ) -> bool {
        let server_delay = server_delay.map(|delay| delay.min(FAR));
        let server_until = now + server_delay.unwrap_or_default();
        let since = match &mut self.reach {
            // One of several that were under way when it went away: one failure, not many.
            Reach::Down {
                failed_at,
                next_attempt,
                throttled_until,
                ..
            } if sent < *failed_at => {
                *throttled_until = server_until.max(*throttled_until);
                *next_attempt = server_until.max(*next_attempt);
                return false;
            }
            Reach::Down { since, .. } => Some(*since),
            Reach::Up => None,
        };
        let next_attempt = now + self.backoff.next_delay(server_delay, random);
        self.reach = Reach::Down {
            since: since.unwrap_or(now),
            failed_at: now,
            next_attempt,
            throttled_until: server_until,
        };
        // What waited keeps its order behind what was parked before.
        while let Some(work) = self.waiting.pop_front() {
            self.parked.push_back(work);
        }
        since.is_none()
    }

    /// It answered. The length of the outage, if there was one.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Duration> {
        self.backoff.reset();
        match std::mem::replace(&mut self.reach, Reach::Up) {
            Reach::Up => None,
            Reach::Down { since, .. } => Some(now.saturating_duration_since(since)),
        }
    }

    /// Somebody waits: try again as soon as the server allows, whatever our own pause was.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Reach::Down {
            next_attempt,
            throttled_until,
            ..
        } = &mut self.reach
        {
            *next_attempt = now.max(*throttled_until).min(*next_attempt);
        }
    }

    /// The next moment at which something may be sent that may not now.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.reach {
            Reach::Down { next_attempt, .. } if self.in_flight.is_empty() && self.has_parked() => Some(next_attempt),
            Reach::Down { .. } => None,
            Reach::Up => self.shelf.as_ref().and_then(Shelf::wake_at),
        }
    }

    /// Whether something waits for the destination to come back.
    fn has_parked(&self) -> bool {
        !self.parked.is_empty() || self.shelf.as_ref().is_some_and(Shelf::has_waiting)
    }

    /// The bytes of the requests that wait or are parked.
    pub(super) fn held_bytes(&self) -> usize {
        self.waiting.bytes() + self.parked.bytes()
    }

    /// Takes out the request that is here longest, of those that are not under way.
    pub(super) fn take_oldest(&mut self) -> Option<Work<R>> {
        self.parked.pop_front().or_else(|| self.waiting.pop_front())
    }

    /// Puts back what [`take_oldest`](Self::take_oldest) took.
    pub(super) fn put_back_oldest(&mut self, work: Work<R>) {
        match self.reach {
            Reach::Down { .. } => self.park(work),
            Reach::Up => self.retry_first(work),
        }
    }

    /// Whether something is under way, or waits here, that came from the store.
    pub(super) fn is_replaying(&self) -> bool {
        let held = self.waiting.labels().chain(self.parked.labels());
        let in_flight = self.in_flight.values().map(|request| &request.label);
        held.chain(in_flight).any(|label| label.epoch.is_none())
    }

    pub(super) fn items_in_flight(&self) -> u64 {
        self.in_flight.values().map(|request| request.label.items).sum()
    }

    /// Takes out what is under way, as far as it can be sent again. Whatever comes of it is not heard.
    pub(super) fn recall(&mut self) -> Vec<(RequestId, Work<R>, Instant)> {
        let in_flight = std::mem::take(&mut self.in_flight);
        let mut recalled = Vec::new();
        for (id, InFlight { kept, label, sent }) in in_flight {
            match kept {
                Some(request) => recalled.push((id, Work { request, label }, sent)),
                None => _ = self.in_flight.insert(id, InFlight { kept, label, sent }),
            }
        }
        recalled.sort_by_key(|(_, work, _)| work.label.seq);
        recalled
    }

    /// Takes out one request that it holds above its share of the bound.
    pub(super) fn shed(&mut self, policy: OverflowPolicy) -> Option<Work<R>> {
        if self.held_bytes() <= self.max_held_bytes {
            return None;
        }
        match policy {
            OverflowPolicy::DropOldest => self.take_oldest(),
            _ => self.waiting.pop_back().or_else(|| self.parked.pop_back()),
        }
    }

    /// Takes out everything that is not in the store, also what is under way.
    pub(super) fn give_up(&mut self) -> Vec<Label> {
        let held: Vec<_> = std::iter::from_fn(|| self.take_oldest())
            .map(|work| work.label)
            .collect();
        let in_flight = self.in_flight.drain().map(|(_, request)| request.label);
        // What comes from the store goes back there.
        held.into_iter()
            .chain(in_flight)
            .filter(|label| !label.is_of_store())
            .collect()
    }

    /// Items of this epoch and those before that are not done with.
    pub(super) fn pending_until(&self, epoch: Epoch) -> u64 {
        self.epochs.range(..=epoch).map(|(_, items)| items).sum()
    }

    /// Shows in its account what its state is.
    pub(super) fn show(&self, account: &mut OutletBooks) {
        account.requests_in_flight = self.in_flight.len();
        account.waiting_items = self.waiting.items();
        account.parked_items = self.parked.items();
        account.parked_bytes = self.parked.bytes() as u64;
        account.is_reachable = matches!(self.reach, Reach::Up);
        account.spooled_items = self.shelf.as_ref().map_or(0, Shelf::waiting);
    }
}
