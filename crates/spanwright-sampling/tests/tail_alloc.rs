//! Holding and releasing spans allocates nothing in steady state.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod tail_support;

use spanwright_core::{Class, Release, RewriteTraceState, ScopeId};
use spanwright_sampling::{TailPolicy, TailSampler, TailSpan};
use spanwright_testing::{CountingAllocator, allocations};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
use std::time::Duration;

use self::tail_support::trace;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Traces after which every shard has written a long threshold, whatever the hash is seeded with.
const WARM_UP: u64 = 4_000;

/// Lets everything through, and keeps nothing.
#[derive(Default)]
struct Through(u64);

impl Release for Through {
    fn has_room(&self) -> bool {
        true
    }

    fn release(&mut self, record: &[u8], _: ScopeId, _: Class, trace_state: &mut dyn RewriteTraceState) {
        self.0 += (record.len() + trace_state.rewrite("a=1,ot=th:0", true).len()) as u64;
    }

    fn discard(&mut self, items: u64) {
        self.0 += items;
    }
}

#[test]
fn ten_spans_of_a_trace_allocate_nothing_kept_or_dropped() {
    let sampler = TailSampler::builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::slower_than_quantile(0.9))
        .with_policy(TailPolicy::budget(20))
        .build()
        .unwrap();
    let mut out = Through::default();
    let state = TraceState::from_key_value([("a", "1"), ("ot", "th:0")]).unwrap();
    let record = [0x5a; 372];
    let mut random = fastrand::Rng::with_seed(1);
    let mut number = 0;
    let mut now = tail_support::start();
    // As many traces at once as will ever be held at once, and their buffers; kept, so that every shard has written a trace state.
    for is_local_root in [false, true] {
        for warm in 0..500 {
            let id = trace(1_000_000 + warm, 0.5);
            let context = SpanContext::new(id, SpanId::from(1), TraceFlags::SAMPLED, false, state.clone());
            let span = TailSpan::new(&context, "work")
                .with_local_root(is_local_root)
                .with_error(true);
            for _ in 0..9 {
                sampler.hold(&span, &record, ScopeId::new(0), Class::default(), &mut out);
            }
        }
    }
    let mut work = |out: &mut Through| {
        for _ in 0..200 {
            number += 1;
            let id = trace(number, random.f64());
            let is_error = number.is_multiple_of(10);
            // Made outside of what is counted in a service: the clone of a trace state allocates.
            let context = SpanContext::new(id, SpanId::from(1), TraceFlags::SAMPLED, false, state.clone());
            let counted = allocations(|| {
                for index in 0..10 {
                    let span = TailSpan::new(&context, "work")
                        .with_local_root(index == 9)
                        .with_error(is_error)
                        .with_duration(Duration::from_micros(100 + number % 100));
                    sampler.hold(&span, &record, ScopeId::new(0), Class::default(), out);
                }
            });
            assert!(number <= WARM_UP || counted.count == 0, "{counted:?} for a trace");
        }
        now += Duration::from_secs(1);
        let counted = allocations(|| _ = sampler.poll(now, out));
        assert!(number <= WARM_UP || counted.count == 0, "{counted:?} for a poll");
    };
    (0..40).for_each(|_| work(&mut out));
    let stats = sampler.stats();
    assert!(stats.kept() > 600 && stats.dropped() > 2_000, "{stats:?}");
}
