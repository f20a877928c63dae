//! The exporter: a service that takes a request to its receiver.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::{EncodedBatch, ExportError};

/// A [`Service`] that delivers encoded requests.
///
/// Not to be implemented: whoever implements `Service<EncodedBatch>` with these types has it. That makes tower's layers
/// (timeout, concurrency limit, load shed, balance) fit as they are.
///
/// # Contract
///
/// - `poll_ready` says whether a request may be started; a layer that is out of permits answers `Pending` and wakes later. An error from it
///   is of the exporter, not of any batch: it cannot be used for now (a breaker is open), and
///   [`retry_after`](ExportError::retry_after) says for how long.
/// - The future of `call` ends with what became of the batch. `Ok` means that the receiver answered and took all but
///   [`Receipt::rejected`] items. `Err` means that it took none, as far as can be known, but for what the error says to be
///   settled ([`ExportError::rest`]); [`ExportError::kind`] says what to do.
/// - Dropping the future cancels the request. The batch may have arrived all the same: delivery is at least once.
pub trait Exporter:
    Service<EncodedBatch, Response = Receipt, Error = ExportError, Future: Send + 'static> + Send + 'static
{
}

impl<S> Exporter for S where
    S: Service<EncodedBatch, Response = Receipt, Error = ExportError, Future: Send + 'static> + Send + 'static
{
}

/// An exporter whose type is forgotten, so that different ones stand in one list.
///
/// # Cost
///
/// One allocation and one indirect call per request.
pub struct BoxExporter {
    inner: Box<dyn Service<EncodedBatch, Response = Receipt, Error = ExportError, Future = BoxFuture> + Send>,
}

type BoxFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

impl BoxExporter {
    /// Forgets the type of `exporter`.
    pub fn new(exporter: impl Exporter) -> Self {
        Self {
            inner: Box::new(Boxing(exporter)),
        }
    }
}

impl Service<EncodedBatch> for BoxExporter {
    type Response = Receipt;
    type Error = ExportError;
    type Future = BoxFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: EncodedBatch) -> BoxFuture {
        self.inner.call(batch)
    }
}

impl fmt::Debug for BoxExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxExporter").finish_non_exhaustive()
    }
}

struct Boxing<S>(S);

impl<S: Exporter> Service<EncodedBatch> for Boxing<S> {
    type Response = Receipt;
    type Error = ExportError;
    type Future = BoxFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, batch: EncodedBatch) -> BoxFuture {
        Box::pin(self.0.call(batch))
    }
}

/// What a receiver said to a request that it answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Receipt {
    rejected: u64,
    message: Option<String>,
}

impl Receipt {
    /// Everything was taken.
    #[must_use]
    pub fn accepted() -> Self {
        Self::default()
    }

    /// A partial success: `rejected` items were refused for good, the rest was taken.
    ///
    /// With `rejected` of 0 the message is a warning only.
    ///
    /// # Source
    ///
    /// [OTLP, partial success](https://opentelemetry.io/docs/specs/otlp/#partial-success): never to be sent again.
    pub fn partial(rejected: u64, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            rejected,
            message: (!message.is_empty()).then_some(message),
        }
    }

    /// How many items were refused.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// What the receiver wrote about it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}
