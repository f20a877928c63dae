//! What the sampler, the thread that asks and the ticker share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use spanwright_core::semconv::{SAMPLER_POLLS, attribute};
use spanwright_core::{BuildError, Event, Observer};

use super::error::{RemoteError, caught};
use super::schedule::Schedule;
use crate::composable::{AlwaysOff, ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::sampler::Decision;
use crate::span::StartingSpan;
use crate::stats::{RuleCount, SamplerStats};
use crate::ticker::{Tick, Waker};

/// A strategy that is decided by.
pub(super) trait Active: ComposableSampler + Sized {
    /// The same as a server sends it. One that is equal to the last one is not applied again.
    type Strategy: Clone + fmt::Debug + fmt::Display + PartialEq + Send;

    /// What `strategy` makes of what was in force before: what is known of rates, and what was counted, goes on.
    ///
    /// # Errors
    ///
    /// A number that the sampler for it does not take.
    fn followed_by(&self, strategy: &Self::Strategy, waker: Option<&Waker>) -> Result<Self, BuildError>;

    /// It is `now`. Returns what is in force from now on, if that is another one.
    fn tick(&self, now: Instant) -> Option<Self>;

    /// Of what is in force before a strategy has come, how to ask for a tick.
    fn attach(&self, waker: &Waker) {
        let _ = waker;
    }
}

/// Decides by the strategy in force, and replaces it.
pub(super) struct State<A: Active> {
    /// Decides by whatever is in force. What it counts goes on from one to the next; it has nothing of its own to decide by.
    judge: CompositeSampler<AlwaysOff>,
    in_force: ArcSwap<ParentThreshold<A>>,
    follows_parents: bool,
    /// Held by whoever replaces what is in force.
    books: Mutex<Books<A::Strategy>>,
    waker: Mutex<Option<Waker>>,
    observer: Arc<dyn Observer>,
}

#[derive(Clone, Debug)]
pub(super) struct Books<S> {
    strategy: Option<S>,
    pub(super) words: String,
    pub(super) generation: u64,
    pub(super) polls: u64,
    pub(super) failures: u64,
    pub(super) last_error: Option<String>,
    pub(super) last_success: Option<Instant>,
    failing_since: Option<Instant>,
    /// How many questions of several have no answer now.
    failing: u32,
}

/// What a poll has changed, to be told when no lock is held.
#[derive(Debug, Default)]
struct News {
    error: Option<RemoteError>,
    is_first_failure: bool,
    outage: Option<Duration>,
    applied: Option<(u64, String)>,
}

impl<A: Active> State<A> {
    /// With what decides until a strategy has come, and that in words.
    pub(super) fn new(
        initial: A,
        words: String,
        follows_parents: bool,
        records_adjusted_count: bool,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            judge: CompositeSampler::new(AlwaysOff).with_adjusted_count(records_adjusted_count),
            in_force: ArcSwap::from_pointee(ParentThreshold::new(initial)),
            follows_parents,
            books: Mutex::new(Books {
                strategy: None,
                words,
                generation: 0,
                polls: 0,
                failures: 0,
                last_error: None,
                last_success: None,
                failing_since: None,
                failing: 0,
            }),
            waker: Mutex::new(None),
            observer,
        }
    }

    /// Decides by the strategy in force.
    ///
    /// # Cost
    ///
    /// Beside the decision, a load that no thread waits for another one in.
    pub(super) fn decide(&self, span: &StartingSpan<'_>) -> Decision {
        let in_force = self.in_force.load();
        if self.follows_parents {
            self.judge.decide(span, &**in_force)
        } else {
            self.judge.decide(span, in_force.root())
        }
    }

    /// Decides that a span of our own making is not sampled.
    pub(super) fn refuse(&self, span: &StartingSpan<'_>) -> Decision {
        self.judge.decide(span, self.judge.composable())
    }

    /// What is in force now.
    pub(super) fn in_force(&self) -> Arc<ParentThreshold<A>> {
        self.in_force.load_full()
    }

    /// A question at `now` brought this: a strategy, or the word that nothing has changed, or neither. Plans the next one, and tells
    /// the observer.
    ///
    /// # Errors
    ///
    /// The answer's own, or the strategy cannot be applied. The one in force stays.
    pub(super) fn book(
        &self,
        now: Instant,
        schedule: &mut Schedule,
        answer: Result<Option<A::Strategy>, RemoteError>,
    ) -> Result<(), RemoteError> {
        let applied = answer.and_then(|strategy| caught(|| self.apply(strategy)).and_then(|result| result));
        let (news, result) = match applied {
            Ok(applied) => (self.succeeded(now, schedule.succeeded(now), applied), Ok(())),
            Err(error) => (self.failed(now, schedule.failed(now), &error), Err(error)),
        };
        if let Err(panic) = caught(|| self.tell(&news)) {
            // The poll was none the worse for it.
            self.books.lock().last_error = Some(format!("the observer panicked: {panic}"));
        }
        result
    }

    /// Replaces what is in force, unless it is the same.
    fn apply(&self, strategy: Option<A::Strategy>) -> Result<Option<(u64, String)>, RemoteError> {
        let mut books = self.books.lock();
        let Some(strategy) = strategy.filter(|strategy| books.strategy.as_ref() != Some(strategy)) else {
            return Ok(None);
        };
        let before = self.in_force.load();
        let active = before.root().followed_by(&strategy, self.waker.lock().as_ref())?;
        self.in_force.store(Arc::new(ParentThreshold::new(active)));
        books.generation += 1;
        books.words = strategy.to_string();
        books.strategy = Some(strategy);
        Ok(Some((books.generation, books.words.clone())))
    }

    fn succeeded(&self, now: Instant, ends_failures: bool, applied: Option<(u64, String)>) -> News {
        let mut books = self.books.lock();
        books.polls += 1;
        books.last_success = Some(now);
        books.failing -= u32::from(ends_failures);
        let failing_since = if books.failing == 0 {
            books.failing_since.take()
        } else {
            None
        };
        News {
            outage: failing_since.map(|since| now.saturating_duration_since(since)),
            applied,
            ..News::default()
        }
    }

    fn failed(&self, now: Instant, is_first: bool, error: &RemoteError) -> News {
        let mut books = self.books.lock();
        books.polls += 1;
        books.failures += 1;
        books.last_error = Some(error.to_string());
        books.failing += u32::from(is_first);
        let is_first_failure = books.failing_since.is_none();
        books.failing_since.get_or_insert(now);
        News {
            error: Some(error.clone()),
            is_first_failure,
            ..News::default()
        }
    }

    /// Tells the observer.
    fn tell(&self, news: &News) {
        let error_type = news
            .error
            .as_ref()
            .map(|error| (attribute::ERROR_TYPE, error.kind().as_str()));
        self.observer.count(&SAMPLER_POLLS, 1, error_type.as_slice());
        if let Some(error) = news.error.as_ref().filter(|_| news.is_first_failure) {
            self.observer.event(&Event::SamplingStrategyFailed { error });
        }
        if let Some(outage) = news.outage {
            self.observer.event(&Event::SamplingStrategyRecovered { outage });
        }
        if let Some((generation, strategy)) = &news.applied {
            self.observer.event(&Event::SamplingStrategyApplied {
                generation: *generation,
                strategy,
            });
        }
    }

    pub(super) fn books(&self) -> Books<A::Strategy> {
        self.books.lock().clone()
    }

    pub(super) fn decisions(&self) -> SamplerStats {
        let mut rules = Vec::new();
        self.in_force
            .load()
            .visit_tallies(&mut |tally| rules.push(RuleCount::of(tally)));
        SamplerStats {
            rules,
            ..self.judge.stats()
        }
    }

    pub(super) fn description(&self) -> String {
        let in_force = self.in_force.load();
        if self.follows_parents {
            in_force.description()
        } else {
            in_force.root().description()
        }
    }
}

impl<S> Books<S> {
    pub(super) fn success_age(&self, now: Instant) -> Option<Duration> {
        self.last_success.map(|at| now.saturating_duration_since(at))
    }
}

impl<A: Active> Tick for State<A> {
    fn attach(&self, waker: Waker) {
        self.in_force.load().root().attach(&waker);
        *self.waker.lock() = Some(waker);
    }

    fn tick(&self, now: Instant) {
        let _replacing = self.books.lock();
        let next = self.in_force.load().root().tick(now);
        if let Some(next) = next {
            self.in_force.store(Arc::new(ParentThreshold::new(next)));
        }
    }
}

impl<A: Active> fmt::Debug for State<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("in_force", &self.in_force.load())
            .field("books", &self.books)
            .finish_non_exhaustive()
    }
}
