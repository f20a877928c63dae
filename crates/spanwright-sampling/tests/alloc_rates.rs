//! A decision of a controller allocates nothing, also when it looks at a burst.

use opentelemetry::TraceId;
use opentelemetry::trace::SpanKind;
use spanwright_core::{Clock, ManualClock};
use spanwright_sampling::{Adaptive, ComposableSampler, Probability, RateLimiting, StartingSpan};
use spanwright_testing::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn decisions_and_ticks_allocate_nothing() {
    let half = Probability::new(0.5).unwrap();
    let adaptive = Adaptive::builder()
        .target_per_second(10.0)
        .max_burst(3.0)
        .build()
        .unwrap();
    let delegating = Adaptive::builder()
        .target_per_second(10.0)
        .with_sampler(half)
        .build()
        .unwrap();
    let limiting = RateLimiting::spans_per_second(10.0).build().unwrap();
    let span = StartingSpan::new(None, TraceId::from(1), "GET /", &SpanKind::Server);
    let mut now = ManualClock::new().now();
    let mut second = || {
        for _ in 0..10 {
            now += spanwright_sampling::Ticker::INTERVAL;
            adaptive.tick(now);
            delegating.tick(now);
            limiting.tick(now);
            for _ in 0..1_000 {
                adaptive.sampling_intent(&span);
                delegating.sampling_intent(&span);
                limiting.sampling_intent(&span);
            }
        }
    };
    // The thread's row.
    second();
    let counted = allocations(|| (0..20).for_each(|_| second()));
    assert_eq!(counted.count, 0, "{counted:?} for 600 000 decisions");
    assert!(adaptive.stats().trips > 0, "{:?}", adaptive.stats());
}
