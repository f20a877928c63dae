//! Statuses of both protocols, and the message that carries them.
//!
//! # Source
//!
//! The two translations follow the OpenTelemetry Collector, which keeps what is retryable retryable
//! ([OTLP, failures](https://opentelemetry.io/docs/specs/otlp/#failures)). The message is
//! [`google.rpc.Status`](https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto).

use std::fmt::Write;
use std::time::Duration;

use bytes::BufMut;
use http::StatusCode;

use super::reply::RetryAfter;

pub(super) const OK: i32 = 0;
pub(super) const UNKNOWN: i32 = 2;
pub(super) const INVALID_ARGUMENT: i32 = 3;
pub(super) const PERMISSION_DENIED: i32 = 7;
pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
pub(super) const OUT_OF_RANGE: i32 = 11;
pub(super) const UNIMPLEMENTED: i32 = 12;
pub(super) const UNAVAILABLE: i32 = 14;
pub(super) const UNAUTHENTICATED: i32 = 16;

/// CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
const RETRYABLE: [i32; 6] = [1, 4, 10, OUT_OF_RANGE, UNAVAILABLE, 15];

const RETRY_INFO_URL: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

pub(super) fn http_from_grpc(code: i32) -> StatusCode {
    match code {
        OK => StatusCode::OK,
        INVALID_ARGUMENT => StatusCode::BAD_REQUEST,
        UNAUTHENTICATED => StatusCode::UNAUTHORIZED,
        PERMISSION_DENIED => StatusCode::FORBIDDEN,
        UNIMPLEMENTED => StatusCode::NOT_FOUND,
        RESOURCE_EXHAUSTED => StatusCode::TOO_MANY_REQUESTS,
        code if RETRYABLE.contains(&code) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) fn grpc_from_http(status: StatusCode) -> i32 {
    match status.as_u16() {
        200 => OK,
        400 => INVALID_ARGUMENT,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        413 => RESOURCE_EXHAUSTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

impl RetryAfter {
    /// What a gRPC client can be told.
    pub(super) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Delay(delay) => Some(*delay),
            Self::Text(text) => text.parse().ok().map(Duration::from_secs),
        }
    }

    /// What an HTTP client is told. A date can only be given as text.
    pub(super) fn header(&self) -> String {
        match self {
            Self::Delay(delay) => delay.as_millis().div_ceil(1000).to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// `google.rpc.Status`, with a RetryInfo in its details where there is a `retry` delay.
pub(super) fn rpc_status(code: i32, message: &str, retry: Option<Duration>) -> Vec<u8> {
    let mut status = Vec::new();
    put_integer(&mut status, 1, i64::from(code));
    put_bytes(&mut status, 2, message.as_bytes());
    if let Some(delay) = retry {
        let mut duration = Vec::new();
        put_integer(&mut duration, 1, i64::try_from(delay.as_secs()).unwrap_or(i64::MAX));
        put_integer(&mut duration, 2, i64::from(delay.subsec_nanos()));
        // Zero seconds are an empty message, which still has to be there: "retry at once" is not "no RetryInfo".
        let mut retry_info = Vec::new();
        put_message(&mut retry_info, 1, &duration);
        let mut any = Vec::new();
        put_bytes(&mut any, 1, RETRY_INFO_URL);
        put_message(&mut any, 2, &retry_info);
        put_message(&mut status, 3, &any);
    }
    status
}

/// `grpc-message` allows printable ASCII but `%`; the rest is percent-encoded.
pub(super) fn percent_encoded(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// A varint field; zero is the default and not written.
pub(super) fn put_integer(out: &mut Vec<u8>, field: u8, value: i64) {
    if value != 0 {
        out.put_u8(field << 3);
        put_varint(out, value.cast_unsigned());
    }
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_message(out, field, bytes);
    }
}

fn put_message(out: &mut Vec<u8>, field: u8, message: &[u8]) {
    out.put_u8(field << 3 | 2);
    put_varint(out, message.len() as u64);
    out.put_slice(message);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_retryable_stays_retryable_over_http() {
        for code in 1..=16 {
            let retryable = [429, 502, 503, 504].contains(&http_from_grpc(code).as_u16());
            assert_eq!(
                retryable,
                RETRYABLE.contains(&code) || code == RESOURCE_EXHAUSTED,
                "{code}"
            );
        }
    }

    #[test]
    fn message_is_escaped_as_grpc_asks() {
        assert_eq!(percent_encoded("50% é\n"), "50%25 %C3%A9%0A");
    }

    #[test]
    fn a_delay_is_rounded_up_to_the_seconds_that_http_can_tell() {
        assert_eq!(RetryAfter::Delay(Duration::from_millis(1200)).header(), "2");
        assert_eq!(RetryAfter::Text("soon".into()).delay(), None);
        assert_eq!(RetryAfter::Text("7".into()).delay(), Some(Duration::from_secs(7)));
    }
}
