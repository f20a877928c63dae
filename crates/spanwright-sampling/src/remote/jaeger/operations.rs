//! Probabilities by operation: the name of the span that a trace begins with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::floor::Floor;
use super::strategy::OperationStrategies;
use crate::intent::Intent;
use crate::probability::Threshold;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::tally::{Tally, TallyPool};

/// How many operations that the server does not name get a lower bound of their own. As many as Jaeger's clients keep; the others
/// share one.
const MAX_SEEN: usize = 2000;

/// How many new names are taken between two ticks. The others are met again.
const MAX_NEWCOMERS: usize = 64;

/// Longer names are no operations that anybody would look for.
const MAX_NAME_LEN: usize = 256;

/// How long an operation that the server does not name may be silent before another one may have its place.
const IDLE: Duration = Duration::from_secs(600);

/// How often the rates are brought up to date. A lower bound is one trace a minute, not one in ten milliseconds.
const TICK: Duration = Duration::from_secs(1);

const OTHERS: &str = "other operations";

/// Everything that is known of a service's operations. Made anew when a name comes or goes; what is known of each goes along.
#[derive(Debug)]
pub(super) struct Operations {
    by_name: HashMap<Arc<str>, Known, RandomState>,
    /// For the names beyond [`MAX_SEEN`].
    others: Arc<Operation>,
    default_probability: f64,
    lower_bound: f64,
    /// How many of them the server does not name.
    seen: usize,
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Known {
    operation: Arc<Operation>,
    is_named: bool,
}

/// What outlives each of the tables.
#[derive(Debug, Default)]
struct Shared {
    operations: AtomicU64,
    newcomers: Mutex<Newcomers>,
    tallies: Mutex<TallyPool>,
    ticked: Mutex<Option<Instant>>,
}

/// Names that no table has yet.
#[derive(Debug, Default)]
struct Newcomers {
    names: Vec<Arc<str>>,
    /// How many of the first are in the table that a tick made of them. They stay for one tick more: until that table is in force,
    /// spans of theirs still miss them, and are not to remember them once again.
    admitted: usize,
}

/// One operation.
#[derive(Debug)]
struct Operation {
    number: u64,
    tally: Tally,
    /// Its probability, as the bits of an `f64`. It changes in place.
    probability: AtomicU64,
    floor: Floor,
}

impl Operations {
    /// The first table, or the next one after `before`.
    pub(super) fn new(strategies: &OperationStrategies, before: Option<&Self>) -> Self {
        let shared = before.map(|before| Arc::clone(&before.shared)).unwrap_or_default();
        let others = before.map(|before| Arc::clone(&before.others));
        let mut operations = Self {
            by_name: HashMap::with_capacity_and_hasher(strategies.probabilities.len(), RandomState::default()),
            others: others.unwrap_or_else(|| shared.operation(OTHERS.into())),
            default_probability: strategies.default_probability,
            lower_bound: strategies.lower_bound,
            seen: 0,
            shared,
        };
        operations.others.set_probability(strategies.default_probability);
        for (name, probability) in &strategies.probabilities {
            let known = before.and_then(|before| before.by_name.get(name));
            operations.add(name, known, *probability, true);
        }
        // What was seen, or named before, is one of the others now. Without a lower bound nothing sets these apart.
        if let Some(before) = before.filter(|_| strategies.lower_bound > 0.0) {
            for (name, known) in &before.by_name {
                if !operations.by_name.contains_key(name) && operations.seen < MAX_SEEN {
                    operations.add(name, Some(known), strategies.default_probability, false);
                }
            }
        }
        operations
    }

    fn add(&mut self, name: &Arc<str>, known: Option<&Known>, probability: f64, is_named: bool) {
        let operation = known.map(|known| Arc::clone(&known.operation));
        let operation = operation.unwrap_or_else(|| self.shared.operation(Arc::clone(name)));
        operation.set_probability(probability);
        self.by_name.insert(Arc::clone(name), Known { operation, is_named });
        self.seen += usize::from(!is_named);
    }

    pub(super) fn intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let known = self.by_name.get(span.name());
        if known.is_none() && self.lower_bound > 0.0 && !span.is_rehearsal() {
            self.meet(span.name());
        }
        let operation = known.map_or(&self.others, |known| &known.operation);
        span.explain(|| {
            let (name, probability) = (operation.tally.name(), operation.probability());
            let bound = self.lower_bound;
            format!("remote: `{name}` has a share of {probability}, and at least {bound} traces/s")
        });
        operation.intent(self.lower_bound > 0.0, !span.is_rehearsal())
    }

    /// Remembers a name for the next tick, unless somebody else is at it.
    #[cold]
    fn meet(&self, name: &str) {
        // Where all places are taken one may become free, but that is not worth much.
        let is_worth_it = self.seen < MAX_SEEN || fastrand::u8(..) == 0;
        if is_worth_it
            && name.len() <= MAX_NAME_LEN
            && let Some(mut newcomers) = self.shared.newcomers.try_lock()
        {
            newcomers.meet(name);
        }
    }

    /// It is `now`. Returns the next table, if there are new names.
    pub(super) fn tick(&self, now: Instant) -> Option<Self> {
        let mut ticked = self.shared.ticked.lock();
        if self.lower_bound == 0.0 || ticked.is_some_and(|ticked| now.saturating_duration_since(ticked) < TICK) {
            return None;
        }
        *ticked = Some(now);
        for operation in self.all() {
            operation.tick(now, self.lower_bound);
        }
        let newcomers = self.shared.newcomers.lock().admit();
        if newcomers.is_empty() {
            None
        } else {
            self.with(&newcomers)
        }
    }

    /// With these besides, as far as there is room for them.
    fn with(&self, newcomers: &[Arc<str>]) -> Option<Self> {
        let mut next = Self {
            by_name: self.by_name.clone(),
            others: Arc::clone(&self.others),
            default_probability: self.default_probability,
            lower_bound: self.lower_bound,
            seen: self.seen,
            shared: Arc::clone(&self.shared),
        };
        if self.seen + newcomers.len() > MAX_SEEN {
            let stays = |known: &Known| known.is_named || known.operation.floor.silence() < IDLE;
            next.by_name.retain(|_, known| stays(known));
            next.seen = next.by_name.values().filter(|known| !known.is_named).count();
        }
        for name in newcomers {
            if next.seen < MAX_SEEN && !next.by_name.contains_key(name) {
                next.add(name, None, self.default_probability, false);
            }
        }
        Some(next)
    }

    /// Shows what was decided for each, in the order in which they were met.
    pub(super) fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        let mut operations: Vec<_> = self.all().collect();
        operations.sort_unstable_by_key(|operation| operation.number);
        operations.into_iter().for_each(|operation| visit(&operation.tally));
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.by_name
            .values()
            .map(|known| &known.operation)
            .chain([&self.others])
    }
}

impl Shared {
    fn operation(&self, name: Arc<str>) -> Arc<Operation> {
        Arc::new(Operation {
            // Relaxed: the number stands alone.
            number: self.operations.fetch_add(1, Ordering::Relaxed),
            tally: self.tallies.lock().tally(name),
            probability: AtomicU64::new(0),
            floor: Floor::new(),
        })
    }
}

impl Newcomers {
    fn meet(&mut self, name: &str) {
        let has_room = self.names.len() - self.admitted < MAX_NEWCOMERS;
        if has_room && !self.names.iter().any(|known| **known == *name) {
            self.names.push(name.into());
        }
    }

    /// Those for the next table.
    fn admit(&mut self) -> Vec<Arc<str>> {
        self.names.drain(..self.admitted);
        self.admitted = self.names.len();
        self.names.clone()
    }
}

impl Operation {
    fn intent(&self, has_floor: bool, counts: bool) -> Intent<'_> {
        let own = Threshold::from_probability(self.probability());
        let floor = if has_floor { self.floor.under(own, counts) } else { None };
        let intent = match (floor, own) {
            (Some(floor), _) => Intent::keep_at(floor, Reason::RateLimit),
            (None, Some(own)) => Intent::keep_at(own, Reason::Probability),
            (None, None) => Intent::drop(Reason::Probability),
        };
        intent.by_rule(&self.tally)
    }

    fn tick(&self, now: Instant, bound: f64) {
        let offered = self.tally.dropped() + self.tally.kept();
        self.floor.tick(now, offered, self.probability(), bound);
    }

    fn probability(&self) -> f64 {
        // Relaxed: the number stands alone.
        f64::from_bits(self.probability.load(Ordering::Relaxed))
    }

    fn set_probability(&self, probability: f64) {
        self.probability.store(probability.to_bits(), Ordering::Relaxed);
    }
}
