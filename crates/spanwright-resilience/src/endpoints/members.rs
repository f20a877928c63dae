//! Which addresses a name stands for: answers and time come in, changes and the moment of the next question go out.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use spanwright_core::BuildError;

/// When a name is resolved again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResolveConfig {
    /// From an answer to the next question. Default: 30 s, the lifetime of a record of Kubernetes' name server. 1 s to 1 h, and not
    /// less than `least_interval`.
    pub interval: Duration,
    /// From a question to the next one where a connection has failed, or where there was no answer. Default: 5 s, which is how often the
    /// Collector's load-balancing exporter asks. 100 ms to 1 h.
    pub least_interval: Duration,
    /// How long an answer is waited for. Default: 10 s, the two attempts of a system's resolver. 1 ms to 1 min.
    pub timeout: Duration,
}

impl ResolveConfig {
    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// The first setting that is outside of its range.
    pub fn validate(&self) -> Result<(), BuildError> {
        const LONGEST: Duration = Duration::from_secs(3600);
        let least = Duration::from_millis(100)..=LONGEST;
        BuildError::check_range("resolve.least_interval", self.least_interval, least)?;
        let interval = self.least_interval.max(Duration::from_secs(1))..=LONGEST;
        BuildError::check_range("resolve.interval", self.interval, interval)?;
        let timeout = Duration::from_millis(1)..=Duration::from_secs(60);
        BuildError::check_range("resolve.timeout", self.timeout, timeout)?;
        Ok(())
    }
}

impl Default for ResolveConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            least_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
        }
    }
}

/// The addresses of a name, without clock, resolver or connection.
///
/// A name server that has no answer, or an empty one, says nothing about the receivers: the addresses that were known stay.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use spanwright_core::{Clock, ManualClock};
/// use spanwright_resilience::{Members, ResolveConfig};
///
/// let clock = ManualClock::new();
/// let mut members = Members::new(ResolveConfig::default(), clock.now())?;
/// let [a, b] = [1, 2].map(|last| SocketAddr::from(([10, 0, 0, last], 4317)));
///
/// members.asked(clock.now());
/// let change = members.answered(clock.now(), [a, b]);
/// assert_eq!(change.added, [a, b]);
/// assert_eq!(members.next_question(), clock.now() + Duration::from_secs(30));
///
/// members.asked(clock.now());
/// assert_eq!(members.answered(clock.now(), [b]).removed, [a]);
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Members {
    config: ResolveConfig,
    current: BTreeSet<SocketAddr>,
    next: Instant,
    /// When the last question was asked.
    asked: Option<Instant>,
    counts: ResolveCounts,
}

/// What an answer changes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemberChange {
    /// Addresses that are new, in ascending order.
    pub added: Vec<SocketAddr>,
    /// Addresses that stay.
    pub kept: Vec<SocketAddr>,
    /// Addresses that are there no more.
    pub removed: Vec<SocketAddr>,
}

/// What came of the questions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResolveCounts {
    /// Answers with addresses.
    pub answered: u64,
    /// Answers without an address.
    pub empty: u64,
    /// Questions without an answer: an error, or too late.
    pub failed: u64,
    /// Addresses that came.
    pub added: u64,
    /// Addresses that went.
    pub removed: u64,
    /// Addresses that came and could not be used.
    pub unusable: u64,
}

impl Members {
    /// Nobody yet; the first question is due at once.
    ///
    /// # Errors
    ///
    /// A setting outside of its range.
    pub fn new(config: ResolveConfig, now: Instant) -> Result<Self, BuildError> {
        config.validate()?;
        Ok(Self {
            config,
            current: BTreeSet::new(),
            next: now,
            asked: None,
            counts: ResolveCounts::default(),
        })
    }

    /// The addresses, in ascending order.
    pub fn current(&self) -> impl Iterator<Item = SocketAddr> {
        self.current.iter().copied()
    }

    /// When to ask again.
    #[must_use]
    pub fn next_question(&self) -> Instant {
        self.next
    }

    /// What came of the questions so far.
    #[must_use]
    pub fn counts(&self) -> ResolveCounts {
        self.counts
    }

    /// A question was asked.
    pub fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
        // In case that no answer is ever told.
        self.next = now + self.config.interval;
    }

    /// The answer to the question: these addresses, in any order, and maybe twice. None at all changes nothing.
    pub fn answered(&mut self, now: Instant, addresses: impl IntoIterator<Item = SocketAddr>) -> MemberChange {
        let addresses: BTreeSet<_> = addresses.into_iter().collect();
        if addresses.is_empty() {
            self.counts.empty += 1;
            self.ask_again(now);
            return self.unchanged();
        }
        let change = MemberChange {
            added: addresses.difference(&self.current).copied().collect(),
            kept: addresses.intersection(&self.current).copied().collect(),
            removed: self.current.difference(&addresses).copied().collect(),
        };
        self.counts.answered += 1;
        self.counts.added += change.added.len() as u64;
        self.counts.removed += change.removed.len() as u64;
        self.current = addresses;
        self.next = now + self.config.interval;
        change
    }

    /// There was no answer, which changes nothing.
    pub fn failed(&mut self, now: Instant) -> MemberChange {
        self.counts.failed += 1;
        self.ask_again(now);
        self.unchanged()
    }

    /// A connection to one of the addresses failed: the next question is due at once, or as soon as there may be one.
    pub fn connection_failed(&mut self, now: Instant) {
        self.ask_again(now);
    }

    /// An address cannot be used: it is as if it had not been in the answer, and may be in the next.
    pub fn forget(&mut self, address: SocketAddr) {
        if self.current.remove(&address) {
            self.counts.unusable += 1;
        }
    }

    fn ask_again(&mut self, now: Instant) {
        let earliest = self.asked.map_or(now, |asked| asked + self.config.least_interval);
        self.next = self.next.min(earliest.max(now));
    }

    fn unchanged(&self) -> MemberChange {
        MemberChange {
            kept: self.current().collect(),
            ..MemberChange::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::{Clock, ManualClock};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn members() -> (Members, ManualClock) {
        let clock = ManualClock::new();
        let members = Members::new(ResolveConfig::default(), clock.now()).expect("the defaults");
        (members, clock)
    }

    fn addresses<const N: usize>(last: [u8; N]) -> [SocketAddr; N] {
        last.map(|last| ([10, 0, 0, last], 4317).into())
    }

    impl Members {
        fn answer<const N: usize>(&mut self, clock: &ManualClock, last: [u8; N]) -> MemberChange {
            self.asked(clock.now());
            self.answered(clock.now(), addresses(last))
        }

        fn wait(&self, clock: &ManualClock) -> Duration {
            self.next_question().saturating_duration_since(clock.now())
        }
    }

    #[test]
    fn an_answer_says_who_comes_stays_and_goes() {
        let (mut members, clock) = members();
        assert_eq!(members.wait(&clock), Duration::ZERO, "at once");
        assert_eq!(members.answer(&clock, [3, 1, 3]).added, addresses([1, 3]));
        let change = members.answer(&clock, [2, 3]);
        assert_eq!(
            (change.added, change.kept, change.removed),
            (addresses([2]).into(), addresses([3]).into(), addresses([1]).into())
        );
        assert!(members.current().eq(addresses([2, 3])));
        let counts = members.counts();
        assert_eq!((counts.answered, counts.added, counts.removed), (2, 3, 1));
        assert_eq!(members.wait(&clock), 30 * SECOND);
    }

    #[test]
    fn no_answer_and_an_empty_one_keep_who_was_there_and_are_counted() {
        let (mut members, clock) = members();
        members.answer(&clock, [1, 2]);
        let known: Vec<_> = addresses([1, 2]).into();
        for round in 1..=2 {
            clock.advance(30 * SECOND);
            let empty = members.answer(&clock, []);
            assert_eq!((&empty.kept, empty.added.len(), empty.removed.len()), (&known, 0, 0));
            assert_eq!(members.wait(&clock), 5 * SECOND, "sooner than after an answer");
            clock.advance(5 * SECOND);
            members.asked(clock.now());
            assert_eq!(members.failed(clock.now()).kept, known);
            assert_eq!((members.counts().empty, members.counts().failed), (round, round));
        }
        assert!(members.current().eq(addresses([1, 2])));
    }

    #[test]
    fn a_failed_connection_asks_at_once_but_not_more_often_than_it_may() {
        let (mut members, clock) = members();
        members.answer(&clock, [1]);
        members.connection_failed(clock.now());
        assert_eq!(members.wait(&clock), 5 * SECOND, "it has only just been asked");
        clock.advance(3 * SECOND);
        members.connection_failed(clock.now());
        assert_eq!(members.wait(&clock), 2 * SECOND);
        clock.advance(20 * SECOND);
        members.answer(&clock, [1]);
        clock.advance(12 * SECOND);
        assert_eq!(members.wait(&clock), 18 * SECOND);
        members.connection_failed(clock.now());
        assert_eq!(members.wait(&clock), Duration::ZERO, "at once");
        let due = members.next_question();
        clock.advance(SECOND);
        members.connection_failed(clock.now());
        assert_eq!(members.next_question(), due, "never later than it was");
    }

    #[test]
    fn a_slow_answer_is_not_asked_for_again_at_once() {
        let (mut members, clock) = members();
        members.asked(clock.now());
        clock.advance(10 * SECOND);
        members.failed(clock.now());
        assert_eq!(
            members.wait(&clock),
            Duration::ZERO,
            "the time since the question is over"
        );
        members.asked(clock.now());
        members.failed(clock.now());
        assert_eq!(members.wait(&clock), 5 * SECOND);
    }

    #[test]
    fn an_address_that_cannot_be_used_comes_again_with_the_next_answer() {
        let (mut members, clock) = members();
        members.answer(&clock, [1, 2]);
        members.forget(addresses([2])[0]);
        let counts = members.counts();
        assert_eq!((counts.added, counts.unusable), (2, 1));
        let change = members.answer(&clock, [1, 2]);
        assert_eq!(
            (change.added, change.kept),
            (addresses([2]).into(), addresses([1]).into())
        );
    }

    #[test]
    fn whatever_is_answered_the_counts_say_how_many_there_are() {
        let (mut members, clock) = members();
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..1_000 {
            clock.advance(random.u32(0..40) * SECOND);
            members.asked(clock.now());
            match random.u8(0..6) {
                0 => drop(members.failed(clock.now())),
                1 => members.connection_failed(clock.now()),
                2 => members.forget(addresses([random.u8(0..8)])[0]),
                _ => {
                    let before: Vec<_> = members.current().collect();
                    let listed: Vec<_> = (0..random.usize(0..6))
                        .map(|_| addresses([random.u8(0..8)])[0])
                        .collect();
                    let change = members.answered(clock.now(), listed.iter().copied());
                    assert_eq!(change.kept.len() + change.removed.len(), before.len());
                    assert_eq!(change.kept.len() + change.added.len(), members.current().count());
                    assert!(listed.is_empty() || members.current().all(|address| listed.contains(&address)));
                }
            }
            let counts = members.counts();
            assert_eq!(
                counts.added - counts.removed - counts.unusable,
                members.current().count() as u64
            );
            assert!(members.wait(&clock) <= 30 * SECOND);
        }
    }

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        let default = ResolveConfig::default();
        for (config, field) in [
            (
                ResolveConfig {
                    interval: SECOND,
                    ..default
                },
                "`resolve.interval`",
            ),
            (
                ResolveConfig {
                    least_interval: Duration::ZERO,
                    ..default
                },
                "`resolve.least_interval`",
            ),
            (
                ResolveConfig {
                    timeout: Duration::ZERO,
                    ..default
                },
                "`resolve.timeout`",
            ),
        ] {
            let error = Members::new(config, ManualClock::new().now())
                .expect_err(field)
                .to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
