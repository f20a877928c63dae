//! What went wrong with an export, and what to do about it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{EncodedBatch, Receipt};

/// Why a request was not taken.
///
/// [`kind`](Self::kind) says what to do; [`error_type`](Self::error_type) is for people and metrics; the error that a
/// transport met is kept as the source.
///
/// # When a part was taken
///
/// A request that was split over several receivers may be settled in part. Then the error is about its [`rest`](Self::rest)
/// alone: what its kind asks for (to send again, to halve, to count as lost) is to be done to the rest, and the other items are
/// delivered, but for those that the receipt calls rejected. An error without a rest is about the whole request.
///
/// ```
/// use spanwright_core::{EncodedBatch, ErrorKind, ExportError, Priority, Receipt};
///
/// /// What to send again, and how many items were delivered and rejected.
/// fn after(request: EncodedBatch, mut error: ExportError) -> (EncodedBatch, u64, u64) {
///     let Some((receipt, rest)) = error.take_rest() else {
///         return (request, 0, 0);
///     };
///     let settled = request.item_count().saturating_sub(rest.item_count()) as u64;
///     let rejected = receipt.rejected().min(settled);
///     (rest, settled - rejected, rejected)
/// }
///
/// let request = EncodedBatch::new([], 10, Priority::Normal);
/// let rest = EncodedBatch::new([], 3, Priority::Normal);
/// let error = ExportError::new(ErrorKind::Retryable, "UNAVAILABLE", "").with_rest(Receipt::partial(2, "too old"), rest);
/// let (again, delivered, rejected) = after(request, error);
/// assert_eq!((again.item_count(), delivered, rejected), (3, 5, 2));
/// ```
#[derive(Debug)]
pub struct ExportError {
    kind: ErrorKind,
    error_type: Cow<'static, str>,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// Boxed: hardly any error has it, and every result has the room for it.
    rest: Option<Box<(Receipt, EncodedBatch)>>,
}

/// What to do about an [`ExportError`]. Each is one answer, not one cause.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was given up on our side, by a deadline or a shutdown. It may have arrived. It may be sent again.
    Cancelled,
    /// No connection could be made. It may be sent again, and so may nothing else just now.
    Connect,
    /// The receiver will never take it. Count it as lost.
    Permanent,
    /// The receiver may take it later, not before [`ExportError::retry_after`].
    Retryable,
    /// The receiver takes none of this size. Split it and send the halves.
    TooLarge,
    /// The receiver does not know us. Permanent by the specification, but a credential may be renewed.
    Unauthenticated,
}

impl ExportError {
    /// An error with what `error.type` shall say of it: a status code's name, or a word of low cardinality.
    pub fn new(kind: ErrorKind, error_type: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            kind,
            error_type: error_type.into(),
            message: message.into(),
            retry_after: None,
            source: None,
            rest: None,
        }
    }

    /// The same with the delay that the server asked for.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.retry_after = delay;
        self
    }

    /// The same with the error behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same about `rest` alone. The other items of the request are settled: `receipt` is what was said of them.
    ///
    /// `rest` has at least one item, and fewer than the request.
    #[must_use]
    pub fn with_rest(mut self, receipt: Receipt, rest: EncodedBatch) -> Self {
        self.rest = Some(Box::new((receipt, rest)));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same bytes may be sent again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Cancelled | ErrorKind::Connect | ErrorKind::Retryable
        )
    }

    /// The least time to wait before the next request, where the server named one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The value of the attribute `error.type`, of low cardinality: `UNAVAILABLE`, `503`, `timeout`.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    /// What the receiver or the transport said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What of the request the error is about, where that is not the whole, and what was said of the other items.
    ///
    /// How many those are is the difference of [`item_count`](EncodedBatch::item_count) between the request and the rest.
    #[must_use]
    pub fn rest(&self) -> Option<(&Receipt, &EncodedBatch)> {
        self.rest.as_deref().map(|(receipt, rest)| (receipt, rest))
    }

    /// Takes [`rest`](Self::rest) out. What is left is the error as it is about the rest: whoever has taken it sends the rest, or
    /// counts it, instead of the request.
    #[must_use = "what was taken must not be sent again"]
    pub fn take_rest(&mut self) -> Option<(Receipt, EncodedBatch)> {
        self.rest.take().map(|rest| *rest)
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Cancelled => "export cancelled",
            ErrorKind::Connect => "cannot connect to the receiver",
            ErrorKind::Permanent => "receiver refused the export for good",
            ErrorKind::Retryable => "receiver cannot take the export now",
            ErrorKind::TooLarge => "export is too large for the receiver",
            ErrorKind::Unauthenticated => "receiver does not accept the credentials",
        };
        write!(f, "{what} ({})", self.error_type)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(delay) = self.retry_after {
            write!(f, " (retry after {delay:?})")?;
        }
        if let Some((_, rest)) = self.rest() {
            write!(f, " ({} items of it are left)", rest.item_count())?;
        }
        Ok(())
    }
}

impl Error for ExportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Priority;

    #[test]
    fn says_what_the_server_said_and_keeps_the_source() {
        let error = ExportError::new(ErrorKind::Retryable, "UNAVAILABLE", "draining")
            .with_retry_after(Some(Duration::from_secs(5)))
            .with_source("connection reset");
        assert_eq!(
            error.to_string(),
            "receiver cannot take the export now (UNAVAILABLE): draining (retry after 5s)"
        );
        assert_eq!(error.source().map(ToString::to_string), Some("connection reset".into()));
    }

    #[test]
    fn only_what_may_arrive_later_is_retryable() {
        let retryable = |kind| ExportError::new(kind, "x", "").is_retryable();
        assert!(retryable(ErrorKind::Cancelled) && retryable(ErrorKind::Connect) && retryable(ErrorKind::Retryable));
        assert!(
            !retryable(ErrorKind::Permanent)
                && !retryable(ErrorKind::TooLarge)
                && !retryable(ErrorKind::Unauthenticated)
        );
    }

    #[test]
    fn the_rest_is_taken_once_and_the_error_stays() {
        let rest = EncodedBatch::new([Bytes::from_static(b"rest")], 3, Priority::High);
        let mut error =
            ExportError::new(ErrorKind::Retryable, "UNAVAILABLE", "").with_rest(Receipt::partial(1, "old"), rest);
        assert_eq!(
            error.to_string(),
            "receiver cannot take the export now (UNAVAILABLE) (3 items of it are left)"
        );
        let seen = error
            .rest()
            .map(|(receipt, rest)| (receipt.rejected(), rest.item_count()));
        assert_eq!(seen, Some((1, 3)));
        let (receipt, rest) = error.take_rest().expect("there is one");
        assert_eq!(
            (receipt, rest.to_bytes()),
            (Receipt::partial(1, "old"), Bytes::from_static(b"rest"))
        );
        assert!(error.rest().is_none() && error.take_rest().is_none());
        assert!(error.is_retryable() && error.error_type() == "UNAVAILABLE");
    }

    #[test]
    fn an_error_is_small_whatever_it_carries() {
        assert!(size_of::<Result<Receipt, ExportError>>() <= 120);
    }
}
