//! The provider and the propagators of the whole process. One test, because there is one of each.
#![cfg(feature = "grpc")]

mod support;

use std::collections::HashMap;

use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use spanwright_pipeline::{Env, Pipeline};
use spanwright_testing::Receiver;

use support::{PATIENCE, to};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What goes out with a request that is made where a request came in.
fn relayed() -> HashMap<String, String> {
    let incoming = HashMap::from([
        ("traceparent".to_owned(), PARENT.to_owned()),
        ("baggage".to_owned(), "user=7".to_owned()),
    ]);
    let context =
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &incoming));
    let span = global::tracer("test").start_with_context("work", &context);
    let mut outgoing = HashMap::new();
    let context = context.with_span(span);
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut outgoing));
    outgoing
}

#[test]
fn the_pipeline_that_is_installed_last_is_that_of_the_process() {
    let receiver = Receiver::spawn().unwrap();
    let pipeline = to(&receiver).build().unwrap();
    let _guard = pipeline.install_global().guard();
    let outgoing = relayed();
    assert!(outgoing["traceparent"].starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert_ne!(
        outgoing["traceparent"], PARENT,
        "the span between the two has an id of its own"
    );
    assert_eq!(outgoing["baggage"], "user=7");
    assert_eq!(pipeline.flush(PATIENCE).unwrap().destinations[0].exported, 1);

    let of = |pairs| Pipeline::builder().with_env(Env::from_pairs(pairs)).build().unwrap();
    of([("OTEL_PROPAGATORS", "baggage"), ("OTEL_TRACES_EXPORTER", "none")]).install_global();
    assert_eq!(relayed(), HashMap::from([("baggage".to_owned(), "user=7".to_owned())]));
    of([("OTEL_PROPAGATORS", "none"), ("OTEL_TRACES_EXPORTER", "none")]).install_global();
    assert_eq!(relayed(), HashMap::new());

    // Disabled, it is as if this process was not there: the trace goes on through it.
    of([("OTEL_PROPAGATORS", "tracecontext"), ("OTEL_SDK_DISABLED", "true")]).install_global();
    assert_eq!(relayed()["traceparent"], PARENT);
}
