//! How a receiver with so many hands answers: each request takes one of them for some time, and waits for it if it must.

use std::time::{Duration, Instant};

/// When each hand is free.
#[derive(Debug)]
pub(super) struct Served {
    free: Vec<Instant>,
    service_time: Duration,
}

impl Served {
    pub(super) fn new(capacity: usize, service_time: Duration, now: Instant) -> Self {
        Self {
            free: vec![now; capacity],
            service_time,
        }
    }

    /// From now on with half of the hands.
    pub(super) fn halve(&mut self) {
        self.free.truncate((self.free.len() / 2).max(1));
    }

    /// How long the answer to a request of this moment takes.
    pub(super) fn serve(&mut self, now: Instant) -> Duration {
        let Some(hand) = self.free.iter_mut().min() else {
            return self.service_time;
        };
        *hand = (*hand).max(now) + self.service_time;
        *hand - now
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::{Clock, ManualClock};

    use super::*;

    #[test]
    fn what_finds_no_hand_waits_for_one() {
        let clock = ManualClock::new();
        let mut served = Served::new(2, Duration::from_millis(100), clock.now());
        let serve = |served: &mut Served| served.serve(clock.now()).as_millis();
        assert_eq!([(); 5].map(|()| serve(&mut served)), [100, 100, 200, 200, 300]);
        clock.advance(Duration::from_millis(1_000));
        served.halve();
        assert_eq!([(); 2].map(|()| serve(&mut served)), [100, 200]);
    }
}
