//! What goes wrong in the shop.

use std::error::Error;
use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a request could not be served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    DeadlockDetected,
    PaymentProviderUnavailable,
}

impl Failure {
    /// The value of `error.type`: what the backend itself calls it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::DeadlockDetected => "40P01",
            Self::PaymentProviderUnavailable => "503",
        }
    }

    /// The value of `exception.type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DeadlockDetected => "shop::DeadlockDetected",
            Self::PaymentProviderUnavailable => "shop::PaymentProviderUnavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::DeadlockDetected => StatusCode::INTERNAL_SERVER_ERROR,
            Self::PaymentProviderUnavailable => StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadlockDetected => "the database found a deadlock and gave up this transaction",
            Self::PaymentProviderUnavailable => "the payment provider is unavailable",
        })
    }
}

impl Error for Failure {}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}
