//! The end of a pipeline without a receiver.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use spanwright_core::{EncodedBatch, ExportError, Receipt};
use tower_service::Service;

/// Takes everything at once: an exporter for both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sink;

impl Service<EncodedBatch> for Sink {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Ready<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: EncodedBatch) -> Self::Future {
        ready(Ok(Receipt::accepted()))
    }
}

impl SpanExporter for Sink {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}
