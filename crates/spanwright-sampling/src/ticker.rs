//! Who calls the samplers that must hear of time passing.
//!
//! Decisions read no clock. Whatever depends on time (a rate, a file that may have changed) is brought up to date by a *tick* from
//! outside, ten times a second: by one thread for the whole process, or by whoever holds the sampler and calls it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use spanwright_core::{BuildError, Clock, SystemClock};

/// Wants to hear of time passing.
///
/// # Contract
///
/// [`tick`](Self::tick) comes about every [`Ticker::INTERVAL`], at once after a [`Waker::wake`], never from two threads at the same
/// time, and with a time that does not go back. How long it has been must be measured, not assumed. It may take a lock or read a
/// file; it must not block for long, because others wait for the same thread.
pub trait Tick: Send + Sync + 'static {
    /// It is `now`.
    fn tick(&self, now: Instant);

    /// Called once, before the first tick: how to ask for one ahead of time.
    fn attach(&self, waker: Waker) {
        let _ = waker;
    }
}

/// One thread that ticks for every sampler of the process. It starts with the first that is driven and ends with the last.
///
/// What is driven is held weakly: it ends with its last owner.
#[derive(Clone)]
pub struct Ticker {
    shared: Arc<Shared>,
}

/// Asks for a tick ahead of time.
///
/// # Cost
///
/// A lock for some nanoseconds, and a system call if the thread sleeps. For the rare case, not for every decision.
#[derive(Clone)]
pub struct Waker {
    shared: Weak<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    driven: Vec<Weak<dyn Tick>>,
    is_running: bool,
    is_awake: bool,
}

/// The one of the process.
static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

impl Ticker {
    /// The time between two ticks: short enough that a burst is seen before it has passed, and ten calls a second cost nothing.
    pub const INTERVAL: Duration = Duration::from_millis(100);

    /// The ticker of this process.
    #[must_use]
    pub fn shared() -> Self {
        let mut known = SHARED.lock();
        let shared = known.upgrade().unwrap_or_else(|| {
            let shared = Arc::new(Shared {
                state: Mutex::default(),
                wake: Condvar::new(),
            });
            *known = Arc::downgrade(&shared);
            shared
        });
        Self { shared }
    }

    /// Ticks for `what` until its last owner lets it go.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub fn drive<T: Tick>(&self, what: &Arc<T>) -> Result<(), BuildError> {
        what.attach(self.waker());
        let weak: Weak<T> = Arc::downgrade(what);
        let mut state = self.shared.state.lock();
        if !state.is_running {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("spanwright-tick".to_owned());
            thread.spawn(move || shared.run()).map_err(|error| {
                BuildError::new("ticker", "not started", "a thread that the system can start").with_source(error)
            })?;
            state.is_running = true;
        }
        state.driven.push(weak);
        Ok(())
    }

    /// What asks this ticker for a tick ahead of time.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker {
            shared: Arc::downgrade(&self.shared),
        }
    }
}

impl Waker {
    /// Asks for a tick at once. Does nothing if there is nobody to tick.
    pub fn wake(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.state.lock().is_awake = true;
            shared.wake.notify_one();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let now = SystemClock.now();
            let driven: Vec<_> = {
                let mut state = self.state.lock();
                state.is_awake = false;
                state.driven.retain(|what| what.strong_count() > 0);
                if state.driven.is_empty() {
                    state.is_running = false;
                    return;
                }
                state.driven.iter().filter_map(Weak::upgrade).collect()
            };
            for what in &driven {
                // One that panics must not take the others' time away.
                let _ = catch_unwind(AssertUnwindSafe(|| what.tick(now)));
            }
            drop(driven);
            let mut state = self.state.lock();
            while !state.is_awake {
                if self.wake.wait_until(&mut state, now + Ticker::INTERVAL).timed_out() {
                    break;
                }
            }
        }
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driven = self.shared.state.lock().driven.len();
        f.debug_struct("Ticker").field("driven", &driven).finish()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Told(Sender<Option<Instant>>, Mutex<Option<Waker>>);

    impl Tick for Told {
        fn tick(&self, now: Instant) {
            _ = self.0.send(Some(now));
        }

        fn attach(&self, waker: Waker) {
            *self.1.lock() = Some(waker);
        }
    }

    impl Drop for Told {
        fn drop(&mut self) {
            _ = self.0.send(None);
        }
    }

    fn told() -> (Arc<Told>, Receiver<Option<Instant>>) {
        let (sender, receiver) = channel();
        (Arc::new(Told(sender, Mutex::default())), receiver)
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_driven_hears_of_time_until_its_owner_lets_it_go_and_a_wish_comes_first() {
        let (what, ticks) = told();
        Ticker::shared().drive(&what).expect("a thread");
        let first = ticks.recv_timeout(PATIENCE).expect("a tick").expect("a time");
        what.1.lock().as_ref().expect("a waker").wake();
        let second = ticks.recv_timeout(PATIENCE).expect("a tick").expect("a time");
        assert!(second >= first);
        drop(what);
        while ticks.recv_timeout(PATIENCE).expect("its end").is_some() {}
        assert!(ticks.recv().is_err(), "nothing ticks after its end");

        // The thread has ended or will; a new one is started when it is needed.
        let (again, ticks) = told();
        Ticker::shared().drive(&again).expect("a thread");
        assert!(ticks.recv_timeout(PATIENCE).expect("a tick").is_some());
    }
}
