//! A pipeline that has nobody to export to.

use std::future::{Pending, pending};
use std::task::{Context, Poll};
use std::time::Duration;

use spanwright_batching::BatchSpanProcessorBuilder;
use spanwright_core::{BuildError, EncodedBatch, ExportError, Receipt};
use spanwright_otlp::SpanEncoder;
use tower_service::Service;

use crate::otel::Processor;

/// A processor that has already ended: its settings are checked, its accounts are there and zero, and no thread runs for it.
pub(crate) fn idle_processor(builder: BatchSpanProcessorBuilder<SpanEncoder>) -> Result<Processor, BuildError> {
    let processor = builder.with_exporter("none", Nowhere).spawn()?;
    // There is nothing to report: nobody has put anything in.
    let _ = processor.shutdown_within(Duration::ZERO);
    Ok(processor)
}

/// Is never ready for anything.
struct Nowhere;

impl Service<EncodedBatch> for Nowhere {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pending<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Pending
    }

    fn call(&mut self, _: EncodedBatch) -> Self::Future {
        pending()
    }
}
