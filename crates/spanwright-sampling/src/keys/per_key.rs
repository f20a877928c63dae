//! A budget that is shared over keys.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use spanwright_core::{BuildError, Pressure};

use super::builder::PerKeyBuilder;
use super::cells::Cells;
use super::engine::{Engine, Terms};
use super::source::SpanKey;
use super::stats::{KeyShare, KeyStats};
use super::table::Fingerprint;
use crate::composable::{ComposableSampler, ParentThreshold};
use crate::composite::CompositeSampler;
use crate::intent::Intent;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::ticker::{Tick, Ticker};

/// Shares a budget of traces per second over keys: routes, tenants, anything that spans can be told apart by.
///
/// A busy key cannot crowd out the others, and rare ones are kept whole. A key with a rate `r` is sampled with
///
/// ```text
/// p = min(1, max(weight * level, floor) / r)        sum(p * r) = target
/// ```
///
/// where the *level* is the same for all keys: who asks for less than it is kept whole, who asks for more gets as much as anybody
/// (max-min fairness). Probabilities are fractions, written down as thresholds, so that every kept span says how many it stands
/// for, for each key and in total.
///
/// # Keys beyond the bound, and new ones
///
/// Memory is fixed. Keys that find no room share one budget, a tenth of the target if they need it, and are counted. So do new keys,
/// for about a second: until their rates are known they get what is left for the unknown, however many come at once. A key without
/// spans for a minute gives its room up; sooner, down to five seconds, while others are turned away.
///
/// # Time
///
/// It must be ticked, about every [`Ticker::INTERVAL`]: by [`spawn`](PerKeyBuilder::spawn), or by its owner. Without ticks it goes on
/// with what it knew last, and keeps little of what is new. A change of the whole traffic, or of a key that has more than a sixtieth
/// of it, is followed within a tick or two; that of a rarer key within the seconds that it takes to have some 25 spans more, or
/// fewer, than it used to. What is kept stays near the target meanwhile: bursts of known, unknown and new keys are held by
/// probabilities that fall within the tick, and what was kept too much or too little is made up for in the next seconds.
///
/// # Cost
///
/// A decision: the key's hash, a search in one or two cache lines, two counters. No lock, no clock, no allocation, also for new keys.
/// Keys that many threads are at are counted by each thread for itself.
/// A tick: some microseconds, and once a second, or where the traffic changes, a pass over all cells.
/// Memory: about 180 bytes for each of [`max_keys`](PerKeyBuilder::max_keys), from the beginning.
/// Figures: `docs/performance.md`.
///
/// Clones are the same sampler.
///
/// # Source
///
/// Bertsekas, Gallager, "Data Networks", section 6.5.2 (max-min fairness).
#[derive(Clone)]
pub struct PerKey {
    pub(super) shared: Arc<Shared>,
}

/// Shares a budget over keys for traces that begin here, and follows what was decided for the parent elsewhere.
///
/// ```
/// use spanwright_sampling::{PerKeySampler, SpanKey};
///
/// let sampler = PerKeySampler::builder()
///     .key(SpanKey::attribute("tenant.id"))
///     .target_per_second(100.0)
///     .max_keys(20_000)
///     .build()?; // or `.spawn()`, and nobody needs to tick it
/// # let now = spanwright_core::Clock::now(&spanwright_core::SystemClock);
/// sampler.tick(now);
/// assert_eq!(sampler.key_stats().offered, 0);
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
pub type PerKeySampler = CompositeSampler<ParentThreshold<PerKey>>;

pub(super) struct Shared {
    key: SpanKey,
    seed: u64,
    cells: Cells,
    /// Beside the way of a decision: ticks and those who look.
    pub(super) engine: Mutex<Engine>,
    pressure: Option<Pressure>,
}

impl CompositeSampler<ParentThreshold<PerKey>> {
    /// Begins to make one.
    #[must_use]
    pub fn builder() -> PerKeyBuilder {
        PerKeyBuilder::new()
    }

    /// It is `now`. For those who do not [`spawn`](PerKeyBuilder::spawn); see [`PerKey::tick`].
    pub fn tick(&self, now: Instant) {
        self.composable().root().tick(now);
    }

    /// What was counted, and how the budget is shared now.
    #[must_use]
    pub fn key_stats(&self) -> KeyStats {
        self.composable().root().stats()
    }

    /// The `count` keys with the most spans, most first.
    #[must_use]
    pub fn top_keys(&self, count: usize) -> Vec<KeyShare> {
        self.composable().root().top(count)
    }
}

impl PerKey {
    pub(super) fn new(key: SpanKey, seed: u64, max_keys: usize, terms: Terms, pressure: Option<Pressure>) -> Self {
        let cells = Cells::new(max_keys);
        let engine = Engine::new(terms, &cells);
        Self {
            shared: Arc::new(Shared {
                key,
                seed,
                cells,
                engine: Mutex::new(engine),
                pressure,
            }),
        }
    }

    /// It is `now`, which should be the case about every [`Ticker::INTERVAL`].
    ///
    /// How long it has been is measured. Less than 10 ms, or time that goes back, is added to the next tick.
    ///
    /// # Cost
    ///
    /// Some microseconds; once a second, or if the traffic changes, O(`max_keys`). No allocation.
    pub fn tick(&self, now: Instant) {
        self.shared.tick(now);
    }

    /// What was counted, and how the budget is shared now.
    ///
    /// # Cost
    ///
    /// O(`max_keys`) to sum the counts; a tick at the same time waits, decisions do not.
    #[must_use]
    pub fn stats(&self) -> KeyStats {
        self.shared.engine.lock().stats(&self.shared.cells)
    }

    /// The `count` keys with the most spans, most first. Keys that are too new to have a budget of their own are left out.
    ///
    /// # Cost
    ///
    /// O(`max_keys`), and an allocation for each key; a tick at the same time waits, decisions do not.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<KeyShare> {
        self.shared.engine.lock().top(&self.shared.cells, count)
    }

    /// Lets the ticker of the process tick it, until its last owner lets it go.
    pub(crate) fn drive(&self) -> Result<(), BuildError> {
        Ticker::shared().drive(&self.shared)
    }
}

impl Tick for Shared {
    fn tick(&self, now: Instant) {
        let pressure = self.pressure.as_ref().map_or(0.0, Pressure::get);
        self.engine.lock().tick(&self.cells, now, pressure);
    }
}

impl ComposableSampler for PerKey {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let Shared { key, seed, cells, .. } = &*self.shared;
        let fingerprint = Fingerprint::new(key.hash(span, *seed));
        if !span.is_rehearsal() {
            let (threshold, reason) = cells.decide(fingerprint, || key.text(span));
            return Intent::keep_at(threshold, reason);
        }
        let (threshold, reason) = cells.foresee(fingerprint);
        span.explain(|| {
            let text = key.text(span);
            let whose = if reason == Reason::Key {
                "it"
            } else {
                "keys without room"
            };
            let probability = threshold.probability();
            format!(
                "per key: `{}` by {key}; the budget leaves {whose} a share of {probability}",
                text.as_lossy()
            )
        });
        Intent::keep_at(threshold, reason)
    }

    fn description(&self) -> String {
        format!("ComposablePerKey{{{}}}", self.shared.key)
    }
}

impl fmt::Debug for PerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerKey")
            .field("key", &self.shared.key)
            .field("max_keys", &self.shared.cells.table.max_keys())
            .finish_non_exhaustive()
    }
}
