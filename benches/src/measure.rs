//! What a measurement reads: CPU clocks, and resident memory.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::command::Failure;

/// How often resident memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The CPU time of all threads of this process, those that have ended included, in user mode and in the kernel.
pub(crate) fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// The CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    // A clock of this process or thread is never negative.
    clock_gettime(clock).try_into().unwrap_or_default()
}

/// The resident memory of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    pub(crate) now_bytes: u64,
    /// The most that it ever was, by the kernel's own account.
    pub(crate) peak_bytes: u64,
}

impl Resident {
    /// Asks the kernel.
    pub(crate) fn read() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")
            .map_err(|error| format!("resident memory is read from /proc/self/status, as Linux has it: {error}"))?;
        Self::parse(&status).ok_or_else(|| "/proc/self/status has no VmRSS and VmHWM in kB".into())
    }

    fn parse(status: &str) -> Option<Self> {
        let bytes_of = |name: &str| {
            let mut values = status.lines().filter_map(|line| line.strip_prefix(name));
            let kib: u64 = values.next()?.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kib * 1024)
        };
        Some(Self {
            now_bytes: bytes_of("VmRSS:")?,
            peak_bytes: bytes_of("VmHWM:")?,
        })
    }
}

/// Looks at resident memory every ten milliseconds, on a thread of its own.
#[derive(Debug)]
pub(crate) struct ResidentWatch {
    watched: Arc<Watched>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Watched {
    over: AtomicBool,
    peak_bytes: AtomicU64,
}

impl ResidentWatch {
    pub(crate) fn start() -> Result<Self, Failure> {
        Resident::read()?;
        let watched = Arc::new(Watched::default());
        let thread = thread::Builder::new().name("memory watch".into()).spawn({
            let watched = Arc::clone(&watched);
            move || {
                // Relaxed: the flag and the figure stand alone; `join` orders the last look.
                while !watched.over.load(Ordering::Relaxed) {
                    if let Ok(resident) = Resident::read() {
                        watched.peak_bytes.fetch_max(resident.now_bytes, Ordering::Relaxed);
                    }
                    thread::park_timeout(LOOK_EVERY);
                }
            }
        })?;
        Ok(Self { watched, thread })
    }

    /// The most that a look has seen.
    pub(crate) fn finish(self) -> u64 {
        self.watched.over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let watched = self.thread.join().map(|()| self.watched);
        watched.map_or_else(|_| 0, |watched| watched.peak_bytes.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn cpu_time_passes_only_where_something_is_done() {
        let (process, thread) = (process_cpu(), thread_cpu());
        let worked = thread::spawn(|| {
            while thread_cpu() < Duration::from_millis(20) {
                black_box(0);
            }
        });
        worked.join().expect("does not panic");
        assert!(process_cpu() - process >= Duration::from_millis(20));
        assert!(thread_cpu() - thread < Duration::from_millis(20), "this thread waited");
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let resident = Resident::parse("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n").expect("well-formed");
        assert_eq!((resident.now_bytes, resident.peak_bytes), (1 << 20, 2 << 20));
        assert!(Resident::parse("VmRSS:\t1 kB\n").is_none());
    }

    #[test]
    fn a_watch_sees_memory_that_was_given_back() {
        let before = Resident::read().expect("Linux").now_bytes;
        let watch = ResidentWatch::start().expect("Linux");
        let mut block = vec![1_u8; 64 << 20];
        while watch.watched.peak_bytes.load(Ordering::Relaxed) < before + (32 << 20) {
            block[0] = black_box(block[1]);
        }
        drop(block);
        assert!(watch.finish() >= before + (32 << 20));
    }
}
