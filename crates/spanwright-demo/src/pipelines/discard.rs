//! No pipeline: every span is dropped where it ends. What then remains is the cost of everything else.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::{Closing, Pipeline, SCOPE, Snapshot, resource};

#[derive(Debug)]
pub(crate) struct Discard {
    provider: SdkTracerProvider,
}

impl Discard {
    pub(crate) fn start() -> Self {
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_span_processor(spanwright_testing::Discard)
            .build();
        Self { provider }
    }
}

impl Pipeline for Discard {
    fn tracer(&self) -> SdkTracer {
        self.provider.tracer(SCOPE)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }

    fn shutdown(&self, _: Duration) -> Closing {
        Closing::default()
    }
}
