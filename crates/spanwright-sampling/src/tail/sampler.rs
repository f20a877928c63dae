//! The tail sampler.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use opentelemetry::TraceId;
use parking_lot::Mutex;
use spanwright_core::{Class, Held, Release, ScopeId};

use super::builder::TailSamplerBuilder;
use super::entry::Arrival;
use super::held::Shard;
use super::id::Hasher;
use super::memory::Memory;
use super::policies::{NO_POLICY, Policies};
use super::span::TailSpan;
use super::stats::{TailDecision, TailStats};
use super::tally::Tallies;
use super::time::Time;

/// Holds the spans of a trace until its local root has ended, and then decides whether they are kept.
///
/// It is a stage in front of the queue of `spanwright-batching` ([`TailStage`](spanwright_core::TailStage)): spans come in encoded, so
/// that what is held is bytes. It needs the head sampler only to record them, sampled or not.
///
/// ```text
/// each policy i that the trace gives a reason for keeps at its own threshold T_i
/// kept   R >= min T_i             R: `rv`, or the last 56 bits of the trace id
/// th     max(th of the head, min T_i)
/// ```
///
/// So weights stay right: a trace that is kept for its error stands for as many as the head says and no more; one that had luck stands
/// for others like it. Where the head does not say ([a sampled span without `th`](TailSamplerBuilder::with_recording_head)), the
/// decision is made by fresh randomness, and nothing is written.
///
/// # What it sees
///
/// The spans of this process. A *local root* is a span without a parent, or with one in another process; its end decides. A trace may
/// have several in one process: the first to end decides, and the spans of the others, like any span that ends after its root, are
/// *late*: they follow the decision that was made, at the threshold that was used, as long as that is remembered.
///
/// A trace that cannot wait (it is too old, too large, the oldest when there is no room, or there at the shutdown) is decided about
/// by what is known of it so far; what only its root can say then is no reason to keep it, and a budget keeps it at the threshold of
/// its last second. No trace leaves undecided.
///
/// # Cost
///
/// Per span some tens of nanoseconds, two uncontended locks held for a copy at most, no allocation in steady state; the one that ends
/// the trace copies the records of a kept one into the queue. Bench `sampling/tail`.
///
/// Clones are the same sampler.
#[derive(Clone)]
pub struct TailSampler {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) policies: Policies,
    pub(super) shards: Box<[Shard]>,
    pub(super) memory: Memory,
    pub(super) hasher: Hasher,
    pub(super) counters: Tallies,
    /// The time as the last poll had it: spans are dated by it, because a clock costs as much as all the rest.
    pub(super) millis: AtomicU64,
    pub(super) time: Mutex<Time>,
    pub(super) max_spans: u32,
    pub(super) max_trace_bytes: usize,
    pub(super) max_age: Duration,
    pub(super) head_records_all: bool,
    pub(super) entropy: fn() -> u64,
}

/// Enough that the threads of a large machine seldom meet.
pub(super) const SHARDS: usize = 16;

impl TailSampler {
    /// The settings; at least one policy is needed.
    pub fn builder() -> TailSamplerBuilder {
        TailSamplerBuilder::new()
    }

    /// Takes a span that has ended, and its encoded record. See [`TailStage::hold`](spanwright_core::TailStage::hold).
    pub fn hold(&self, span: &TailSpan<'_>, record: &[u8], scope: ScopeId, class: Class, out: &mut dyn Release) {
        self.shared.hold(
            &Arrival {
                key: self.shared.hasher.of(span.context().trace_id()),
                span,
                reasons: self.shared.policies.reasons(span),
                record,
                scope,
                class,
            },
            out,
        );
    }

    /// Decides what time alone has made due. See [`TailStage::poll`](spanwright_core::TailStage::poll).
    pub fn poll(&self, now: Instant, out: &mut dyn Release) -> Option<Instant> {
        Some(self.shared.poll(now, out))
    }

    /// Decides about everything. See [`TailStage::drain`](spanwright_core::TailStage::drain).
    pub fn drain(&self, out: &mut dyn Release) -> bool {
        self.shared.drain(out)
    }

    /// What is held, and the memory that all of it takes: the same as in [`stats`](Self::stats).
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            items: self.shared.shards.iter().map(Shard::spans).sum(),
            bytes: self.shared.memory.used() as u64,
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> TailStats {
        let names = self.shared.policies.all().iter().map(|policy| &*policy.name);
        let held = self.held();
        TailStats {
            held_spans: held.items,
            bytes: held.bytes,
            max_bytes: self.shared.memory.max() as u64,
            ..self.shared.counters.stats(names.chain([NO_POLICY]))
        }
    }

    /// What is known about a trace: that it is held, what was decided, or nothing (any more).
    ///
    /// Counts as a use of a decision that is remembered.
    #[must_use]
    pub fn decision(&self, trace_id: TraceId) -> Option<TailDecision> {
        let key = self.shared.hasher.of(trace_id);
        let mut state = self.shared.shard(key).lock();
        if let Some(place) = state.traces.find(key) {
            let spans = state.traces.get(place).records.spans;
            return Some(TailDecision::Held { spans });
        }
        let verdict = state.decisions.find(key)?;
        Some(match verdict.is_kept() {
            true => TailDecision::Kept {
                policy: self.shared.policies.name(verdict.policy()).to_owned(),
                threshold: verdict.threshold(),
            },
            false => TailDecision::Dropped,
        })
    }

    /// How the decision about a trace of these spans would come about, in words. Nothing is held or counted.
    #[must_use]
    pub fn explain(&self, spans: &[TailSpan<'_>]) -> Vec<String> {
        self.shared.explain(spans)
    }
}

impl fmt::Debug for TailSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.shared.policies.all().iter().map(|policy| &policy.name).collect();
        f.debug_struct("TailSampler")
            .field("policies", &names)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}
