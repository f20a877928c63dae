//! What a per-key sampler is made of.

use spanwright_core::{BuildError, Pressure};

use super::engine::Terms;
use super::per_key::{PerKey, PerKeySampler};
use super::source::SpanKey;
use super::table::Fingerprint;
use crate::composable::ParentThreshold;
use crate::composite::CompositeSampler;

/// Makes a [`PerKeySampler`], or a [`PerKey`] for others to compose.
#[derive(Clone, Debug)]
pub struct PerKeyBuilder {
    key: SpanKey,
    target: Option<f64>,
    max_keys: usize,
    floor: f64,
    overflow_share: f64,
    weights: Vec<(Vec<String>, f64)>,
    pressure: Option<Pressure>,
    seed: Option<u64>,
}

impl PerKeyBuilder {
    /// Room for as many keys as one service has routes or tenants in nearly every case, for 2 MB.
    pub const DEFAULT_MAX_KEYS: usize = 10_000;

    /// Enough to see what the unknown keys are like, little enough for them not to crowd out the known ones.
    pub const DEFAULT_OVERFLOW_SHARE: f64 = 0.1;

    const MAX_KEYS: usize = 1_000_000;
    const MIN_RATE: f64 = 1e-6;
    const MAX_RATE: f64 = 1e9;
    const WEIGHTS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

    pub(super) fn new() -> Self {
        Self {
            key: SpanKey::span_name(),
            target: None,
            max_keys: Self::DEFAULT_MAX_KEYS,
            floor: 0.0,
            overflow_share: Self::DEFAULT_OVERFLOW_SHARE,
            weights: Vec::new(),
            pressure: None,
            seed: None,
        }
    }

    /// What spans are told apart by. Default: their names, which for servers are their routes.
    #[must_use]
    pub fn key(mut self, key: SpanKey) -> Self {
        self.key = key;
        self
    }

    /// How many traces are to be kept per second, over all keys: 10^-6 to 10^9. There is no default.
    #[must_use]
    pub fn target_per_second(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// How many keys have a budget of their own at a time, 1 to 1 000 000. Default:
    /// [`DEFAULT_MAX_KEYS`](Self::DEFAULT_MAX_KEYS). The memory for them, about 180 bytes each, is taken at once.
    #[must_use]
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// How many traces per second are kept of each key that has a budget of its own, whatever the target: 0 to 10^9. Default: 0.
    ///
    /// `p = max(p, min(1, floor / rate))`, as if a sampler of that rate was joined by [`AnyOf`](crate::AnyOf). Where the floors
    /// of all keys come to more than the target, the floors count. Under pressure they fall with it.
    #[must_use]
    pub fn min_per_second(mut self, floor: f64) -> Self {
        self.floor = floor;
        self
    }

    /// How much of the target is for spans of keys that are new or find no room, if they need it, from 0.01 to 0.9. What they do not
    /// need goes to the others. Default: [`DEFAULT_OVERFLOW_SHARE`](Self::DEFAULT_OVERFLOW_SHARE).
    #[must_use]
    pub fn overflow_share(mut self, share: f64) -> Self {
        self.overflow_share = share;
        self
    }

    /// The key with this text counts for so many, 0.001 to 1000, when the budget is shared. Default: 1 for every key. Of a key with
    /// several parts, the text of each.
    ///
    /// ```
    /// # use spanwright_sampling::{PerKeySampler, SpanKey};
    /// # PerKeySampler::builder().target_per_second(1.0)
    /// .key(SpanKey::attribute("tenant.id").and(SpanKey::span_name()))
    /// .with_weight(["gold", "GET /orders"], 4.0)
    /// # .build().unwrap();
    /// ```
    #[must_use]
    pub fn with_weight<T: Into<String>>(mut self, key: impl IntoIterator<Item = T>, weight: f64) -> Self {
        self.weights.push((key.into_iter().map(Into::into).collect(), weight));
        self
    }

    /// Keep less while the pipeline is under pressure: `1 - pressure` of the target. Default: no pressure.
    #[must_use]
    pub fn with_pressure(mut self, pressure: Pressure) -> Self {
        self.pressure = Some(pressure);
        self
    }

    /// Where the hashes of the keys begin. For tests that must come out the same each time. Default: at random, so that nobody can
    /// make keys that share a cell.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the sampler. Its owner ticks it.
    ///
    /// # Errors
    ///
    /// No target, a setting outside of its range, or NaN.
    pub fn build(self) -> Result<PerKeySampler, BuildError> {
        Ok(CompositeSampler::new(ParentThreshold::new(self.build_composable()?)))
    }

    /// Makes a sampler for others to compose. Its owner ticks it.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_composable(self) -> Result<PerKey, BuildError> {
        let Some(target) = self.target else {
            let accepted = "a number of traces per second";
            return Err(BuildError::new("target_per_second", "nothing", accepted));
        };
        let target = BuildError::check_range("target_per_second", target, Self::MIN_RATE..=Self::MAX_RATE)?;
        let max_keys = BuildError::check_range("max_keys", self.max_keys, 1..=Self::MAX_KEYS)?;
        let floor = BuildError::check_range("min_per_second", self.floor, 0.0..=Self::MAX_RATE)?;
        let overflow_share = BuildError::check_range("overflow_share", self.overflow_share, 0.01..=0.9)?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let mut weights = Vec::with_capacity(self.weights.len());
        for (key, weight) in &self.weights {
            let weight = BuildError::check_range("weight", *weight, Self::WEIGHTS)?;
            let fingerprint = Fingerprint::new(SpanKey::hash_of_texts(key, seed));
            weights.push((fingerprint, weight as f32));
        }
        weights.sort_by_key(|(key, _)| *key);
        let terms = Terms {
            target,
            floor,
            overflow_share,
            weights,
        };
        Ok(PerKey::new(self.key, seed, max_keys, terms, self.pressure))
    }

    /// Makes the sampler and lets the [`Ticker`](crate::Ticker) of the process tick it.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), or the system cannot start a thread.
    pub fn spawn(self) -> Result<PerKeySampler, BuildError> {
        let sampler = self.build()?;
        sampler.composable().root().drive()?;
        Ok(sampler)
    }
}
