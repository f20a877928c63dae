//! What delivering a request is, over whichever protocol.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{
    Clock, ContentEncoding, EncodedBatch, ErrorKind, Event, ExportError, Observer, Receipt, semconv,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::CompressionAnalyzer;
use crate::classify::{EncodingVerdict, local};
use crate::compression::Compressor;
use crate::suppressed::Suppressed;

/// A protocol: takes one message to the receiver, and says what became of it.
pub(crate) trait Wire: Send + Sync + 'static {
    fn send(&self, message: Message, deadline: Instant) -> impl Future<Output = Result<Receipt, Failure>> + Send;
}

/// A message as it goes out.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    batch: EncodedBatch,
    compressed: Option<(ContentEncoding, Bytes)>,
}

impl Message {
    pub(crate) fn plain(batch: EncodedBatch) -> Self {
        Self {
            batch,
            compressed: None,
        }
    }

    pub(crate) fn encoding(&self) -> ContentEncoding {
        self.compressed
            .as_ref()
            .map_or(ContentEncoding::Identity, |(encoding, _)| *encoding)
    }

    pub(crate) fn segments(&self) -> &[Bytes] {
        match &self.compressed {
            Some((_, bytes)) => std::slice::from_ref(bytes),
            None => self.batch.segments(),
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    fn len(&self) -> usize {
        self.compressed
            .as_ref()
            .map_or(self.batch.len(), |(_, bytes)| bytes.len())
    }
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ExportError,
    pub(crate) encoding: EncodingVerdict,
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Self {
            error,
            encoding: EncodingVerdict::Unrelated,
        }
    }
}

/// What an exporter and its clones share.
pub(crate) struct Delivery<W> {
    pub(crate) wire: W,
    pub(crate) endpoint: String,
    pub(crate) timeout: Duration,
    pub(crate) max_request_bytes: usize,
    pub(crate) encoding: ContentEncoding,
    pub(crate) is_encoding_refused: AtomicBool,
    pub(crate) compressor: Compressor,
    pub(crate) analyzer: CompressionAnalyzer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl<W: Wire> Delivery<W> {
    /// The future of an export. It does nothing until it is polled.
    pub(crate) fn start(self: &Arc<Self>, batch: EncodedBatch) -> ExportFuture {
        let this = Arc::clone(self);
        ExportFuture {
            inner: Suppressed(Box::pin(async move { this.deliver(batch).await })),
        }
    }

    async fn deliver(&self, batch: EncodedBatch) -> Result<Receipt, ExportError> {
        // The specification: an empty request is not to be sent.
        if batch.is_empty() || batch.item_count() == 0 {
            return Ok(Receipt::accepted());
        }
        self.check_size(batch.len())?;
        // Without a runtime the timer below would panic.
        Handle::try_current().map_err(|_| local::no_runtime())?;
        let deadline = Instant::now() + self.timeout;
        match tokio::time::timeout_at(deadline, self.attempt(batch, deadline)).await {
            Ok(result) => result,
            Err(_) => Err(local::timeout(self.timeout)),
        }
    }

    /// Sends the batch, and once more without compression where the receiver seems not to take the encoding.
    async fn attempt(&self, batch: EncodedBatch, deadline: Instant) -> Result<Receipt, ExportError> {
        let message = self.message(batch.clone());
        let encoding = message.encoding();
        self.check_size(message.len())?;
        let failure = match self.wire.send(message, deadline).await {
            Ok(receipt) => return Ok(receipt),
            Err(failure) => failure,
        };
        match failure.encoding {
            EncodingVerdict::Unrelated => Err(failure.error),
            EncodingVerdict::Refused => {
                self.remember_refusal(encoding);
                let again = self.wire.send(Message::plain(batch), deadline).await;
                again.map_err(|failure| failure.error)
            }
            EncodingVerdict::Suspected => match self.wire.send(Message::plain(batch), deadline).await {
                Ok(receipt) => {
                    self.remember_refusal(encoding);
                    Ok(receipt)
                }
                // It was not the encoding: the first answer stands.
                Err(again) if again.error.kind() == ErrorKind::Permanent => Err(failure.error),
                Err(again) => Err(again.error),
            },
        }
    }

    /// The batch under the encoding that is in use, compressed now where no one has compressed it before.
    fn message(&self, batch: EncodedBatch) -> Message {
        // Relaxed: the flag stands alone. A request that just misses it is refused and sent again.
        if self.encoding == ContentEncoding::Identity || self.is_encoding_refused.load(Ordering::Relaxed) {
            return Message::plain(batch);
        }
        let compressed = batch.compressed(self.encoding, |segments| {
            let start = self.clock.now();
            let bytes = self.compressor.compress(segments)?;
            let elapsed = self.clock.now().saturating_duration_since(start);
            let stats = self.analyzer.record(batch.len(), bytes.len(), elapsed);
            if let Some(ratio) = stats.ratio() {
                self.observer.record(&semconv::COMPRESSION_RATIO, ratio, &[]);
            }
            Ok::<_, std::io::Error>(bytes)
        });
        match compressed {
            Ok(Some(bytes)) => Message {
                compressed: Some((self.encoding, bytes)),
                batch,
            },
            // A compressor fails for want of memory. The batch is as good without it.
            Ok(None) | Err(_) => Message::plain(batch),
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), ExportError> {
        if bytes > self.max_request_bytes {
            return Err(local::request_too_large(bytes, self.max_request_bytes));
        }
        Ok(())
    }

    fn remember_refusal(&self, refused: ContentEncoding) {
        // Relaxed: who finds it unset tells of it, and nothing else depends on the order.
        if !self.is_encoding_refused.swap(true, Ordering::Relaxed) {
            self.observer.event(&Event::EncodingRefused {
                refused,
                fallback: ContentEncoding::Identity,
            });
        }
    }
}

impl<W: fmt::Debug> fmt::Debug for Delivery<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("wire", &self.wire)
            .field("endpoint", &self.endpoint)
            .field("timeout", &self.timeout)
            .field("encoding", &self.encoding)
            .field("is_encoding_refused", &self.is_encoding_refused)
            .finish_non_exhaustive()
    }
}

/// The export of one batch. Dropping it cancels the request, which may have arrived all the same.
#[must_use = "an export does nothing unless it is polled"]
pub struct ExportFuture {
    inner: Suppressed<BoxFuture<Result<Receipt, ExportError>>>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Future for ExportFuture {
    type Output = Result<Receipt, ExportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl fmt::Debug for ExportFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportFuture").finish_non_exhaustive()
    }
}
