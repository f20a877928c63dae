//! What went wrong with an export, and what to do about it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a request was not taken.
///
/// [`kind`](Self::kind) says what to do; [`error_type`](Self::error_type) is for people and metrics; the error that a
/// transport met is kept as the source.
#[derive(Debug)]
pub struct ExportError {
    kind: ErrorKind,
    error_type: Cow<'static, str>,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
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
    use super::*;

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
}
