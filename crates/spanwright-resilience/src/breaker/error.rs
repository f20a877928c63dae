//! Why a call through a breaker failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A call was not let through, or failed by itself.
#[derive(Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallError<E> {
    /// It failed.
    Inner(E),
    /// It was not let through.
    Open {
        /// How long no call will be. Zero: until the probe that is under way comes back.
        retry_after: Duration,
    },
}

impl<E> CallError<E> {
    pub(super) fn open(retry_after: Duration) -> Self {
        Self::Open { retry_after }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inner(error) => error.fmt(f),
            Self::Open { retry_after } if retry_after.is_zero() => {
                f.write_str("the circuit breaker waits for its probe")
            }
            Self::Open { retry_after } => write!(f, "the circuit breaker is open for {retry_after:?}"),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Inner(error) => error.source(),
            Self::Open { .. } => None,
        }
    }
}
