//! A decision by key allocates nothing, whatever the key and however new, and neither does a tick.

use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, KeyValue, TraceId, Value};
use spanwright_core::{Clock, ManualClock};
use spanwright_sampling::{ComposableSampler, PerKeySampler, SpanKey, StartingSpan};
use spanwright_testing::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn neither_decisions_nor_ticks_allocate() {
    let by_tenant = SpanKey::span_name().and(SpanKey::attribute("tenant"));
    let by_length = SpanKey::written(|span, key| key.push(&span.name()[..span.name().len() / 2]));
    let sampler = PerKeySampler::builder()
        .key(by_tenant.and(by_length))
        .target_per_second(10.0)
        .max_keys(500)
        .with_weight(["x", "y", "z"], 2.0)
        .build()
        .unwrap();
    let clock = ManualClock::new();
    sampler.tick(clock.now());
    let names: Vec<String> = (0..200)
        .map(|name| format!("GET /a/rather/long/route/number/{name}"))
        .collect();
    let values: [Value; 5] = [
        "a string".into(),
        12.into(),
        0.25.into(),
        true.into(),
        Value::Array(Array::F64(vec![0.5, 1e-300])),
    ];
    let attributes: Vec<_> = values.map(|value| [KeyValue::new("tenant", value)]).into();

    // The thread's row in the counters, once.
    let span = StartingSpan::new(None, TraceId::from(1), "first", &SpanKind::Server);
    sampler.composable().sampling_intent(&span);

    for round in 0..30 {
        let counted = allocations(|| {
            for name in &names {
                for attributes in &attributes {
                    let span = StartingSpan::new(None, TraceId::from(1), name, &SpanKind::Server);
                    let intent = sampler
                        .composable()
                        .sampling_intent(&span.with_details(attributes, &[]));
                    assert!(intent.threshold().is_some());
                }
            }
            clock.advance(Duration::from_millis(100 * round));
            sampler.tick(clock.now());
        });
        assert_eq!(counted.count, 0, "round {round}: {counted:?}");
    }
    let stats = sampler.key_stats();
    assert!(stats.overflow_spans > 0 && stats.keys > 400, "{stats:?}");
}
