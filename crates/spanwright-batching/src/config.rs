//! The settings of the queue and the batches.

use std::time::Duration;

use spanwright_core::{BuildError, Env};

use crate::intake::Bound;
use crate::memory::available_memory;
use crate::overflow::OverflowPolicy;

/// How much is held, when it leaves, and what happens when there is no room.
///
/// Names and defaults are those of the specification where it has them; `docs/defaults.md` has the reasons for all of them.
///
/// ```
/// use std::time::Duration;
/// use spanwright_batching::{BatchConfig, OverflowPolicy};
///
/// let config = BatchConfig::for_available_memory()
///     .with_max_queue_bytes(16 << 20)
///     .with_scheduled_delay(Duration::from_millis(200))
///     .with_overflow_policy(OverflowPolicy::DropTraces);
/// assert!(config.validate().is_ok());
/// assert_eq!(config.with_max_queue_size(0).validate().unwrap_err().field(), "max_queue_size");
/// ```
///
/// # Source
///
/// [Batching processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#batching-processor),
/// [its variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor).
#[derive(Clone, Debug, PartialEq)]
pub struct BatchConfig {
    max_queue_size: usize,
    max_queue_bytes: usize,
    max_export_batch_size: usize,
    max_export_batch_bytes: usize,
    max_request_bytes: usize,
    scheduled_delay: Duration,
    export_timeout: Duration,
    max_concurrent_exports: usize,
    overflow_policy: OverflowPolicy,
    high_priority_share: f64,
    high_watermark: f64,
    retry_backoff: Duration,
    max_retry_backoff: Duration,
}

impl BatchConfig {
    /// Items that wait to be put into a request: the room for a burst. The specification's value.
    pub const DEFAULT_MAX_QUEUE_SIZE: usize = 2048;
    /// Bytes of all items that are still ours: the memory that an outage may cost. 64 MiB are 30 s at 5 000 spans/s of 400 B.
    pub const DEFAULT_MAX_QUEUE_BYTES: usize = 64 << 20;
    /// The specification's value.
    pub const DEFAULT_MAX_EXPORT_BATCH_SIZE: usize = 512;
    /// Far below the 4 MiB that gRPC servers take by default, and enough that a request's own cost does not matter.
    pub const DEFAULT_MAX_EXPORT_BATCH_BYTES: usize = 1 << 20;
    /// What a receiver is never sent more of: OTLP's own limit.
    pub const DEFAULT_MAX_REQUEST_BYTES: usize = 64 << 20;
    /// The specification's value; [`for_available_memory`](Self::for_available_memory) chooses 500 ms.
    pub const DEFAULT_SCHEDULED_DELAY: Duration = Duration::from_secs(5);
    /// The specification's value.
    pub const DEFAULT_EXPORT_TIMEOUT: Duration = Duration::from_secs(30);
    /// 64 requests of 512 spans at a round trip of 100 ms are 320 000 spans/s. The stock processor has 1, which is 5 000. An exporter that
    /// knows what its receiver takes has fewer.
    pub const DEFAULT_MAX_CONCURRENT_EXPORTS: usize = 64;
    /// A fifth: errors are a few per cent, and an incident multiplies them.
    pub const DEFAULT_HIGH_PRIORITY_SHARE: f64 = 0.2;
    /// Where pressure begins.
    pub const DEFAULT_HIGH_WATERMARK: f64 = 0.8;
    /// The first pause after a failed request; drawn from 0 to this (full jitter), doubling each time.
    pub const DEFAULT_RETRY_BACKOFF: Duration = Duration::from_millis(100);
    /// The longest pause: how long after its recovery a receiver may still wait for us.
    pub const DEFAULT_MAX_RETRY_BACKOFF: Duration = Duration::from_secs(5);

    /// A configuration for the memory that this process may use: the limit of its cgroup, or the machine's memory where there
    /// is none.
    ///
    /// | memory | `max_queue_size` | `max_export_batch_size` |
    /// |---|---|---|
    /// | 16 GiB and more | 8192 | 1024 |
    /// | 8 GiB and more | 4096 | 512 |
    /// | less, or unknown | 2048 | 256 |
    ///
    /// `max_queue_bytes` is a 64th of the memory, 8 to 64 MiB; `scheduled_delay` 500 ms, `export_timeout` 30 s.
    #[must_use]
    pub fn for_available_memory() -> Self {
        Self::for_memory(available_memory())
    }

    pub(crate) fn for_memory(bytes: Option<u64>) -> Self {
        const GIB: u64 = 1 << 30;
        let (max_queue_size, max_export_batch_size) = match bytes {
            Some(bytes) if bytes >= 16 * GIB => (8192, 1024),
            Some(bytes) if bytes >= 8 * GIB => (4096, 512),
            _ => (2048, 256),
        };
        let share = bytes.map_or(Self::DEFAULT_MAX_QUEUE_BYTES as u64 / 4, |bytes| bytes / 64);
        Self {
            max_queue_size,
            max_export_batch_size,
            max_queue_bytes: share.clamp(8 << 20, 64 << 20) as usize,
            scheduled_delay: Duration::from_millis(500),
            ..Self::default()
        }
    }

    /// Takes `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_EXPORT_TIMEOUT`
    /// and `OTEL_BSP_MAX_CONCURRENT_EXPORTS` over what is set. A value that cannot be used is noted in `env`, and ignored.
    #[must_use]
    pub fn with_env(mut self, env: &Env) -> Self {
        const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
        const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
        let millis = 1..=MAX_DURATION.as_millis() as u64;
        let queue = env.integer(QUEUE, 1..=Bound::MAX.items).map(|size| size as usize);
        let batch = env.integer(BATCH, 1..=Bound::MAX.items).map(|size| size as usize);
        self.max_queue_size = queue.unwrap_or(self.max_queue_size);
        // Only one of the two may be set: the other then gives way.
        let fits = batch.unwrap_or(self.max_export_batch_size).min(self.max_queue_size);
        if let Some(batch) = batch.filter(|batch| *batch > fits) {
            env.ignore(
                BATCH,
                batch.to_string(),
                &format!("at most the size of the queue, {fits}"),
            );
        }
        self.max_export_batch_size = fits;
        let delay = env.milliseconds("OTEL_BSP_SCHEDULE_DELAY", millis.clone());
        self.scheduled_delay = delay.unwrap_or(self.scheduled_delay);
        let timeout = env.milliseconds("OTEL_BSP_EXPORT_TIMEOUT", millis);
        self.export_timeout = timeout.unwrap_or(self.export_timeout);
        let concurrent = env.integer("OTEL_BSP_MAX_CONCURRENT_EXPORTS", 1..=MAX_CONCURRENT_EXPORTS as u64);
        self.max_concurrent_exports = concurrent.map_or(self.max_concurrent_exports, |exports| exports as usize);
        self
    }

    /// The most items that wait to be put into a request, over all threads.
    ///
    /// Items. Default 2048, the specification's. 1 to 16 000 000. `OTEL_BSP_MAX_QUEUE_SIZE`.
    #[must_use]
    pub fn with_max_queue_size(mut self, items: usize) -> Self {
        self.max_queue_size = items;
        self
    }

    /// The most encoded bytes that are held: waiting, on the way, or parked while the receiver is away.
    ///
    /// Bytes. Default 64 MiB. 4 KiB to 512 GiB.
    #[must_use]
    pub fn with_max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue_bytes = bytes;
        self
    }

    /// The most items of a request; a request leaves as soon as it has so many.
    ///
    /// Items. Default 512, the specification's. 1 to `max_queue_size`. `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
    #[must_use]
    pub fn with_max_export_batch_size(mut self, items: usize) -> Self {
        self.max_export_batch_size = items;
        self
    }

    /// The most bytes of a request, without its headers. An item that is larger by itself goes alone.
    ///
    /// Bytes. Default 1 MiB. 1 KiB to `max_request_bytes`.
    #[must_use]
    pub fn with_max_export_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_export_batch_bytes = bytes;
        self
    }

    /// The largest item that is taken at all; a larger one is lost as `too_large`.
    ///
    /// Bytes. Default 64 MiB, the protocol's limit. 1 KiB to 1 GiB.
    #[must_use]
    pub fn with_max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// How long an item waits at most for its request to fill.
    ///
    /// Default 5 s, the specification's. 1 ms to 1 h. `OTEL_BSP_SCHEDULE_DELAY` (milliseconds).
    #[must_use]
    pub fn with_scheduled_delay(mut self, delay: Duration) -> Self {
        self.scheduled_delay = delay;
        self
    }

    /// How long one export may take before it is cancelled (and its items parked).
    ///
    /// Default 30 s, the specification's. 1 ms to 1 h. `OTEL_BSP_EXPORT_TIMEOUT` (milliseconds).
    #[must_use]
    pub fn with_export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = timeout;
        self
    }

    /// How many requests may be under way at once, for each destination.
    ///
    /// Requests. Default 64. 1 to 1024. `OTEL_BSP_MAX_CONCURRENT_EXPORTS`.
    #[must_use]
    pub fn with_max_concurrent_exports(mut self, requests: usize) -> Self {
        self.max_concurrent_exports = requests;
        self
    }

    /// What is dropped when there is no room. Default [`OverflowPolicy::DropNewest`].
    #[must_use]
    pub fn with_overflow_policy(mut self, policy: OverflowPolicy) -> Self {
        self.overflow_policy = policy;
        self
    }

    /// The share of the queue that items of high priority may take from normal ones that wait.
    ///
    /// A ratio. Default 0.2. 0 to 1; 0 switches it off.
    #[must_use]
    pub fn with_high_priority_share(mut self, share: f64) -> Self {
        self.high_priority_share = share;
        self
    }

    /// The share of the bound above which pressure is published and [`Event::QueueHigh`](spanwright_core::Event) is sent.
    ///
    /// A ratio. Default 0.8. 0.1 to 0.99.
    #[must_use]
    pub fn with_high_watermark(mut self, share: f64) -> Self {
        self.high_watermark = share;
        self
    }

    /// The pause after the first failed request and the longest one. Each is drawn from 0 to the bound, which doubles with
    /// every failure; a delay that the server asks for is the least.
    ///
    /// Default 100 ms and 5 s. 1 ms to 1 h, the first not longer than the second.
    #[must_use]
    pub fn with_retry_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.retry_backoff = first;
        self.max_retry_backoff = longest;
        self
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// The first that cannot be used: its name, value, and what is accepted.
    pub fn validate(&self) -> Result<(), BuildError> {
        let durations = MIN_DURATION..=MAX_DURATION;
        BuildError::check_range("max_queue_size", self.max_queue_size, 1..=Bound::MAX.items as usize)?;
        BuildError::check_range(
            "max_queue_bytes",
            self.max_queue_bytes,
            4096..=Bound::MAX.bytes as usize,
        )?;
        BuildError::check_range(
            "max_export_batch_size",
            self.max_export_batch_size,
            1..=self.max_queue_size,
        )?;
        BuildError::check_range("max_request_bytes", self.max_request_bytes, 1024..=1 << 30)?;
        BuildError::check_range(
            "max_export_batch_bytes",
            self.max_export_batch_bytes,
            1024..=self.max_request_bytes,
        )?;
        BuildError::check_range("scheduled_delay", self.scheduled_delay, durations.clone())?;
        BuildError::check_range("export_timeout", self.export_timeout, durations.clone())?;
        BuildError::check_range(
            "max_concurrent_exports",
            self.max_concurrent_exports,
            1..=MAX_CONCURRENT_EXPORTS,
        )?;
        BuildError::check_range("high_priority_share", self.high_priority_share, 0.0..=1.0)?;
        BuildError::check_range("high_watermark", self.high_watermark, 0.1..=0.99)?;
        BuildError::check_range("max_retry_backoff", self.max_retry_backoff, durations)?;
        BuildError::check_range(
            "retry_backoff",
            self.retry_backoff,
            MIN_DURATION..=self.max_retry_backoff,
        )?;
        Ok(())
    }

    /// See [`with_max_queue_size`](Self::with_max_queue_size).
    #[must_use]
    pub fn max_queue_size(&self) -> usize {
        self.max_queue_size
    }

    /// See [`with_max_queue_bytes`](Self::with_max_queue_bytes).
    #[must_use]
    pub fn max_queue_bytes(&self) -> usize {
        self.max_queue_bytes
    }

    /// See [`with_max_export_batch_size`](Self::with_max_export_batch_size).
    #[must_use]
    pub fn max_export_batch_size(&self) -> usize {
        self.max_export_batch_size
    }

    /// See [`with_scheduled_delay`](Self::with_scheduled_delay).
    #[must_use]
    pub fn scheduled_delay(&self) -> Duration {
        self.scheduled_delay
    }

    /// See [`with_export_timeout`](Self::with_export_timeout).
    #[must_use]
    pub fn export_timeout(&self) -> Duration {
        self.export_timeout
    }

    /// See [`with_max_concurrent_exports`](Self::with_max_concurrent_exports).
    #[must_use]
    pub fn max_concurrent_exports(&self) -> usize {
        self.max_concurrent_exports
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_queue_items: self.max_queue_size,
            max_queue_bytes: self.max_queue_bytes,
            max_batch_items: self.max_export_batch_size,
            max_batch_bytes: self.max_export_batch_bytes,
            max_item_bytes: self.max_request_bytes.min(self.max_queue_bytes),
            // A thread must not sit on much of a small queue, and a request is best made of whole chunks.
            chunk_items: (self.max_queue_size / 8).clamp(1, self.max_export_batch_size),
            wake_items: self.max_export_batch_size.min(self.max_queue_size.div_ceil(2)) as u64,
            reserved_items: (self.max_queue_size as f64 * self.high_priority_share) as u64,
            overflow: self.overflow_policy,
            high_watermark: self.high_watermark,
            scheduled_delay: self.scheduled_delay,
            max_concurrent_exports: self.max_concurrent_exports,
            retry_backoff: self.retry_backoff,
            max_retry_backoff: self.max_retry_backoff,
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_queue_size: Self::DEFAULT_MAX_QUEUE_SIZE,
            max_queue_bytes: Self::DEFAULT_MAX_QUEUE_BYTES,
            max_export_batch_size: Self::DEFAULT_MAX_EXPORT_BATCH_SIZE,
            max_export_batch_bytes: Self::DEFAULT_MAX_EXPORT_BATCH_BYTES,
            max_request_bytes: Self::DEFAULT_MAX_REQUEST_BYTES,
            scheduled_delay: Self::DEFAULT_SCHEDULED_DELAY,
            export_timeout: Self::DEFAULT_EXPORT_TIMEOUT,
            max_concurrent_exports: Self::DEFAULT_MAX_CONCURRENT_EXPORTS,
            overflow_policy: OverflowPolicy::default(),
            high_priority_share: Self::DEFAULT_HIGH_PRIORITY_SHARE,
            high_watermark: Self::DEFAULT_HIGH_WATERMARK,
            retry_backoff: Self::DEFAULT_RETRY_BACKOFF,
            max_retry_backoff: Self::DEFAULT_MAX_RETRY_BACKOFF,
        }
    }
}

const MIN_DURATION: Duration = Duration::from_millis(1);
const MAX_DURATION: Duration = Duration::from_secs(3600);
const MAX_CONCURRENT_EXPORTS: usize = 1024;

/// The settings as the engine needs them, checked.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_queue_items: usize,
    pub(crate) max_queue_bytes: usize,
    pub(crate) max_batch_items: usize,
    pub(crate) max_batch_bytes: usize,
    pub(crate) max_item_bytes: usize,
    pub(crate) chunk_items: usize,
    pub(crate) wake_items: u64,
    pub(crate) reserved_items: u64,
    pub(crate) overflow: OverflowPolicy,
    pub(crate) high_watermark: f64,
    pub(crate) scheduled_delay: Duration,
    pub(crate) max_concurrent_exports: usize,
    pub(crate) retry_backoff: Duration,
    pub(crate) max_retry_backoff: Duration,
}

impl Limits {
    /// Where a high queue counts as recovered: half, or lower if the high watermark is.
    pub(crate) fn low_watermark(&self) -> f64 {
        self.high_watermark.min(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_defaults_are_the_defaults() {
        let config = BatchConfig::default();
        assert_eq!((config.max_queue_size, config.max_export_batch_size), (2048, 512));
        assert_eq!(config.scheduled_delay, Duration::from_millis(5_000));
        assert_eq!(config.export_timeout, Duration::from_millis(30_000));
        assert!(config.validate().is_ok());
    }

    #[test]
    fn memory_chooses_the_sizes() {
        const GIB: u64 = 1 << 30;
        let sizes = |memory| {
            let config = BatchConfig::for_memory(memory);
            config.validate().unwrap();
            assert_eq!(
                (config.scheduled_delay.as_millis(), config.export_timeout.as_secs()),
                (500, 30)
            );
            (
                config.max_queue_size,
                config.max_export_batch_size,
                config.max_queue_bytes >> 20,
            )
        };
        assert_eq!(sizes(Some(64 * GIB)), (8192, 1024, 64));
        assert_eq!(sizes(Some(16 * GIB)), (8192, 1024, 64));
        assert_eq!(sizes(Some(16 * GIB - 1)), (4096, 512, 64));
        assert_eq!(sizes(Some(8 * GIB)), (4096, 512, 64));
        assert_eq!(sizes(Some(8 * GIB - 1)), (2048, 256, 64));
        assert_eq!(sizes(Some(GIB)), (2048, 256, 16));
        assert_eq!(sizes(Some(GIB / 8)), (2048, 256, 8));
        assert_eq!(sizes(None), (2048, 256, 16));
    }

    #[test]
    fn variables_are_taken_and_bad_ones_noted() {
        let env = Env::from_pairs([
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "soon"),
            ("OTEL_BSP_MAX_CONCURRENT_EXPORTS", "0"),
        ]);
        let config = BatchConfig::default().with_env(&env);
        // The batch size was not set, and gives way to the queue that was.
        assert_eq!((config.max_queue_size, config.max_export_batch_size), (100, 100));
        assert_eq!(config.scheduled_delay, Duration::from_millis(250));
        assert_eq!(config.export_timeout, BatchConfig::DEFAULT_EXPORT_TIMEOUT);
        assert_eq!(
            config.max_concurrent_exports,
            BatchConfig::DEFAULT_MAX_CONCURRENT_EXPORTS
        );
        let ignored: Vec<String> = env.ignored().into_iter().map(|variable| variable.name).collect();
        assert_eq!(ignored, ["OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_CONCURRENT_EXPORTS"]);
    }

    #[test]
    fn a_batch_larger_than_the_queue_is_noted_and_cut() {
        let env = Env::from_pairs([("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")]);
        let config = BatchConfig::default().with_env(&env);
        assert_eq!(config.max_export_batch_size, 2048);
        assert_eq!(env.ignored().len(), 1);
    }

    #[test]
    fn every_bad_setting_is_refused_by_name() {
        let base = BatchConfig::default;
        let second = Duration::from_secs(1);
        let rows = [
            ("max_queue_size", base().with_max_queue_size(0)),
            ("max_queue_size", base().with_max_queue_size(usize::MAX)),
            ("max_queue_bytes", base().with_max_queue_bytes(1)),
            ("max_export_batch_size", base().with_max_export_batch_size(0)),
            ("max_export_batch_size", base().with_max_export_batch_size(4096)),
            ("max_export_batch_bytes", base().with_max_export_batch_bytes(0)),
            ("max_request_bytes", base().with_max_request_bytes(0)),
            ("scheduled_delay", base().with_scheduled_delay(Duration::ZERO)),
            ("export_timeout", base().with_export_timeout(Duration::MAX)),
            ("max_concurrent_exports", base().with_max_concurrent_exports(0)),
            ("high_priority_share", base().with_high_priority_share(f64::NAN)),
            ("high_watermark", base().with_high_watermark(1.0)),
            ("retry_backoff", base().with_retry_backoff(second * 2, second)),
            ("max_retry_backoff", base().with_retry_backoff(second, Duration::ZERO)),
        ];
        for (field, config) in rows {
            assert_eq!(config.validate().unwrap_err().field(), field);
        }
    }
}
