//! What the sampler, the thread that asks and the ticker share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use spanwright_core::semconv::{SAMPLER_POLLS, attribute};
use spanwright_core::{Event, Observer};

use super::active::Active;
use super::error::RemoteError;
use super::strategy::Strategy;
use crate::composable::{AlwaysOff, ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::sampler::Decision;
use crate::span::StartingSpan;
use crate::stats::{RuleCount, SamplerStats};
use crate::ticker::{Tick, Waker};

/// Decides by the strategy in force, and replaces it.
pub(super) struct State {
    /// Decides by whatever is in force. What it counts goes on from one to the next; it has nothing of its own to decide by.
    judge: CompositeSampler<AlwaysOff>,
    in_force: ArcSwap<ParentThreshold<Active>>,
    follows_parents: bool,
    /// Held by whoever replaces what is in force.
    books: Mutex<Books>,
    waker: Mutex<Option<Waker>>,
    observer: Arc<dyn Observer>,
}

#[derive(Clone, Debug)]
pub(super) struct Books {
    strategy: Option<Strategy>,
    pub(super) words: String,
    pub(super) generation: u64,
    pub(super) polls: u64,
    pub(super) failures: u64,
    pub(super) last_error: Option<String>,
    pub(super) last_success: Option<Instant>,
    failing_since: Option<Instant>,
}

/// What a poll has changed, to be told when no lock is held.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct News {
    error: Option<RemoteError>,
    is_first_failure: bool,
    outage: Option<Duration>,
    applied: Option<(u64, String)>,
}

impl State {
    pub(super) fn new(
        initial: Arc<dyn ComposableSampler>,
        follows_parents: bool,
        records_adjusted_count: bool,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let words = format!("none yet: {}", initial.description());
        Self {
            judge: CompositeSampler::new(AlwaysOff).with_adjusted_count(records_adjusted_count),
            in_force: ArcSwap::from_pointee(ParentThreshold::new(Active::Initial(initial))),
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

    /// A poll at `now` brought this strategy.
    ///
    /// # Errors
    ///
    /// It cannot be applied, and nothing has been booked.
    pub(super) fn succeeded(&self, now: Instant, strategy: Strategy) -> Result<News, RemoteError> {
        let mut books = self.books.lock();
        let applied = if books.strategy.as_ref() == Some(&strategy) {
            None
        } else {
            let before = self.in_force.load();
            let active = Active::following(&strategy, before.root(), self.waker.lock().as_ref())?;
            self.in_force.store(Arc::new(ParentThreshold::new(active)));
            books.generation += 1;
            books.words = strategy.to_string();
            books.strategy = Some(strategy);
            Some((books.generation, books.words.clone()))
        };
        books.polls += 1;
        books.last_success = Some(now);
        let failing_since = books.failing_since.take();
        Ok(News {
            outage: failing_since.map(|since| now.saturating_duration_since(since)),
            applied,
            ..News::default()
        })
    }

    /// A poll at `now` brought none.
    pub(super) fn failed(&self, now: Instant, error: &RemoteError) -> News {
        let mut books = self.books.lock();
        books.polls += 1;
        books.failures += 1;
        books.last_error = Some(error.to_string());
        let is_first_failure = books.failing_since.is_none();
        books.failing_since.get_or_insert(now);
        News {
            error: Some(error.clone()),
            is_first_failure,
            ..News::default()
        }
    }

    /// Tells the observer.
    pub(super) fn tell(&self, news: &News) {
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

    /// The observer panicked. The poll was none the worse for it.
    pub(super) fn observer_panicked(&self, error: &RemoteError) {
        self.books.lock().last_error = Some(format!("the observer panicked: {error}"));
    }

    pub(super) fn books(&self) -> Books {
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

impl Books {
    pub(super) fn success_age(&self, now: Instant) -> Option<Duration> {
        self.last_success.map(|at| now.saturating_duration_since(at))
    }
}

impl Tick for State {
    fn attach(&self, waker: Waker) {
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

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("in_force", &self.in_force.load())
            .field("books", &self.books)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
