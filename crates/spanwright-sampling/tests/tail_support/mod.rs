//! What the tests of the tail sampler share: spans whose records can be read back, and a queue that keeps them.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "part of tests, each of which uses its share; the lints see neither"
)]

use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
use opentelemetry::{KeyValue, TraceId};
use spanwright_core::{Class, Clock, ManualClock, Priority, Release, RewriteTraceState, ScopeId};
use spanwright_sampling::{OtelTraceState, Randomness, TailSampler, TailSpan, Threshold};

/// A span, and what its record says.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace: TraceId,
    /// Distinguishes the spans of a test.
    pub number: u32,
    pub is_sampled: bool,
    pub trace_state: String,
    pub name: &'static str,
    pub is_root: bool,
    pub is_error: bool,
    pub duration: Duration,
    pub attributes: Vec<KeyValue>,
    pub len: usize,
}

/// A span in the middle of the trace: recorded, not sampled.
pub fn span(trace: TraceId, number: u32) -> Span {
    Span {
        trace,
        number,
        is_sampled: false,
        trace_state: String::new(),
        name: "work",
        is_root: false,
        is_error: false,
        duration: Duration::from_millis(1),
        attributes: Vec::new(),
        len: 64,
    }
}

/// A local root.
pub fn root(trace: TraceId, number: u32) -> Span {
    Span {
        is_root: true,
        name: "GET /",
        ..span(trace, number)
    }
}

impl Span {
    pub fn with_error(self) -> Self {
        Self { is_error: true, ..self }
    }

    pub fn with_duration(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }

    pub fn sampled(self, trace_state: &str) -> Self {
        Self {
            is_sampled: true,
            trace_state: trace_state.to_owned(),
            ..self
        }
    }

    pub fn randomness(&self) -> Randomness {
        Randomness::of_trace_id(self.trace)
    }

    /// Four bytes of number, one of the flag, two of the trace state's length, the trace state, and what it takes to be as long.
    fn record(&self, record: &mut Vec<u8>) {
        record.clear();
        record.extend_from_slice(&self.number.to_le_bytes());
        record.push(u8::from(self.is_sampled));
        record.extend_from_slice(&(self.trace_state.len() as u16).to_le_bytes());
        record.extend_from_slice(self.trace_state.as_bytes());
        record.resize(self.len.max(record.len()), 0xaa);
    }
}

/// Ends a span at the sampler.
pub fn end(sampler: &TailSampler, span: &Span, out: &mut Queue) {
    let state: TraceState = span.trace_state.parse().unwrap();
    let flags = TraceFlags::default().with_sampled(span.is_sampled);
    let context = SpanContext::new(span.trace, SpanId::from(7), flags, false, state);
    let view = TailSpan::new(&context, span.name)
        .with_attributes(&span.attributes)
        .with_duration(span.duration)
        .with_local_root(span.is_root)
        .with_error(span.is_error);
    let priority = if span.is_error {
        Priority::High
    } else {
        Priority::Normal
    };
    let affinity = span.trace.to_bytes()[15].into();
    let mut record = std::mem::take(&mut out.record);
    span.record(&mut record);
    let scope = ScopeId::new(span.number % 3);
    sampler.hold(&view, &record, scope, Class { priority, affinity }, out);
    out.record = record;
}

/// What a sampler gave back.
#[derive(Debug)]
pub struct Queue {
    pub released: Vec<Released>,
    pub discarded: u64,
    /// How many more records it has room for.
    pub room: usize,
    record: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    pub number: u32,
    pub trace_state: String,
    pub scope: ScopeId,
    pub class: Class,
    pub len: usize,
}

impl Queue {
    pub fn new() -> Self {
        Self {
            released: Vec::new(),
            discarded: 0,
            room: usize::MAX,
            record: Vec::new(),
        }
    }

    /// The numbers that were released since the last look, in order.
    pub fn take(&mut self) -> Vec<Released> {
        std::mem::take(&mut self.released)
    }

    pub fn take_numbers(&mut self) -> Vec<u32> {
        self.take().iter().map(|released| released.number).collect()
    }

    pub fn total(&self) -> u64 {
        self.released.len() as u64 + self.discarded
    }
}

impl Released {
    /// `th` of the `ot` member.
    pub fn threshold(&self) -> Option<Threshold> {
        let state: TraceState = self.trace_state.parse().unwrap();
        let value = state.get("ot")?;
        OtelTraceState::parse(value).unwrap().threshold
    }
}

impl Release for Queue {
    fn has_room(&self) -> bool {
        self.released.len() < self.room
    }

    fn release(&mut self, record: &[u8], scope: ScopeId, class: Class, trace_state: &mut dyn RewriteTraceState) {
        let (number, rest) = record.split_first_chunk().unwrap();
        let (is_sampled, rest) = rest.split_first().unwrap();
        let (len, rest) = rest.split_first_chunk().unwrap();
        let old = std::str::from_utf8(&rest[..u16::from_le_bytes(*len) as usize]).unwrap();
        self.released.push(Released {
            number: u32::from_le_bytes(*number),
            trace_state: trace_state.rewrite(old, *is_sampled == 1).to_owned(),
            scope,
            class,
            len: record.len(),
        });
    }

    fn discard(&mut self, items: u64) {
        self.discarded += items;
    }
}

/// A moment to start from.
pub fn start() -> Instant {
    ManualClock::new().now()
}

/// A trace whose randomness is this share of the whole range: kept by any probability above `1 - share`.
pub fn trace(number: u64, share: f64) -> TraceId {
    let randomness = (share * (1_u64 << 56) as f64) as u64;
    TraceId::from(u128::from(number) << 64 | u128::from(randomness))
}

pub fn th(probability: f64) -> Option<Threshold> {
    Threshold::from_probability(probability)
}
