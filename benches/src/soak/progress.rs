//! What is told meanwhile.

use std::fmt::Display;
use std::time::{Duration, Instant};

use spanwright_core::{Clock, SystemClock};

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// Tells about every second how it goes.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    next: Instant,
}

impl Progress {
    pub(super) fn start() -> Self {
        let start = SystemClock.now();
        Self {
            start,
            next: start + EVERY,
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        SystemClock.now() - self.start
    }

    /// Tells it, if it is time to.
    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = SystemClock.now();
        if now >= self.next {
            self.next = now + EVERY;
            self.say(what());
        }
    }

    pub(super) fn say(&self, what: impl Display) {
        println!("# {:5.1} s  {what}", self.elapsed().as_secs_f64());
    }
}
