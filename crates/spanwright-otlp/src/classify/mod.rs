//! From what a receiver answered, or a transport met, to what is to be done about it.
//!
//! Pure functions, so that the whole table can be tested without a socket.
//!
//! | to be done | gRPC | HTTP | neither |
//! |---|---|---|---|
//! | [`Retryable`] | `CANCELLED`, `DEADLINE_EXCEEDED`, `ABORTED`, `OUT_OF_RANGE`, `UNAVAILABLE`, `DATA_LOSS`; `RESOURCE_EXHAUSTED` with `RetryInfo` | 429, 502, 503, 504 | no answer within the timeout, connection lost |
//! | not before a delay | `RetryInfo` above zero on `UNAVAILABLE` and `RESOURCE_EXHAUSTED` | `Retry-After` on 429 and 503 | |
//! | [`TooLarge`] | `OUT_OF_RANGE` and `RESOURCE_EXHAUSTED` without `RetryInfo` whose message is about the size of the message | 413 | over our own limit |
//! | [`Unauthenticated`] | `UNAUTHENTICATED` | 401 | |
//! | [`Connect`] | | | no connection |
//! | [`Permanent`] | every other code | every other status, redirects included | an answer over our limit |
//!
//! `TooLarge` is our reading: by the specification alone a message over a tonic server's limit (`OUT_OF_RANGE`) would be sent
//! again for ever, and one over a C++ or Go server's (`RESOURCE_EXHAUSTED`) would be lost whole, where its halves would arrive.
//!
//! # Source
//!
//! OTLP 1.11: [failures over gRPC](https://opentelemetry.io/docs/specs/otlp/#failures), [over
//! HTTP](https://opentelemetry.io/docs/specs/otlp/#failures-1). An answer without a gRPC status:
//! [gRPC, status codes by HTTP status](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
//!
//! [`Connect`]: spanwright_core::ErrorKind::Connect
//! [`Permanent`]: spanwright_core::ErrorKind::Permanent
//! [`Retryable`]: spanwright_core::ErrorKind::Retryable
//! [`TooLarge`]: spanwright_core::ErrorKind::TooLarge
//! [`Unauthenticated`]: spanwright_core::ErrorKind::Unauthenticated

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod local;

use std::time::Duration;

use crate::defaults::MAX_RETRY_AFTER;

/// What an error has to do with the encoding that the request was sent under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EncodingVerdict {
    /// Nothing, as far as can be seen.
    Unrelated,
    /// The receiver said that it does not take the encoding.
    Refused,
    /// The receiver said nothing at all, as some do that do not know the encoding. Only to send it without can tell.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "gRPC receivers say it"))]
    Suspected,
}

/// The delay to keep: none for zero ("retry, at your own pace"), and none that would stop an exporter for good.
fn throttle(delay: Duration) -> Option<Duration> {
    (!delay.is_zero()).then(|| delay.min(MAX_RETRY_AFTER))
}
