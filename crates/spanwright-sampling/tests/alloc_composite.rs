//! What a decision allocates.

use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, TraceState};
use opentelemetry::{Context, TraceId};
use opentelemetry_sdk::trace::ShouldSample;
use spanwright_sampling::{AlwaysOff, AlwaysOn, CompositeSampler, ParentThreshold, Probability};
use spanwright_testing::{CountingAllocator, allocations};

mod support;

use self::support::{parent, trace};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

const FIRST: u64 = 0;
const LAST: u64 = 0xff_ffff_ffff_ffff;

/// Of one decision, asked for as the SDK asks.
fn count(sampler: &impl ShouldSample, parent: Option<&SpanContext>, trace_id: TraceId) -> u64 {
    let context = parent.map(|parent| Context::new().with_remote_span_context(parent.clone()));
    let context = context.unwrap_or_default();
    let decide = || sampler.should_sample(Some(&context), trace_id, "GET /", &SpanKind::Server, &[], &[]);
    // The first time, a thread gets its place among the counters.
    drop(decide());
    allocations(|| drop(decide())).count
}

fn clone(trace_state: &TraceState) -> u64 {
    allocations(|| drop(trace_state.clone())).count
}

#[test]
fn decisions_allocate_for_what_they_write_and_for_nothing_else() {
    let half = || Probability::new(0.5).unwrap();
    let independent = CompositeSampler::new(half());
    let following = CompositeSampler::new(ParentThreshold::new(half()));
    let off = CompositeSampler::new(AlwaysOff);

    // Nothing to write.
    assert_eq!(count(&independent, None, trace(FIRST)), 0);
    assert_eq!(count(&following, None, trace(FIRST)), 0);
    assert_eq!(count(&off, None, trace(LAST)), 0);
    for is_sampled in [false, true] {
        let bare = parent(trace(FIRST), is_sampled, "");
        assert_eq!(count(&independent, Some(&bare), trace(FIRST)), 0);
        assert_eq!(count(&following, Some(&bare), trace(FIRST)), 0);
    }
    let only = parent(trace(LAST), true, "ot=th:8");
    assert_eq!(count(&off, Some(&only), trace(LAST)), 0);

    // A list, a key and a value.
    assert_eq!(count(&independent, None, trace(LAST)), 3);
    assert_eq!(count(&following, None, trace(LAST)), 3);
    assert_eq!(count(&CompositeSampler::new(AlwaysOn), None, trace(FIRST)), 3);

    // As much as the parent's trace state, whether it changes or not.
    for header in ["a=1,b=2,ot=th:8", "ot=th:4;rv:ffffffffffffff;x:1,a=1,b=2"] {
        let parent = parent(trace(LAST), true, header);
        let clone = clone(parent.trace_state());
        assert!(count(&following, Some(&parent), trace(LAST)) <= clone, "{header}");
        assert!(count(&independent, Some(&parent), trace(LAST)) <= clone, "{header}");
        assert!(count(&off, Some(&parent), trace(LAST)) <= clone, "{header}");
    }
}
