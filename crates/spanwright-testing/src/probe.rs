//! The contract of every crate that holds items: nothing is lost in silence.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use spanwright_core::Ledger;

/// How often a watch looks: often enough to meet states that last for microseconds once in a while, seldom enough to leave
/// the machine to what is tested.
const WATCH_PERIOD: Duration = Duration::from_micros(50);

/// Holds a ledger against the law `ended == exported + rejected + lost + pending`, and against what others know.
///
/// Every look also checks that the columns which only grow did not shrink since the look before: `ended`, `exported`, `rejected`
/// and each reason of `lost`. Clones share the memory of the last look.
///
/// ```
/// use spanwright_core::Ledger;
/// use spanwright_testing::ConservationProbe;
///
/// // In a test: ConservationProbe::new(move || processor.ledger())
/// let probe = ConservationProbe::new(|| Ledger { ended: 3, exported: 3, ..Ledger::default() });
/// let watch = probe.watch(); // looks on from another thread, while the test does its worst
/// probe.check("after the burst");
/// watch.finish();
/// probe.settled();
/// probe.expect_ended(3);
/// probe.received(3);
/// ```
#[derive(Clone)]
pub struct ConservationProbe {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: Box<dyn Fn() -> Ledger + Send + Sync>,
    last: Mutex<Ledger>,
}

impl ConservationProbe {
    /// A probe of the ledger that `ledger` reads.
    pub fn new(ledger: impl Fn() -> Ledger + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                ledger: Box::new(ledger),
                last: Mutex::default(),
            }),
        }
    }

    /// The law holds now. `moment` names the place in the test.
    ///
    /// # Panics
    ///
    /// It does not, or a column went backwards.
    #[track_caller]
    pub fn check(&self, moment: &str) -> Ledger {
        match self.inner.look() {
            Ok(ledger) => ledger,
            Err(Violation(what)) => panic!("{moment}: {what}"),
        }
    }

    /// The law holds, and nothing is pending: every item has its final column.
    ///
    /// # Panics
    ///
    /// Something is pending, or the law is broken.
    #[track_caller]
    pub fn settled(&self) -> Ledger {
        let ledger = self.check("when all should be settled");
        assert_eq!(ledger.pending, 0, "items are still pending: {ledger:?}");
        ledger
    }

    /// Exactly `items` ended, as the test that made them knows.
    ///
    /// # Panics
    ///
    /// The ledger says something else.
    #[track_caller]
    pub fn expect_ended(&self, items: u64) {
        let ledger = self.check("when all items have ended");
        assert_eq!(ledger.ended, items, "the test ended {items} items: {ledger:?}");
    }

    /// What the receiver took is exactly what the ledger calls exported: [`Counts::accepted_spans`](crate::Counts::accepted_spans).
    ///
    /// For runs in which no request was repeated or given up, and only when nothing is in flight.
    ///
    /// # Panics
    ///
    /// It is more or less.
    #[track_caller]
    pub fn received(&self, accepted: u64) {
        let ledger = self.check("when the receiver was asked");
        assert_eq!(
            ledger.exported, accepted,
            "the receiver took {accepted} items: {ledger:?}"
        );
    }

    /// What the receiver took is at least what the ledger calls exported.
    ///
    /// For runs in which a request may have arrived without its answer coming back: delivery is at least once, so the receiver may
    /// know of more, never of less.
    ///
    /// # Panics
    ///
    /// It is less: something was called exported that nobody took.
    #[track_caller]
    pub fn received_at_least(&self, accepted: u64) {
        let ledger = self.check("when the receiver was asked");
        assert!(
            ledger.exported <= accepted,
            "the receiver took only {accepted} items: {ledger:?}"
        );
    }

    /// Checks the law from another thread until [`Watch::finish`].
    ///
    /// # Panics
    ///
    /// The thread cannot be started.
    pub fn watch(&self) -> Watch {
        let inner = Arc::clone(&self.inner);
        let (finish, finished) = mpsc::channel::<()>();
        let look_on = move || {
            let mut looks = 0;
            loop {
                inner.look()?;
                looks += 1;
                if finished.recv_timeout(WATCH_PERIOD) != Err(RecvTimeoutError::Timeout) {
                    // Once more, for what happened since the last look.
                    inner.look()?;
                    return Ok(looks + 1);
                }
            }
        };
        let thread = thread::Builder::new().name("conservation-watch".into()).spawn(look_on);
        let thread = thread.unwrap_or_else(|error| panic!("no thread for the watch: {error}"));
        Watch {
            finish: Some(finish),
            thread: Some(thread),
        }
    }
}

impl Inner {
    fn look(&self) -> Result<Ledger, Violation> {
        // Held while the ledger is read, so that two threads which look compare in the order in which they read.
        let mut last = self.last.lock();
        let now = (self.ledger)();
        let broken = match now.check() {
            Err(imbalance) => Some(imbalance.to_string()),
            Ok(()) => column_that_shrank(&last, &now).map(|column| format!("`{column}` went backwards")),
        };
        if let Some(broken) = broken {
            return Err(Violation(format!("{broken}\n   now: {now:?}\nbefore: {last:?}")));
        }
        *last = now;
        Ok(now)
    }
}

fn column_that_shrank(before: &Ledger, now: &Ledger) -> Option<String> {
    let mut columns = vec![
        ("ended".to_owned(), before.ended, now.ended),
        ("exported".to_owned(), before.exported, now.exported),
        ("rejected".to_owned(), before.rejected, now.rejected),
    ];
    columns.extend(
        before
            .lost
            .iter()
            .map(|(reason, items)| (format!("lost for {reason}"), items, now.lost[reason])),
    );
    let shrank = columns.into_iter().find(|(_, before, now)| now < before);
    shrank.map(|(column, ..)| column)
}

/// The message of the assertion that failed.
#[derive(Debug)]
struct Violation(String);

impl fmt::Debug for ConservationProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConservationProbe")
            .field("last", &*self.inner.last.lock())
            .finish_non_exhaustive()
    }
}

/// A thread that looks at a ledger, from [`ConservationProbe::watch`].
///
/// Dropped without [`finish`](Self::finish) it reports as well, unless the test has already failed.
#[derive(Debug)]
#[must_use = "the watch ends when it is dropped"]
pub struct Watch {
    finish: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<Result<u64, Violation>>>,
}

impl Watch {
    /// Ends the watch; how often it looked, which is at least twice.
    ///
    /// # Panics
    ///
    /// The law was broken meanwhile.
    #[track_caller]
    pub fn finish(mut self) -> u64 {
        self.end()
    }

    #[track_caller]
    fn end(&mut self) -> u64 {
        self.finish = None;
        let Some(thread) = self.thread.take() else { return 0 };
        match thread.join() {
            Ok(Ok(looks)) => looks,
            Ok(Err(Violation(what))) => panic!("while the watch looked on: {what}"),
            Err(_) => panic!("the ledger panicked while the watch looked on"),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};

    use spanwright_core::LossReason;

    use super::*;

    fn probe() -> (Arc<Mutex<Ledger>>, ConservationProbe) {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let read = Arc::clone(&ledger);
        (ledger, ConservationProbe::new(move || *read.lock()))
    }

    fn failure(check: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("it should have failed");
        *panic.downcast::<String>().expect("a message")
    }

    #[test]
    fn a_law_that_is_broken_is_told_with_the_figures() {
        let (ledger, probe) = probe();
        probe.check("at the start");
        ledger.lock().ended = 2;
        let message = failure(|| {
            probe.check("after the burst");
        });
        assert!(
            message.starts_with("after the burst: 2 items ended, but 0 are accounted for"),
            "{message}"
        );
    }

    #[test]
    fn each_column_that_only_grows_is_held_to_it() {
        let mut full = Ledger {
            ended: 12,
            exported: 3,
            rejected: 4,
            ..Ledger::default()
        };
        full.lost.add(LossReason::QueueFull, 5);
        let mut other_reason = full;
        other_reason.lost = Default::default();
        other_reason.lost.add(LossReason::TooLarge, 5);
        for (column, changed) in [
            (
                "`ended`",
                Ledger {
                    ended: 11,
                    exported: 2,
                    ..full
                },
            ),
            (
                "`exported`",
                Ledger {
                    exported: 2,
                    pending: 1,
                    ..full
                },
            ),
            (
                "`rejected`",
                Ledger {
                    rejected: 3,
                    pending: 1,
                    ..full
                },
            ),
            ("`lost for queue_full`", other_reason),
        ] {
            let (ledger, probe) = probe();
            *ledger.lock() = full;
            probe.check("first");
            *ledger.lock() = changed;
            let message = failure(|| {
                probe.check("then");
            });
            assert!(
                message.starts_with(&format!("then: {column} went backwards")),
                "{message}"
            );
        }
    }

    #[test]
    fn pending_items_are_not_settled() {
        let (ledger, probe) = probe();
        ledger.lock().ended = 1;
        ledger.lock().pending = 1;
        assert!(
            failure(|| {
                probe.settled();
            })
            .contains("still pending")
        );
        ledger.lock().pending = 0;
        ledger.lock().exported = 1;
        probe.settled();
        probe.expect_ended(1);
        assert!(failure(|| probe.expect_ended(2)).contains("the test ended 2 items"));
    }

    #[test]
    fn a_receiver_may_know_of_more_only_where_duplicates_are_allowed() {
        let (ledger, probe) = probe();
        *ledger.lock() = Ledger {
            ended: 5,
            exported: 5,
            ..Ledger::default()
        };
        probe.received(5);
        probe.received_at_least(6);
        assert!(failure(|| probe.received(6)).contains("the receiver took 6"));
        assert!(failure(|| probe.received_at_least(4)).contains("took only 4"));
    }

    #[test]
    fn a_watch_sees_what_a_test_does_not_look_at() {
        let (broke, broken) = mpsc::channel();
        let looks = AtomicU64::new(0);
        let brief = ConservationProbe::new(move || {
            let broken_now = looks.fetch_add(1, Ordering::Relaxed) == 1;
            if broken_now {
                let _ = broke.send(());
            }
            Ledger {
                ended: u64::from(broken_now),
                ..Ledger::default()
            }
        });
        let watch = brief.watch();
        broken.recv_timeout(Duration::from_secs(20)).expect("a second look");
        let message = failure(|| drop(watch));
        assert!(
            message.starts_with("while the watch looked on: 1 items ended"),
            "{message}"
        );

        let (_, sound) = probe();
        assert!(sound.watch().finish() >= 2);
    }
}
