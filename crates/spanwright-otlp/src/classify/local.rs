//! What goes wrong on our side of the wire, or on it.

use std::error::Error;
use std::time::Duration;

use spanwright_core::{ErrorKind, ExportError};

type BoxError = Box<dyn Error + Send + Sync>;

/// What an error of tonic's channel or of hyper's client means. Both wrap what happened several times, so the chain is searched.
pub(crate) fn transport(error: impl Into<BoxError>) -> ExportError {
    let error = error.into();
    let (kind, error_type) = match chain(error.as_ref()).find_map(cause) {
        Some(Cause::Connect) => (ErrorKind::Connect, "connect"),
        Some(Cause::Timeout) => (ErrorKind::Retryable, "timeout"),
        // The connection broke, or the receiver ended it. Whether the request arrived is not known: at least once.
        None => (ErrorKind::Retryable, "transport"),
    };
    ExportError::new(kind, error_type, describe(error.as_ref())).with_source(error)
}

/// The receiver did not answer in time.
pub(crate) fn timeout(after: Duration) -> ExportError {
    ExportError::new(ErrorKind::Retryable, "timeout", format!("no answer within {after:?}"))
}

/// A request over our limit, which is not sent.
pub(crate) fn request_too_large(bytes: usize, limit: usize) -> ExportError {
    let message = format!("{bytes} bytes, the limit is {limit}; it was not sent");
    ExportError::new(ErrorKind::TooLarge, "request_too_large", message)
}

/// An answer over our limit, of which the rest is not read.
pub(crate) fn response_too_large(limit: usize) -> ExportError {
    let message = format!("the answer has more than {limit} bytes");
    ExportError::new(ErrorKind::Permanent, "response_too_large", message)
}

/// The exporter's future is polled outside of a Tokio runtime.
pub(crate) fn no_runtime() -> ExportError {
    let message = "the exporter must be run on a Tokio runtime with I/O and time enabled";
    ExportError::new(ErrorKind::Permanent, "no_runtime", message)
}

enum Cause {
    Connect,
    Timeout,
}

fn cause(error: &(dyn Error + 'static)) -> Option<Cause> {
    #[cfg(feature = "grpc")]
    if error.is::<tonic::ConnectError>() {
        return Some(Cause::Connect);
    }
    #[cfg(feature = "grpc")]
    if error.is::<tonic::TimeoutExpired>() {
        return Some(Cause::Timeout);
    }
    #[cfg(feature = "http")]
    if error
        .downcast_ref::<hyper_util::client::legacy::Error>()
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
    {
        return Some(Cause::Connect);
    }
    let hyper = error.downcast_ref::<hyper::Error>()?;
    hyper.is_timeout().then_some(Cause::Timeout)
}

/// The texts of the chain, but for those that add nothing: tonic's "transport error", and a text that the one before it ends with.
fn describe(error: &(dyn Error + 'static)) -> String {
    let mut description = String::new();
    for error in chain(error) {
        #[cfg(feature = "grpc")]
        if error.is::<tonic::transport::Error>() {
            continue;
        }
        let text = error.to_string();
        if description.is_empty() {
            description = text;
        } else if !description.ends_with(&text) {
            description.push_str(": ");
            description.push_str(&text);
        }
    }
    description
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_lost_connection_is_retryable_and_keeps_its_source() {
        let error = transport(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!((error.kind(), error.error_type()), (ErrorKind::Retryable, "transport"));
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()));
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_failure_to_connect_is_found_below_other_errors() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let connect = tonic::ConnectError(refused.into());
        // The nested error, and the one around it, say the same; it is said once.
        let error = transport(tonic::ConnectError(connect.into()));
        assert_eq!((error.kind(), error.error_type()), (ErrorKind::Connect, "connect"));
        assert_eq!(error.message(), "connection refused");
        let mut status = tonic::Status::unknown("hidden");
        status.set_source(std::sync::Arc::new(tonic::ConnectError("no route".into())));
        assert_eq!(transport(status).kind(), ErrorKind::Connect);
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_timeout_of_the_channel_is_a_timeout() {
        let error = transport(tonic::TimeoutExpired(()));
        assert_eq!((error.kind(), error.error_type()), (ErrorKind::Retryable, "timeout"));
    }
}
