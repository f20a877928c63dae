//! Why there is no new strategy.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use spanwright_core::BuildError;

/// Why a poll brought no strategy that could be applied. The one in force stays.
#[derive(Clone, Debug)]
pub struct RemoteError {
    kind: RemoteErrorKind,
    message: String,
}

/// What kept a strategy from coming.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RemoteErrorKind {
    /// Something of ours, or the observer, panicked.
    Panicked,
    /// The server answered with an error, or in a form that is not of the protocol.
    Refused,
    /// The sampler was shut down.
    Stopped,
    /// No answer in time.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
    /// A strategy that cannot be used.
    UnusableStrategy,
}

impl RemoteError {
    pub(super) fn new(kind: RemoteErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What kept it from coming.
    #[must_use]
    pub fn kind(&self) -> RemoteErrorKind {
        self.kind
    }
}

impl RemoteErrorKind {
    /// The value of the attribute `error.type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Refused => "refused",
            Self::Stopped => "already_shutdown",
            Self::TimedOut => "timeout",
            Self::Unreachable => "unreachable",
            Self::UnusableStrategy => "unusable_strategy",
        }
    }
}

/// An answer that names a field, its value, and what is accepted there.
impl From<BuildError> for RemoteError {
    fn from(error: BuildError) -> Self {
        Self::new(RemoteErrorKind::UnusableStrategy, error.to_string())
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RemoteError {}

/// A panic as an error.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, RemoteError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panicked(&*panic))
}

fn panicked(panic: &(dyn Any + Send)) -> RemoteError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    RemoteError::new(
        RemoteErrorKind::Panicked,
        text.unwrap_or_else(|| "a panic without a message".to_owned()),
    )
}
