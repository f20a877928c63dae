//! The settings of a tail sampler.

use std::sync::Arc;
use std::time::Duration;

use spanwright_core::BuildError;

use super::held::{Records, Shard, ShardSizes};
use super::id::Hasher;
use super::memory::Memory;
use super::policies::Policies;
use super::policy::TailPolicy;
use super::sampler::{SHARDS, Shared, TailSampler};
use super::tally::Tallies;

/// Settings of a [`TailSampler`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct TailSamplerBuilder {
    policies: Vec<TailPolicy>,
    max_bytes: usize,
    max_traces: usize,
    max_spans_per_trace: u32,
    max_bytes_per_trace: usize,
    max_age: Duration,
    kept_decisions: usize,
    dropped_decisions: usize,
    head_records_all: bool,
    entropy: fn() -> u64,
}

impl TailSamplerBuilder {
    /// As much as the queue behind it: at 5 000 spans/s of 400 B, traces of up to half a minute.
    pub const DEFAULT_MAX_BYTES: usize = 64 << 20;
    /// With four spans of 400 B each, what the bytes are enough for as well.
    pub const DEFAULT_MAX_TRACES: usize = 20_000;
    /// Far more than a request makes, and less than the smallest queue, so that the end of one trace does not fill it.
    pub const DEFAULT_MAX_SPANS_PER_TRACE: u32 = 1_000;
    /// What a thousand large spans take, and as much as a request of the exporter.
    pub const DEFAULT_MAX_BYTES_PER_TRACE: usize = 1 << 20;
    /// Longer than the timeout of any request, shorter than anybody waits for a trace.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
    /// 32 bytes each and 13 for the index.
    pub const DEFAULT_KEPT_DECISIONS: usize = 10_000;
    /// At 10 000 dropped traces/s what a late span needs: 20 s. 10.7 bytes each.
    pub const DEFAULT_DROPPED_DECISIONS: usize = 200_000;

    pub(super) fn new() -> Self {
        Self {
            policies: Vec::new(),
            max_bytes: Self::DEFAULT_MAX_BYTES,
            max_traces: Self::DEFAULT_MAX_TRACES,
            max_spans_per_trace: Self::DEFAULT_MAX_SPANS_PER_TRACE,
            max_bytes_per_trace: Self::DEFAULT_MAX_BYTES_PER_TRACE,
            max_age: Self::DEFAULT_MAX_AGE,
            kept_decisions: Self::DEFAULT_KEPT_DECISIONS,
            dropped_decisions: Self::DEFAULT_DROPPED_DECISIONS,
            head_records_all: false,
            entropy: || fastrand::u64(..),
        }
    }

    /// One more reason to keep a trace; of equal reasons the first one is counted. 1 to 32.
    pub fn with_policy(mut self, policy: TailPolicy) -> Self {
        self.policies.push(policy);
        self
    }

    /// The most memory that held spans take, with everything that is allocated for them and for the memory of decisions, as asked
    /// from the allocator. Never exceeded.
    ///
    /// Bytes. Default 64 MiB. What the other settings take for good (about 5 MiB by default), twice the largest trace, or more.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The most traces that are held. Each of 16 shards has its share, so that the oldest of one may have to go some per cent before
    /// all are full.
    ///
    /// Traces. Default 20 000. 16 to 16 000 000; about 120 bytes each for good.
    pub fn with_max_traces(mut self, traces: usize) -> Self {
        self.max_traces = traces;
        self
    }

    /// The most spans of a trace that are held. The next one makes that the trace is decided about, by what is known; the rest of it
    /// follows that decision. So one huge trace does not starve the others.
    ///
    /// Spans. Default 1 000. 1 to 1 000 000.
    pub fn with_max_spans_per_trace(mut self, spans: u32) -> Self {
        self.max_spans_per_trace = spans;
        self
    }

    /// As [`with_max_spans_per_trace`](Self::with_max_spans_per_trace), in encoded bytes.
    ///
    /// Bytes. Default 1 MiB. 1 KiB to 1 GiB.
    pub fn with_max_bytes_per_trace(mut self, bytes: usize) -> Self {
        self.max_bytes_per_trace = bytes;
        self
    }

    /// How long a trace waits for its local root, from the end of its first span; then it is decided about by what is known. Give or
    /// take a sixteenth, or a second where that is less.
    ///
    /// Default 60 s. 10 ms to 1 h.
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How many kept traces are remembered for their late spans. The least recently used is forgotten first; a late span of a trace
    /// that is forgotten begins a new one, which is decided about by itself at its age.
    ///
    /// Traces. Default 10 000. 16 to 16 000 000.
    pub fn with_kept_decisions(mut self, traces: usize) -> Self {
        self.kept_decisions = traces;
        self
    }

    /// How many dropped traces are remembered, at least (up to twice as many), by 32 bits of each. One new trace in 250 million is
    /// taken for one of them, and dropped with all its spans.
    ///
    /// Traces. Default 200 000. 16 to 16 000 000.
    pub fn with_dropped_decisions(mut self, traces: usize) -> Self {
        self.dropped_decisions = traces;
        self
    }

    /// Whether the head hands on every span whatever it samples, so that each that comes stands for itself alone, and the `th` of the
    /// head is replaced by that of the tail. Default: no; then the `th` of a sampled span counts as the head's selection, and what is
    /// kept has the higher one of both.
    ///
    /// Set it for a head that records what it does not sample and samples *some*. It makes no difference for one that samples
    /// everything with `th:0`, or nothing. It is also how to tell that an `AlwaysOn` of the SDK, which writes no `th`, has selected
    /// nothing.
    pub fn with_recording_head(mut self, records_all: bool) -> Self {
        self.head_records_all = records_all;
        self
    }

    /// Where fresh randomness comes from, and what makes the hash of trace ids unpredictable. Default: a generator of each thread's own.
    pub fn with_entropy(mut self, entropy: fn() -> u64) -> Self {
        self.entropy = entropy;
        self
    }

    /// Checks everything, and allocates what is allocated for good. No thread is started.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used: its name, its value, and what is accepted.
    pub fn build(self) -> Result<TailSampler, BuildError> {
        const MANY: std::ops::RangeInclusive<usize> = SHARDS..=16_000_000;
        BuildError::check_range("max_traces", self.max_traces, MANY)?;
        BuildError::check_range("kept_decisions", self.kept_decisions, MANY)?;
        BuildError::check_range("dropped_decisions", self.dropped_decisions, MANY)?;
        BuildError::check_range("max_spans_per_trace", self.max_spans_per_trace, 1..=1_000_000)?;
        BuildError::check_range("max_bytes_per_trace", self.max_bytes_per_trace, 1024..=1 << 30)?;
        const { assert!(Records::MAX_LEN >= 1 << 30) }
        let ages = Duration::from_millis(10)..=Duration::from_secs(3600);
        BuildError::check_range("max_age", self.max_age, ages)?;
        let policies = Policies::new(self.policies)?;

        let sizes = ShardSizes {
            traces: self.max_traces.div_ceil(SHARDS),
            kept_decisions: self.kept_decisions.div_ceil(SHARDS),
            dropped_decisions: self.dropped_decisions.div_ceil(SHARDS),
        };
        let counters = Tallies::new(policies.all().len());
        let fixed = SHARDS * Shard::bytes(sizes) + policies.bytes() + counters.bytes() + size_of::<Shared>();
        let least = fixed + 2 * self.max_bytes_per_trace.next_power_of_two();
        if self.max_bytes < least {
            let accepted = format!("{least} or more with the other settings as they are");
            return Err(BuildError::new("max_bytes", self.max_bytes, accepted));
        }
        let hasher = Hasher::new([(self.entropy)(), (self.entropy)()]);
        let max_idle_bytes = (self.max_bytes - fixed) / (4 * SHARDS);
        let shards = std::iter::repeat_with(|| Shard::new(sizes, max_idle_bytes, hasher));
        Ok(TailSampler {
            shared: Arc::new(Shared {
                policies,
                shards: shards.take(SHARDS).collect(),
                memory: Memory::new(self.max_bytes, fixed),
                hasher,
                counters,
                millis: Default::default(),
                time: Default::default(),
                max_spans: self.max_spans_per_trace,
                max_trace_bytes: self.max_bytes_per_trace,
                max_age: self.max_age,
                head_records_all: self.head_records_all,
                entropy: self.entropy,
            }),
        })
    }
}
