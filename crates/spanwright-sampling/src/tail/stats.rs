//! What a tail sampler has counted, and how it says what it decided.

use std::fmt;

use spanwright_core::Observer;
use spanwright_core::semconv::{self, attribute};

use crate::probability::Threshold;

/// What made the decision about a trace due.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Trigger {
    /// Its local root did not end in time.
    Age,
    /// There was no room, and it was the oldest.
    Memory,
    /// Its local root ended.
    RootEnded,
    /// The pipeline ended.
    Shutdown,
    /// It became too large.
    TraceSize,
    /// The second of the budget ended, or others of that second came before it.
    Window,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 6] = [
        Self::Age,
        Self::Memory,
        Self::RootEnded,
        Self::Shutdown,
        Self::TraceSize,
        Self::Window,
    ];

    /// The value of the attribute `spanwright.sampler.tail.trigger`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Memory => "memory",
            Self::RootEnded => "root_ended",
            Self::Shutdown => "shutdown",
            Self::TraceSize => "trace_size",
            Self::Window => "window",
        }
    }

    /// Whether the decision came before the local root had ended, and so without what that would have said.
    #[must_use]
    pub const fn is_early(self) -> bool {
        !matches!(self, Self::RootEnded | Self::Window)
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`TailSampler`](super::TailSampler) has counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TailStats {
    /// Traces by the policy whose threshold was the lowest, in the policies' order, and at the end those that no policy wanted (`none`).
    pub policies: Vec<PolicyCount>,
    /// The same traces by what made their decision due.
    pub triggers: Vec<TriggerCount>,
    /// Spans that ended after their trace was decided about, and were kept as it was.
    pub late_kept: u64,
    /// The same, dropped as it was.
    pub late_dropped: u64,
    /// Spans whose threshold was not written because their `ot` member would have become longer than 256 characters.
    pub aborted_writes: u64,
    /// Spans that are held.
    pub held_spans: u64,
    /// The memory that all of it takes now, in bytes, with what is allocated for good.
    pub bytes: u64,
    /// The most that it may take.
    pub max_bytes: u64,
}

/// How many traces were dropped and kept by one policy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PolicyCount {
    /// The policy's name.
    pub policy: String,
    /// Traces dropped.
    pub dropped: u64,
    /// Traces kept.
    pub kept: u64,
}

/// How many traces were dropped and kept when one thing made it due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TriggerCount {
    /// What made it due.
    pub trigger: Trigger,
    /// Traces dropped.
    pub dropped: u64,
    /// Traces kept.
    pub kept: u64,
}

const KEPT: &str = "kept";
const DROPPED: &str = "dropped";

impl TailStats {
    /// Traces kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.policies.iter().map(|count| count.kept).sum()
    }

    /// Traces dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.policies.iter().map(|count| count.dropped).sum()
    }

    /// Traces that had to be decided about before their local root ended, for this reason.
    #[must_use]
    pub fn by_trigger(&self, trigger: Trigger) -> TriggerCount {
        let found = self.triggers.iter().find(|count| count.trigger == trigger);
        found.copied().unwrap_or(TriggerCount {
            trigger,
            dropped: 0,
            kept: 0,
        })
    }

    /// Tells `observer` what was counted since `earlier`, as `spanwright.sampler.tail.*`. Counts that did not change are not told.
    pub fn publish(&self, earlier: &Self, observer: &dyn Observer) {
        let tell = |metric, (before, now): (u64, u64), attributes: &[(&'static str, &str)]| {
            if now != before {
                observer.count(metric, now as i64 - before as i64, attributes);
            }
        };
        for (index, count) in self.policies.iter().enumerate() {
            let before = earlier
                .policies
                .get(index)
                .filter(|before| before.policy == count.policy);
            let (dropped, kept) = before.map_or((0, 0), |before| (before.dropped, before.kept));
            for (outcome, change) in [(DROPPED, (dropped, count.dropped)), (KEPT, (kept, count.kept))] {
                let attributes = [
                    (attribute::TAIL_OUTCOME, outcome),
                    (attribute::TAIL_POLICY, &*count.policy),
                ];
                tell(&semconv::TAIL_TRACES, change, &attributes);
            }
        }
        for count in self.triggers.iter().filter(|count| count.trigger.is_early()) {
            let TriggerCount { dropped, kept, .. } = earlier.by_trigger(count.trigger);
            for (decision, change) in [(DROPPED, (dropped, count.dropped)), (KEPT, (kept, count.kept))] {
                let attributes = [
                    (attribute::TAIL_DECISION, decision),
                    (attribute::TAIL_TRIGGER, count.trigger.as_str()),
                ];
                tell(&semconv::TAIL_EVICTED, change, &attributes);
            }
        }
        for (outcome, change) in [
            (DROPPED, (earlier.late_dropped, self.late_dropped)),
            (KEPT, (earlier.late_kept, self.late_kept)),
        ] {
            tell(&semconv::TAIL_LATE_SPANS, change, &[(attribute::TAIL_OUTCOME, outcome)]);
        }
        tell(&semconv::TAIL_BYTES, (earlier.bytes, self.bytes), &[]);
    }
}

/// What a [`TailSampler`](super::TailSampler) knows about a trace.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TailDecision {
    /// It was dropped. The next of its spans is dropped too.
    Dropped,
    /// It is not decided about.
    Held {
        /// How many spans are held.
        spans: u32,
    },
    /// It was kept. The next of its spans is kept too, at the same threshold.
    Kept {
        /// The policy that kept it.
        policy: String,
        /// The threshold that its randomness reached; that of the head may be higher. `None` where the head does not say how many
        /// spans one stands for: then the kept ones do not either.
        threshold: Option<Threshold>,
    },
}

impl fmt::Display for TailDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped => f.write_str("dropped: its randomness reached the threshold of no policy"),
            Self::Held { spans } => write!(
                f,
                "held: {spans} spans wait for the end of the local root or of the second"
            ),
            Self::Kept { policy, threshold } => match threshold {
                Some(threshold) => write!(f, "kept: by policy `{policy}` at th:{threshold}"),
                None => write!(f, "kept: by policy `{policy}`, at a threshold of unknown meaning"),
            },
        }
    }
}
