//! The settings of a spool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use spanwright_core::{BuildError, Env};

/// Where requests are kept, how many, for how long, and what gives way when there is no room.
///
/// ```
/// use std::time::Duration;
/// use spanwright_spool::{FullPolicy, SpoolConfig};
///
/// let config = SpoolConfig::new("/var/lib/checkout/spool")
///     .with_max_bytes(256 << 20)
///     .with_max_age(Duration::from_secs(3600))
///     .with_full_policy(FullPolicy::HighPriorityLast);
/// assert!(config.validate().is_ok());
/// assert_eq!(config.with_max_bytes(1).validate().unwrap_err().field(), "max_bytes");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpoolConfig {
    pub(crate) directory: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) full_policy: FullPolicy,
    pub(crate) sync_interval: Option<Duration>,
    pub(crate) retry_interval: Duration,
    pub(crate) adopt_interval: Duration,
    pub(crate) compression: bool,
}

/// When requests go to disk. The spool does the same in both; its user does not.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Only what cannot be delivered now, or has no room in memory: [`Spool::write`](crate::Spool::write). The default.
    #[default]
    Spill,
    /// Every request before it is sent, so that the death of the process costs next to nothing:
    /// [`Spool::write_claimed`](crate::Spool::write_claimed), send, then [`Claim::ack`](crate::Claim::ack).
    Wal,
}

/// What gives way when the bound in bytes is reached.
///
/// Dropping is by whole segments, so that it frees room at the cost of removing a file.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FullPolicy {
    /// The new request is refused and given back.
    DropNewest,
    /// The oldest segment.
    DropOldest,
    /// The oldest segment of normal priority; one of high priority only for a request of high priority. The default: what explains
    /// an incident is kept longest.
    #[default]
    HighPriorityLast,
}

impl SpoolConfig {
    /// 2 GiB: nineteen minutes of 5 000 spans/s of 372 B.
    pub const DEFAULT_MAX_BYTES: u64 = 2 << 30;
    /// A day: older spans help nobody any more, and many backends refuse them.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
    /// 8 MiB: forty requests of 512 spans. What is dropped at once when the bound is reached, and kept until all of it is delivered.
    pub const DEFAULT_SEGMENT_BYTES: u64 = 8 << 20;
    /// How old a request may get before it is safe from the end of the machine. A sync costs 0.2 to 4 ms, at times 70.
    pub const DEFAULT_SYNC_INTERVAL: Duration = Duration::from_millis(200);
    /// The same under [`Mode::Wal`].
    pub const DEFAULT_WAL_SYNC_INTERVAL: Duration = Duration::from_millis(100);
    /// How long a disk that failed is left alone: it is back within 30 s of its recovery, whatever the next two attempts cost.
    pub const DEFAULT_RETRY_INTERVAL: Duration = Duration::from_secs(10);
    /// How often it is looked for what processes that have died have left.
    pub const DEFAULT_ADOPT_INTERVAL: Duration = Duration::from_secs(30);

    /// Defaults, in this directory. Several processes may be given the same one: each makes a directory of its own in it.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            mode: Mode::default(),
            max_bytes: Self::DEFAULT_MAX_BYTES,
            max_age: Self::DEFAULT_MAX_AGE,
            segment_bytes: Self::DEFAULT_SEGMENT_BYTES,
            full_policy: FullPolicy::default(),
            sync_interval: None,
            retry_interval: Self::DEFAULT_RETRY_INTERVAL,
            adopt_interval: Self::DEFAULT_ADOPT_INTERVAL,
            compression: false,
        }
    }

    /// Takes `SPANWRIGHT_SPOOL_MAX_BYTES` (bytes) and `SPANWRIGHT_SPOOL_MAX_AGE` (milliseconds) over what is set. A value that
    /// cannot be used is noted in `env`, and ignored.
    #[must_use]
    pub fn with_env(mut self, env: &Env) -> Self {
        let bytes = env.integer("SPANWRIGHT_SPOOL_MAX_BYTES", 2 * self.segment_bytes..=MAX_BYTES);
        self.max_bytes = bytes.unwrap_or(self.max_bytes);
        let millis = MIN_AGE.as_millis() as u64..=MAX_AGE.as_millis() as u64;
        let age = env.milliseconds("SPANWRIGHT_SPOOL_MAX_AGE", millis);
        self.max_age = age.unwrap_or(self.max_age);
        self
    }

    /// Another directory.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// When requests go to disk. Default [`Mode::Spill`].
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The most bytes that this process keeps on disk, with what it has adopted.
    ///
    /// Bytes. Default 2 GiB. Two segments to 1 TiB. `SPANWRIGHT_SPOOL_MAX_BYTES`.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a request is kept, by the time of day at which it was written.
    ///
    /// Default 24 h. 1 s to 1 year. `SPANWRIGHT_SPOOL_MAX_AGE` (milliseconds).
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// When a segment is full. A request that is larger by itself gets a segment of its own.
    ///
    /// Bytes. Default 8 MiB. 4 KiB to 16 MiB; 4 MiB and more are sensible.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// What gives way at the bound. Default [`FullPolicy::HighPriorityLast`].
    #[must_use]
    pub fn with_full_policy(mut self, policy: FullPolicy) -> Self {
        self.full_policy = policy;
        self
    }

    /// How long a written request waits at most for its sync to begin; many share one.
    ///
    /// Default 200 ms; 100 ms under [`Mode::Wal`]. 1 ms to 1 min.
    #[must_use]
    pub fn with_sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = Some(interval);
        self
    }

    /// How long a disk that failed is left alone before it is tried again.
    ///
    /// Default 10 s. 10 ms to 30 s.
    #[must_use]
    pub fn with_retry_interval(mut self, interval: Duration) -> Self {
        self.retry_interval = interval;
        self
    }

    /// How often it is looked for what processes that have died have left.
    ///
    /// Default 30 s. 10 ms to 1 h.
    #[must_use]
    pub fn with_adopt_interval(mut self, interval: Duration) -> Self {
        self.adopt_interval = interval;
        self
    }

    /// Compresses each request before it is written, on the writing thread. A batch that was compressed for the wire already is
    /// not compressed again. Default off.
    #[cfg(feature = "zstd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "zstd")))]
    #[must_use]
    pub fn with_zstd(mut self, is_on: bool) -> Self {
        self.compression = is_on;
        self
    }

    /// Checks every setting. Looks at no disk.
    ///
    /// # Errors
    ///
    /// The first that cannot be used: its name, value, and what is accepted.
    pub fn validate(&self) -> Result<(), BuildError> {
        if self.directory.as_os_str().is_empty() {
            return Err(BuildError::new("directory", "", "a path"));
        }
        BuildError::check_range("segment_bytes", self.segment_bytes, 4 << 10..=16 << 20)?;
        BuildError::check_range("max_bytes", self.max_bytes, 2 * self.segment_bytes..=MAX_BYTES)?;
        BuildError::check_range("max_age", self.max_age, MIN_AGE..=MAX_AGE)?;
        let millis = Duration::from_millis;
        BuildError::check_range("sync_interval", self.sync_interval(), millis(1)..=millis(60_000))?;
        BuildError::check_range("retry_interval", self.retry_interval, millis(10)..=millis(30_000))?;
        BuildError::check_range("adopt_interval", self.adopt_interval, millis(10)..=millis(3_600_000))?;
        Ok(())
    }

    /// The directory that was given.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// See [`with_mode`](Self::with_mode).
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// See [`with_max_bytes`](Self::with_max_bytes).
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// See [`with_sync_interval`](Self::with_sync_interval).
    #[must_use]
    pub fn sync_interval(&self) -> Duration {
        self.sync_interval.unwrap_or(match self.mode {
            Mode::Spill => Self::DEFAULT_SYNC_INTERVAL,
            Mode::Wal => Self::DEFAULT_WAL_SYNC_INTERVAL,
        })
    }
}

const MAX_BYTES: u64 = 1 << 40;
const MIN_AGE: Duration = Duration::from_secs(1);
const MAX_AGE: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_each_wrong_value_is_named() {
        let config = SpoolConfig::new("d");
        assert!(config.validate().is_ok());
        let wrong = [
            (SpoolConfig::new(""), "directory"),
            (config.clone().with_segment_bytes(17 << 20), "segment_bytes"),
            (config.clone().with_max_bytes(15 << 20), "max_bytes"),
            (config.clone().with_max_age(Duration::ZERO), "max_age"),
            (config.clone().with_sync_interval(Duration::ZERO), "sync_interval"),
            (
                config.clone().with_retry_interval(Duration::from_secs(31)),
                "retry_interval",
            ),
            (config.clone().with_adopt_interval(Duration::ZERO), "adopt_interval"),
        ];
        for (config, field) in wrong {
            assert_eq!(config.validate().unwrap_err().field(), field);
        }
        assert!(config.with_mode(Mode::Wal).sync_interval() <= Duration::from_millis(100));
    }

    #[test]
    fn variables_go_over_what_is_set_and_wrong_ones_are_noted() {
        let env = Env::from_pairs([
            ("SPANWRIGHT_SPOOL_MAX_BYTES", "33554432"),
            ("SPANWRIGHT_SPOOL_MAX_AGE", "soon"),
        ]);
        let config = SpoolConfig::new("d").with_env(&env);
        assert_eq!(config.max_bytes(), 32 << 20);
        assert_eq!(config.max_age, SpoolConfig::DEFAULT_MAX_AGE);
        assert_eq!(env.ignored().len(), 1);
    }
}
