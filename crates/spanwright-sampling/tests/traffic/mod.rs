//! Traffic for samplers that are ticked, on a clock that only the test moves.

use std::time::{Duration, Instant};

use fastrand::Rng;
use opentelemetry::TraceId;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use spanwright_core::{Clock, ManualClock};
use spanwright_sampling::{
    AdaptiveSampler, ComposableSampler, Decision, OtelTraceState, Outcome, RateLimitingSampler, Sampler, StartingSpan,
    Threshold, Ticker,
};

/// A sampler that somebody has to tick.
pub(crate) trait Ticked: Sampler {
    fn tick(&self, now: Instant);
    fn wants_tick(&self) -> bool;
    fn composable(&self) -> &dyn ComposableSampler;
}

/// Roots, evenly spread over time.
pub(crate) struct Roots<S> {
    pub(crate) sampler: S,
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    next_tick: Instant,
}

impl<S: Ticked> Roots<S> {
    pub(crate) fn new(sampler: S, seed: u64) -> Self {
        let now = ManualClock::new().now();
        Self {
            sampler,
            now,
            rng: Rng::with_seed(seed),
            next_tick: now,
        }
    }

    /// So many in so much time. Returns how many were kept.
    pub(crate) fn offer(&mut self, count: u32, time: Duration) -> f64 {
        let mut kept = 0.0;
        for _ in 0..count {
            self.pass(time / count);
            if self.root("GET /").outcome == Outcome::RecordAndSample {
                kept += 1.0;
            }
        }
        kept
    }

    /// One, now.
    pub(crate) fn root(&mut self, name: &str) -> Decision {
        let span = StartingSpan::new(None, self.trace_id(), name, &SpanKind::Server);
        self.sampler.sample(&span)
    }

    pub(crate) fn trace_id(&mut self) -> TraceId {
        TraceId::from(self.rng.u128(1..))
    }

    /// Lets time pass, with the ticks that are due and those that are asked for.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        while self.now >= self.next_tick || self.sampler.wants_tick() {
            let at = self.next_tick.min(self.now);
            self.sampler.tick(at);
            self.next_tick = at + Ticker::INTERVAL;
        }
    }
}

/// `th` of the trace state that the span gets.
pub(crate) fn threshold(decision: &Decision) -> Option<Threshold> {
    let ot = decision.trace_state.get("ot")?;
    OtelTraceState::parse(ot).expect("a well formed member").threshold
}

/// A span of this process that became of `decision`.
pub(crate) fn parent(trace_id: TraceId, decision: &Decision) -> SpanContext {
    let flags = match decision.outcome {
        Outcome::RecordAndSample => TraceFlags::SAMPLED,
        _ => TraceFlags::NOT_SAMPLED,
    };
    let trace_state: TraceState = decision.trace_state.clone();
    SpanContext::new(trace_id, SpanId::from(1), flags, false, trace_state)
}

impl Ticked for AdaptiveSampler {
    fn tick(&self, now: Instant) {
        Self::tick(self, now);
    }

    fn wants_tick(&self) -> bool {
        Self::wants_tick(self)
    }

    fn composable(&self) -> &dyn ComposableSampler {
        Self::composable(self)
    }
}

impl Ticked for RateLimitingSampler {
    fn tick(&self, now: Instant) {
        Self::tick(self, now);
    }

    fn wants_tick(&self) -> bool {
        Self::wants_tick(self)
    }

    fn composable(&self) -> &dyn ComposableSampler {
        Self::composable(self)
    }
}
