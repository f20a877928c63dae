//! The log with a thread of its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use spanwright_core::{BuildError, Clock, EncodedBatch, NoopObserver, Observer, StoreCounts, SystemClock, semconv};

use crate::claim::Claim;
use crate::config::{Mode, SpoolConfig};
use crate::fs::{DiskFs, Fs};
use crate::log::{ClaimId, Log, Written};
use crate::now::Now;
use crate::refused::Refused;
use crate::stats::SpoolStats;

/// Keeps requests on disk until somebody delivers them. Clones are the same spool.
///
/// Writing and reading take place on the calling thread, behind one lock; syncs, the cursor and removals on a thread of the
/// spool's own. When the last clone goes, the spool is shut down within five seconds.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use bytes::Bytes;
/// use spanwright_core::{EncodedBatch, Priority};
/// use spanwright_spool::Spool;
///
/// # let directory = std::env::temp_dir().join(format!("spanwright-spool-{}", std::process::id()));
/// let spool = Spool::builder(&directory).spawn()?;
/// spool.write(EncodedBatch::new([Bytes::from_static(b"an encoded request")], 12, Priority::Normal))?;
///
/// while let Some(claim) = spool.claim() {
///     println!("sending {} spans", claim.batch().item_count()); // send `claim.batch()` somewhere
///     claim.ack(); // or drop it, and it is there again
/// }
/// let stats = spool.shutdown(Duration::from_secs(5))?;
/// assert_eq!((stats.acked, stats.pending), (12, 0));
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
///
/// # Durability
///
/// | what ends | what is lost of what [`write`](Self::write) took |
/// |---|---|
/// | the process, also by `kill -9` | nothing |
/// | the machine, or its power | at most what is younger than the sync interval and one sync; nothing up to [`durable`](Self::durable) |
///
/// Delivery is at least once: what was claimed and not acknowledged is given out again. After the end of the process that is all;
/// after the end of the machine also what was acknowledged in the last sync interval.
#[derive(Clone)]
pub struct Spool {
    handle: Arc<Handle>,
}

/// Settings of a [`Spool`].
pub struct SpoolBuilder {
    config: SpoolConfig,
    observer: Arc<dyn Observer>,
    fs: Arc<dyn Fs>,
}

/// Not everything that was written is safe from the end of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotDurable {
    requests: u64,
    waited: Duration,
}

/// Ends the thread with the last clone.
struct Handle {
    shared: Arc<Shared>,
    mode: Mode,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rings when the thread has to do something earlier than it thought.
    bell: Condvar,
    /// Rings after each commit.
    done: Condvar,
    observer: Arc<dyn Observer>,
}

struct State {
    log: Log,
    wake_at: Instant,
    is_closing: bool,
    has_ended: bool,
    told: SpoolStats,
}

/// How long dropping the last clone waits for the last commit: the SDK's own shutdown default.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

impl Spool {
    /// A spool in this directory, with defaults.
    pub fn builder(directory: impl Into<PathBuf>) -> SpoolBuilder {
        SpoolBuilder {
            config: SpoolConfig::new(directory),
            observer: Arc::new(NoopObserver),
            fs: Arc::new(DiskFs),
        }
    }

    /// Writes a request, to be claimed later.
    ///
    /// # Errors
    ///
    /// It was not taken, and is given back with the reason.
    ///
    /// # Cost
    ///
    /// See [`Log::write`]. Some tens of microseconds for a request of 512 spans; an asynchronous caller need not move it elsewhere.
    pub fn write(&self, batch: EncodedBatch) -> Result<Written, Refused> {
        self.handle.shared.with(|log, now| log.write(now, batch))
    }

    /// Writes a request that the caller goes on to deliver by itself: for [`Mode::Wal`](crate::Mode::Wal).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_claimed(&self, batch: EncodedBatch) -> Result<Claim, Refused> {
        let shared = &self.handle.shared;
        let (id, time) = shared.with(|log, now| {
            let written = log.write_claimed(now, batch.clone());
            written.map(|(_, id)| (id, now.time))
        })?;
        Ok(Claim::new(Arc::clone(shared), id, batch, time))
    }

    /// The oldest request that nobody has claimed.
    ///
    /// # Cost
    ///
    /// See [`Log::claim`].
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        let shared = &self.handle.shared;
        let record = shared.with(Log::claim)?;
        Some(Claim::new(
            Arc::clone(shared),
            record.id,
            record.batch,
            record.written_at,
        ))
    }

    /// Makes what was written before the call safe from the end of the machine, and waits for that, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// It is not: the disk failed, or is slow.
    pub fn flush(&self, timeout: Duration) -> Result<(), NotDurable> {
        let shared = &self.handle.shared;
        let deadline = SystemClock.now() + timeout;
        let mut state = shared.state.lock();
        let written = state.log.written();
        if state.log.durable() < written {
            state.log.request_flush();
            shared.bell.notify_one();
        }
        while state.log.durable() < written && !state.has_ended {
            if shared.done.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        NotDurable::check(written, state.log.durable(), timeout)
    }

    /// As [`flush`](Self::flush), and the end: nothing is taken any more, and the directory is free for others. What is claimed and
    /// not acknowledged by then is delivered again by whoever opens it next.
    ///
    /// # Errors
    ///
    /// Not everything that was written is durable. It is all on disk nevertheless.
    pub fn shutdown(&self, timeout: Duration) -> Result<SpoolStats, NotDurable> {
        self.handle.shared.close(timeout)
    }

    /// The number of requests up to which everything that this process wrote is safe from the end of the machine.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.handle.shared.state.lock().log.durable()
    }

    /// Everything that can be counted, at one moment.
    #[must_use]
    pub fn stats(&self) -> SpoolStats {
        self.handle.shared.with(|log, now| log.stats(now))
    }

    /// When requests go to disk.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.handle.mode
    }

    pub(crate) fn store_counts(&self) -> StoreCounts {
        self.handle.shared.state.lock().log.store_counts()
    }
}

impl SpoolBuilder {
    /// All settings. The directory is the one in it.
    #[must_use]
    pub fn with_config(mut self, config: SpoolConfig) -> Self {
        self.config = config;
        self
    }

    /// Hears what happens. Default: nobody.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Another file system than the machine's.
    #[must_use]
    pub fn with_fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// Checks the settings, reads what earlier processes left, and starts the thread.
    ///
    /// # Errors
    ///
    /// As [`Log::open`], or a thread that cannot be started.
    ///
    /// # Cost
    ///
    /// As [`Log::open`].
    pub fn spawn(self) -> Result<Spool, BuildError> {
        let now = Now::of(&SystemClock);
        let (capacity, mode) = (self.config.max_bytes(), self.config.mode());
        let log = Log::open(self.config, self.fs, now)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                log,
                wake_at: now.instant,
                is_closing: false,
                has_ended: false,
                told: SpoolStats::default(),
            }),
            bell: Condvar::new(),
            done: Condvar::new(),
            observer: self.observer,
        });
        shared.observer.count(&semconv::SPOOL_CAPACITY, clamp(capacity), &[]);
        let thread = thread::Builder::new().name("spanwright-spool".to_owned());
        let ours = Arc::clone(&shared);
        thread.spawn(move || ours.run()).map_err(|error| {
            BuildError::new("spool", "not started", "a thread that the system can start").with_source(error)
        })?;
        Ok(Spool {
            handle: Arc::new(Handle { shared, mode }),
        })
    }
}

impl Shared {
    /// Does something with the log, tells what came of it, and wakes the thread if it has to be earlier.
    fn with<R>(&self, work: impl FnOnce(&mut Log, Now) -> R) -> R {
        let now = Now::of(&SystemClock);
        let mut state = self.state.lock();
        let result = work(&mut state.log, now);
        let notices = state.log.take_notices();
        let is_early = state.log.next_poll() < state.wake_at;
        drop(state);
        if is_early {
            self.bell.notify_one();
        }
        notices.iter().for_each(|notice| notice.tell(&*self.observer));
        result
    }

    pub(crate) fn ack(&self, id: ClaimId) {
        self.with(|log, now| log.ack(now, id));
    }

    pub(crate) fn release(&self, id: ClaimId) {
        self.with(|log, now| log.release(now, id));
    }

    /// The thread's whole life.
    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            let now = Now::of(&SystemClock);
            let is_last = state.is_closing;
            let commit = if is_last {
                Some(state.log.close(now))
            } else {
                state.log.poll(now)
            };
            if let Some(commit) = commit {
                let done = MutexGuard::unlocked(&mut state, || {
                    let begun = SystemClock.now();
                    let done = commit.run();
                    if done.is_sync() {
                        let took = SystemClock.now().saturating_duration_since(begun);
                        self.observer
                            .record(&semconv::SPOOL_SYNC_DURATION, took.as_secs_f64(), &[]);
                    }
                    done
                });
                state.log.committed(Now::of(&SystemClock), done);
                self.tell(&mut state);
                if is_last {
                    state.told = state.log.stats(Now::of(&SystemClock));
                    state.log.release_directories();
                    state.has_ended = true;
                    self.done.notify_all();
                    return;
                }
                self.done.notify_all();
                continue;
            }
            state.wake_at = state.log.next_poll();
            let until = state.wake_at;
            self.bell.wait_until(&mut state, until);
            state.wake_at = now.instant;
        }
    }

    fn tell(&self, state: &mut MutexGuard<'_, State>) {
        let notices = state.log.take_notices();
        let now = state.log.stats(Now::of(&SystemClock));
        let told = std::mem::replace(&mut state.told, now);
        MutexGuard::unlocked(state, || {
            notices.iter().for_each(|notice| notice.tell(&*self.observer));
            let changes = [
                (&semconv::SPOOL_BYTES, told.bytes, now.bytes),
                (&semconv::SPOOL_DAMAGED, told.damage.records, now.damage.records),
                (&semconv::SPOOL_ITEMS, told.pending, now.pending),
                (&semconv::SPOOL_REPLAYED, told.acked, now.acked),
                (&semconv::SPOOL_SEGMENTS, told.segments, now.segments),
            ];
            for (metric, before, after) in changes.into_iter().filter(|(_, before, after)| before != after) {
                self.observer.count(metric, clamp(after) - clamp(before), &[]);
            }
            let age = now.oldest_age.as_secs_f64();
            self.observer.record(&semconv::SPOOL_OLDEST_AGE, age, &[]);
        });
    }

    fn close(&self, timeout: Duration) -> Result<SpoolStats, NotDurable> {
        let deadline = SystemClock.now() + timeout;
        let mut state = self.state.lock();
        state.is_closing = true;
        self.bell.notify_one();
        while !state.has_ended {
            if self.done.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let stats = if state.has_ended {
            state.told
        } else {
            state.log.stats(Now::of(&SystemClock))
        };
        NotDurable::check(state.log.written(), state.log.durable(), timeout).map(|()| stats)
    }
}

impl NotDurable {
    fn check(written: u64, durable: u64, waited: Duration) -> Result<(), Self> {
        match written.checked_sub(durable) {
            None | Some(0) => Ok(()),
            Some(requests) => Err(Self { requests, waited }),
        }
    }

    /// How many requests, counted from the youngest.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Whether it is durable or not, nobody is here to be told.
        let _ = self.shared.close(DROP_TIMEOUT);
    }
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl fmt::Display for NotDurable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, waited } = self;
        write!(f, "{requests} requests are on disk, but not synced within {waited:?}")
    }
}

impl std::error::Error for NotDurable {}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spool")
            .field(&self.handle.shared.state.lock().log)
            .finish()
    }
}

impl fmt::Debug for SpoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
