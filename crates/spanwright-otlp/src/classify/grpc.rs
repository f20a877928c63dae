//! gRPC codes.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use spanwright_core::{ContentEncoding, ErrorKind, ExportError};
use tonic::Code;

use super::{EncodingVerdict, throttle};

/// What a gRPC status means. `retry_delay` is that of its `RetryInfo`, if it has one.
pub(crate) fn status(code: Code, message: String, retry_delay: Option<Duration>) -> Result<(), ExportError> {
    let kind = match code {
        Code::Ok => return Ok(()),
        Code::OutOfRange | Code::ResourceExhausted if retry_delay.is_none() && is_about_size(&message) => {
            ErrorKind::TooLarge
        }
        Code::ResourceExhausted if retry_delay.is_none() => ErrorKind::Permanent,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::ResourceExhausted
        | Code::Unavailable
        | Code::DataLoss => ErrorKind::Retryable,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal => ErrorKind::Permanent,
    };
    let delay = match code {
        Code::Unavailable | Code::ResourceExhausted => retry_delay.and_then(throttle),
        _ => None,
    };
    Err(ExportError::new(kind, name(code), message).with_retry_after(delay))
}

/// What an answer without a gRPC status means: it comes from something on the way that does not speak gRPC.
pub(crate) fn not_grpc(status: StatusCode) -> ExportError {
    let message = format!("the answer is not gRPC; HTTP status {status}");
    let (kind, code) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => (ErrorKind::TooLarge, Code::Unknown),
        StatusCode::BAD_REQUEST => (ErrorKind::Permanent, Code::Internal),
        StatusCode::UNAUTHORIZED => (ErrorKind::Unauthenticated, Code::Unauthenticated),
        StatusCode::FORBIDDEN => (ErrorKind::Permanent, Code::PermissionDenied),
        StatusCode::NOT_FOUND => (ErrorKind::Permanent, Code::Unimplemented),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => (ErrorKind::Retryable, Code::Unavailable),
        _ => (ErrorKind::Permanent, Code::Unknown),
    };
    ExportError::new(kind, name(code), message)
}

/// Whether the receiver does not take the encoding that the message was `sent` under. `accepted` are the values of its
/// `grpc-accept-encoding`.
///
/// # Source
///
/// [gRPC, compression](https://github.com/grpc/grpc/blob/master/doc/compression.md#test-cases): `UNIMPLEMENTED`, with the
/// encodings that it takes. Servers in C++ and Python answer `INTERNAL` to an encoding that they have never heard of, and name the
/// header.
pub(crate) fn encoding_verdict<'a>(
    sent: ContentEncoding,
    code: Code,
    message: &str,
    accepted: impl IntoIterator<Item = &'a HeaderValue>,
) -> EncodingVerdict {
    if sent == ContentEncoding::Identity {
        return EncodingVerdict::Unrelated;
    }
    let (mut says_what_it_takes, mut takes_it) = (false, false);
    for encoding in accepted
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
    {
        says_what_it_takes = true;
        takes_it |= encoding.trim().eq_ignore_ascii_case(sent.as_str());
    }
    let message = message.to_ascii_lowercase();
    let complains = message.contains("compress") || message.contains("encoding");
    let refused = match code {
        Code::Unimplemented => says_what_it_takes || complains,
        Code::Internal => says_what_it_takes || message.contains("grpc-encoding"),
        Code::InvalidArgument | Code::Unknown => says_what_it_takes,
        _ => false,
    };
    if refused && !takes_it {
        EncodingVerdict::Refused
    } else {
        EncodingVerdict::Unrelated
    }
}

/// Whether a message tells that a message is over a size limit. There is no code for it, so every implementation has words.
fn is_about_size(message: &str) -> bool {
    const WORDS: [&str; 7] = [
        "larger than max",          // C++ and its wrappers, Go, Node
        "message length too large", // tonic
        "exceeds maximum size",     // Java
        "exceeds the maximum",      // .NET
        "message too large",
        "payload too large",
        "request entity too large",
    ];
    let message = message.to_ascii_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// The name in the specification of gRPC, as `error.type` wants it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use ErrorKind::{Permanent, Retryable, TooLarge, Unauthenticated};

    use super::*;

    const ZERO: Option<Duration> = Some(Duration::ZERO);
    const FIVE: Option<Duration> = Some(Duration::from_secs(5));

    /// What to do, and after which delay: without `RetryInfo`, with one of 0 s, and with one of 5 s.
    type Row = [(ErrorKind, Option<Duration>); 3];

    /// One row a code, by its number.
    #[rustfmt::skip]
    const TABLE: [(&str, Option<Row>); 17] = [
        ("OK", None),
        ("CANCELLED", Some([(Retryable, None), (Retryable, None), (Retryable, None)])),
        ("UNKNOWN", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("INVALID_ARGUMENT", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("DEADLINE_EXCEEDED", Some([(Retryable, None), (Retryable, None), (Retryable, None)])),
        ("NOT_FOUND", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("ALREADY_EXISTS", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("PERMISSION_DENIED", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("RESOURCE_EXHAUSTED", Some([(Permanent, None), (Retryable, None), (Retryable, FIVE)])),
        ("FAILED_PRECONDITION", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("ABORTED", Some([(Retryable, None), (Retryable, None), (Retryable, None)])),
        ("OUT_OF_RANGE", Some([(Retryable, None), (Retryable, None), (Retryable, None)])),
        ("UNIMPLEMENTED", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("INTERNAL", Some([(Permanent, None), (Permanent, None), (Permanent, None)])),
        ("UNAVAILABLE", Some([(Retryable, None), (Retryable, None), (Retryable, FIVE)])),
        ("DATA_LOSS", Some([(Retryable, None), (Retryable, None), (Retryable, None)])),
        ("UNAUTHENTICATED", Some([(Unauthenticated, None), (Unauthenticated, None), (Unauthenticated, None)])),
    ];

    #[test]
    fn every_code_means_what_the_table_says() {
        for (number, (name, expected)) in (0..).zip(TABLE) {
            for (column, retry_delay) in [None, ZERO, FIVE].into_iter().enumerate() {
                let result = status(Code::from_i32(number), "why".into(), retry_delay);
                let got = result.as_ref().err().map(|error| (error.kind(), error.retry_after()));
                assert_eq!(
                    got,
                    expected.map(|row| row[column]),
                    "{name}, RetryInfo {retry_delay:?}"
                );
                if let Err(error) = result {
                    assert_eq!((error.error_type(), error.message()), (name, "why"));
                }
            }
        }
    }

    #[test]
    fn a_message_over_the_servers_limit_is_too_large_whatever_the_server_is_written_in() {
        for (code, message) in [
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
            ),
            (
                Code::ResourceExhausted,
                "grpc: received message larger than max (5 vs. 4)",
            ),
            (
                Code::ResourceExhausted,
                "SERVER: Received message larger than max (5 vs. 4)",
            ),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4: 5"),
            (
                Code::ResourceExhausted,
                "Received message exceeds the maximum configured message size.",
            ),
        ] {
            let kind = |delay| status(code, message.into(), delay).unwrap_err().kind();
            assert_eq!(kind(None), TooLarge, "{message}");
            // With RetryInfo the server asks for the same bytes again.
            assert_eq!(kind(ZERO), Retryable, "{message}");
        }
        let other = status(Code::Internal, "message too large".into(), None);
        assert_eq!(other.unwrap_err().kind(), Permanent);
    }

    #[test]
    fn a_delay_is_cut_where_it_would_stop_the_exporter_for_good() {
        let error = status(Code::Unavailable, String::new(), Some(Duration::MAX)).unwrap_err();
        assert_eq!(error.retry_after(), Some(crate::defaults::MAX_RETRY_AFTER));
    }

    #[test]
    fn an_answer_without_a_grpc_status_is_read_by_its_http_status() {
        for (http, kind, code) in [
            (400, Permanent, "INTERNAL"),
            (401, Unauthenticated, "UNAUTHENTICATED"),
            (403, Permanent, "PERMISSION_DENIED"),
            (404, Permanent, "UNIMPLEMENTED"),
            (413, TooLarge, "UNKNOWN"),
            (429, Retryable, "UNAVAILABLE"),
            (500, Permanent, "UNKNOWN"),
            (502, Retryable, "UNAVAILABLE"),
            (503, Retryable, "UNAVAILABLE"),
            (504, Retryable, "UNAVAILABLE"),
            (302, Permanent, "UNKNOWN"),
        ] {
            let error = not_grpc(StatusCode::from_u16(http).unwrap());
            assert_eq!((error.kind(), error.error_type()), (kind, code), "{http}");
        }
    }

    #[test]
    fn an_encoding_is_refused_where_the_receiver_says_so() {
        use EncodingVerdict::{Refused, Unrelated};
        const ZSTD: ContentEncoding = ContentEncoding::Zstd;
        for (sent, code, message, accepted, verdict) in [
            (
                ZSTD,
                Code::Unimplemented,
                "Content is compressed with `zstd` which isn't supported",
                "",
                Refused,
            ),
            (
                ZSTD,
                Code::Unimplemented,
                "Decompressor is not installed for grpc-encoding \"zstd\"",
                "",
                Refused,
            ),
            (
                ZSTD,
                Code::Internal,
                "Error parsing 'grpc-encoding' metadata",
                "",
                Refused,
            ),
            (ZSTD, Code::Unimplemented, "no", "identity, deflate, gzip", Refused),
            (
                ZSTD,
                Code::Internal,
                "Exception deserializing request!",
                "identity,gzip",
                Refused,
            ),
            (ZSTD, Code::Internal, "disk on fire", "gzip, ZSTD", Unrelated),
            (ZSTD, Code::Internal, "decompression failed", "", Unrelated),
            (ZSTD, Code::Unimplemented, "unknown service", "", Unrelated),
            (
                ZSTD,
                Code::Unimplemented,
                "unknown service, compressed or not",
                "zstd",
                Unrelated,
            ),
            // It may take the request later, so it is not to be sent again at once.
            (ZSTD, Code::Unavailable, "compression is busy", "identity", Unrelated),
            (
                ContentEncoding::Identity,
                Code::Unimplemented,
                "no encoding",
                "gzip",
                Unrelated,
            ),
        ] {
            let accepted = (!accepted.is_empty()).then(|| HeaderValue::from_static(accepted));
            assert_eq!(
                encoding_verdict(sent, code, message, &accepted),
                verdict,
                "{code:?} {message}"
            );
        }
    }
}
