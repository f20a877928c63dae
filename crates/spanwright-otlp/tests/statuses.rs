//! Every status of both protocols, answered by a receiver, is what the specification says that it is.
//!
//! The same tables as beside `classify/`, over sockets: here it is also about whether the status, and what comes with it, gets there.
//!
//! Source: [OTLP, failures](https://opentelemetry.io/docs/specs/otlp/#failures), for gRPC and HTTP.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spanwright_core::{ErrorKind, ManualClock, Receipt};
use spanwright_otlp::Protocol;
use spanwright_testing::{Receiver, Reply};
use support::{Exporter, Settings, batch};

const FIVE: Duration = Duration::from_secs(5);

/// "The client MAY retry": CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
const RETRYABLE_CODES: [i32; 6] = [1, 4, 10, 11, 14, 15];
/// "Only if the server can recover", which it says by `RetryInfo`.
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// Too many requests, bad gateway, unavailable, gateway timeout. "All other 4xx or 5xx response status codes MUST NOT be retried."
const RETRYABLE_STATUSES: [u16; 4] = [429, 502, 503, 504];

/// What is to be done about a gRPC code, and not before which delay; `None` where it was taken.
fn by_code(code: i32, retry_info: Option<Duration>) -> Option<(ErrorKind, Option<Duration>)> {
    let kind = match code {
        0 => return None,
        UNAUTHENTICATED => ErrorKind::Unauthenticated,
        RESOURCE_EXHAUSTED if retry_info.is_some() => ErrorKind::Retryable,
        code if RETRYABLE_CODES.contains(&code) => ErrorKind::Retryable,
        _ => ErrorKind::Permanent,
    };
    let throttles = [RESOURCE_EXHAUSTED, UNAVAILABLE].contains(&code);
    // No delay means the client's own.
    Some((kind, retry_info.filter(|delay| throttles && !delay.is_zero())))
}

#[tokio::test]
async fn every_code_of_grpc_with_and_without_retry_info() {
    let receiver = Receiver::spawn().unwrap();
    let mut exporter = Exporter::to(&receiver, Protocol::Grpc, Settings::default());
    let batch = batch(1);
    for code in 0..17 {
        for retry_info in [None, Some(Duration::ZERO), Some(FIVE)] {
            let reply = Reply::grpc_status(code, "why");
            receiver.script([match retry_info {
                Some(delay) => reply.with_retry_after(delay),
                None => reply,
            }]);
            let result = exporter.export(&batch).await;
            let got = result.as_ref().err().map(|error| (error.kind(), error.retry_after()));
            assert_eq!(got, by_code(code, retry_info), "code {code}, RetryInfo {retry_info:?}");
            match result {
                Ok(receipt) => assert_eq!(receipt, Receipt::accepted()),
                Err(error) => assert_eq!(error.message(), "why"),
            }
        }
    }
    let counts = receiver.counts();
    assert_eq!(
        (counts.requests, counts.connections),
        (17 * 3, 1),
        "each was asked once, and a refusal breaks nothing"
    );
}

fn by_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Unauthenticated,
        413 => ErrorKind::TooLarge,
        status if RETRYABLE_STATUSES.contains(&status) => ErrorKind::Retryable,
        _ => ErrorKind::Permanent,
    }
}

#[tokio::test]
async fn every_status_of_http_with_and_without_retry_after() {
    let receiver = Receiver::spawn().unwrap();
    let clock = ManualClock::new();
    // Five seconds before the date below.
    clock.set_system_time(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) - FIVE);
    let settings = Settings {
        clock: Some(Arc::new(clock)),
        ..Settings::default()
    };
    let mut exporter = Exporter::to(&receiver, Protocol::HttpProtobuf, settings);
    let batch = batch(1);
    for status in 400..600 {
        for (retry_after, told) in [
            (None, None),
            (Some("5"), Some(FIVE)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(FIVE)),
            (Some("in a while"), None),
        ] {
            let reply = Reply::http_status(status);
            receiver.script([match retry_after {
                Some(text) => reply.with_retry_after_text(text),
                None => reply,
            }]);
            let error = exporter.export(&batch).await.unwrap_err();
            // "Too many requests" and "unavailable" alone say when to come back.
            let delay = told.filter(|_| [429, 503].contains(&status));
            assert_eq!(
                (error.kind(), error.retry_after(), error.error_type()),
                (by_status(status), delay, &*status.to_string()),
                "Retry-After {retry_after:?}"
            );
        }
    }
    assert_eq!(receiver.counts().requests, 200 * 4, "each was asked once");
}

#[tokio::test]
async fn every_status_of_something_between_that_knows_nothing_of_grpc() {
    let receiver = Receiver::spawn().unwrap();
    let mut exporter = Exporter::to(&receiver, Protocol::Grpc, Settings::default());
    let batch = batch(1);
    for status in 400..600 {
        receiver.script([Reply::proxy_status(status)]);
        let error = exporter.export(&batch).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (by_status(status), None),
            "{status} {error}"
        );
    }
    assert_eq!(receiver.counts().requests, 200);
}
