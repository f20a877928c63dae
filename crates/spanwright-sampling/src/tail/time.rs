//! What time makes due: on the pipeline thread.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use spanwright_core::Release;

use super::budget::Floor;
use super::sampler::Shared;
use super::stats::Trigger;

/// What polls know from one to the next.
#[derive(Debug, Default)]
pub(super) struct Time {
    origin: Option<Instant>,
    window_ends: Option<Instant>,
    /// Candidates of a window that has ended, which are still to be decided about.
    ended: Vec<u128>,
    floor: Floor,
    is_draining: bool,
}

/// What the budget is counted in.
const WINDOW: Duration = Duration::from_secs(1);

impl Shared {
    pub(super) fn poll(&self, now: Instant, out: &mut dyn Release) -> Instant {
        let mut time = self.time.lock();
        let elapsed = now.saturating_duration_since(*time.origin.get_or_insert(now));
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // Never back: spans are dated by it.
        self.millis.fetch_max(millis, Ordering::Relaxed);
        self.policies.set_second((millis / 1000) as u32);

        let is_done = self.end_window(&mut time, now, out) && self.expire(millis, out);
        if !is_done {
            return now;
        }
        let tick = (self.max_age / 16).clamp(Duration::from_millis(10), WINDOW);
        let next = now + tick;
        time.window_ends.map_or(next, |ends| next.min(ends))
    }

    pub(super) fn drain(&self, out: &mut dyn Release) -> bool {
        let mut time = self.time.lock();
        if let Some((_, budget)) = self.policies.budget().filter(|_| !time.is_draining) {
            // Candidates of the second before, which there was no room for, stay at its threshold or go to a higher one.
            let before = Some(time.floor).filter(|_| !time.ended.is_empty());
            let floor = budget.close(&mut time.ended);
            time.floor = before.map_or(floor, |before| floor.max(before));
        }
        time.is_draining = true;
        if !self.decide_ended(&mut time, out) {
            return false;
        }
        self.shards.iter().all(|shard| {
            loop {
                let mut state = shard.lock();
                let Some(oldest) = state.traces.oldest() else {
                    return true;
                };
                if !out.has_room() {
                    return false;
                }
                let departure = self.evict(shard, &mut state, oldest, Trigger::Shutdown);
                drop(state);
                self.depart(departure, out);
            }
        })
    }

    /// Ends the budget's window if its time is over; false if there is no room for all that it kept.
    fn end_window(&self, time: &mut Time, now: Instant, out: &mut dyn Release) -> bool {
        let Some((_, budget)) = self.policies.budget() else {
            return true;
        };
        if time.ended.is_empty() {
            let ends = *time.window_ends.get_or_insert(now + WINDOW);
            if now < ends {
                return true;
            }
            // A late poll makes for one long window and not for several short ones.
            time.window_ends = Some((ends + WINDOW).max(now + WINDOW / 2));
            time.floor = budget.close(&mut time.ended);
        }
        self.decide_ended(time, out)
    }

    fn decide_ended(&self, time: &mut Time, out: &mut dyn Release) -> bool {
        while let Some(id) = time.ended.last().copied() {
            if !out.has_room() {
                return false;
            }
            time.ended.pop();
            self.decide_candidate(self.hasher.key(id), time.floor, out);
        }
        true
    }

    /// Decides about traces that are too old; false if there is no room for more of them.
    fn expire(&self, millis: u64, out: &mut dyn Release) -> bool {
        let max_age = self.max_age.as_millis() as u64;
        self.shards.iter().all(|shard| {
            loop {
                let mut state = shard.lock();
                let oldest = state.traces.oldest().filter(|oldest| {
                    let trace = state.traces.get(*oldest);
                    // A candidate waits for its window and not for its root.
                    !trace.is_candidate && trace.since.saturating_add(max_age) <= millis
                });
                let Some(oldest) = oldest else { return true };
                if !out.has_room() {
                    return false;
                }
                let departure = self.evict(shard, &mut state, oldest, Trigger::Age);
                drop(state);
                self.depart(departure, out);
            }
        })
    }
}
