//! A span is never cloned, however many destinations there are.
#![cfg(feature = "grpc")]

mod support;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use spanwright_testing::{Allocations, CountingAllocator, Discard, Receiver, allocations};

use support::{PATIENCE, exporter_to, patient_config, to};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// What a span with attributes on the heap costs its thread from start to end: the least of many, so that what happens once in a
/// batch does not count.
fn cost_of_a_span(tracer: &SdkTracer) -> Allocations {
    let one = |number: usize| {
        let name = format!("work {number}");
        allocations(|| {
            let mut span = tracer.start("work");
            span.set_attribute(KeyValue::new("name", name));
            span.add_event("half", vec![KeyValue::new("number", number as i64)]);
            span.end();
        })
    };
    (0..1_000).for_each(|number| _ = one(number));
    let least = (0..100).map(one).min_by_key(|cost| cost.count);
    least.unwrap_or_default()
}

#[test]
fn a_second_destination_costs_the_application_nothing() {
    let receivers = [Receiver::spawn().unwrap(), Receiver::spawn().unwrap()];
    let second = exporter_to(&receivers[1]);
    let config = patient_config().with_max_queue_size(8192);
    let one = to(&receivers[0]).with_batch_config(config.clone()).build().unwrap();
    let two = to(&receivers[0])
        .with_batch_config(config)
        .with_exporter("second", second)
        .build()
        .unwrap();
    let [for_one, for_two] = [&one, &two].map(|pipeline| cost_of_a_span(&pipeline.tracer("test")));

    // What the SDK itself needs for a span, and what it needs to clone one for a second processor.
    let provider = SdkTracerProvider::builder().with_span_processor(Discard).build();
    let of_the_sdk = cost_of_a_span(&provider.tracer("test"));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Discard)
        .with_span_processor(Discard)
        .build();
    let with_a_clone = cost_of_a_span(&provider.tracer("test"));

    assert!(with_a_clone.count > of_the_sdk.count, "{with_a_clone:?}");
    assert_eq!((for_one, for_two), (of_the_sdk, of_the_sdk));
    for pipeline in [one, two] {
        assert!(pipeline.shutdown(PATIENCE).unwrap().is_complete());
        assert!(
            pipeline
                .stats()
                .delivery
                .destinations
                .iter()
                .all(|it| it.ledger.exported == 1_100)
        );
    }
}
