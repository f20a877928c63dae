//! HTTP statuses.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};
use spanwright_core::{ContentEncoding, ErrorKind, ExportError};

use super::{EncodingVerdict, throttle};

/// What an HTTP status means. `now` is the time of day, for a `Retry-After` that is a date.
pub(crate) fn status(
    status: StatusCode,
    retry_after: Option<&HeaderValue>,
    now: SystemTime,
    message: String,
) -> Result<(), ExportError> {
    let kind = match status {
        _ if status.is_success() => return Ok(()),
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthenticated,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Retryable,
        _ => ErrorKind::Permanent,
    };
    let delay = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => retry_after
            .and_then(|value| parse_retry_after(value, now))
            .and_then(throttle),
        _ => None,
    };
    Err(ExportError::new(kind, status.as_str().to_owned(), message).with_retry_after(delay))
}

/// Whether the receiver does not take the encoding that the message was `sent` under.
///
/// 415 says so. 400 without a word is what some receivers answer to an encoding that they do not know, and to much else; with
/// a body it is about the content, and sending that again without compression would only repeat it.
pub(crate) fn encoding_verdict(sent: ContentEncoding, status: StatusCode, is_body_empty: bool) -> EncodingVerdict {
    match status {
        _ if sent == ContentEncoding::Identity => EncodingVerdict::Unrelated,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => EncodingVerdict::Refused,
        StatusCode::BAD_REQUEST if is_body_empty => EncodingVerdict::Suspected,
        _ => EncodingVerdict::Unrelated,
    }
}

/// Reads `Retry-After`: a number of seconds, or a date. Anything else is as good as nothing.
///
/// # Source
///
/// [RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
fn parse_retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let value = value.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for the type are still a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    httpdate::parse_http_date(value).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use ErrorKind::{Permanent, Retryable, TooLarge, Unauthenticated};

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT: the date of the RFC's own example.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn classify(code: u16, retry_after: Option<&str>) -> (ErrorKind, Option<Duration>) {
        let retry_after = retry_after.map(|value| HeaderValue::from_str(value).unwrap());
        let code = StatusCode::from_u16(code).unwrap();
        let error = status(code, retry_after.as_ref(), now(), "why".into()).unwrap_err();
        assert_eq!((error.error_type(), error.message()), (code.as_str(), "why"));
        (error.kind(), error.retry_after())
    }

    #[test]
    fn every_status_from_400_to_599_means_what_the_table_says() {
        for code in 400..=599 {
            let kind = match code {
                401 => Unauthenticated,
                413 => TooLarge,
                429 | 502 | 503 | 504 => Retryable,
                _ => Permanent,
            };
            let delay = [429, 503].contains(&code).then_some(Duration::from_secs(120));
            assert_eq!(classify(code, None), (kind, None), "{code}");
            assert_eq!(classify(code, Some("120")), (kind, delay), "{code}, seconds");
            assert_eq!(
                classify(code, Some("Sun, 06 Nov 1994 08:51:37 GMT")),
                (kind, delay),
                "{code}, date"
            );
            assert_eq!(classify(code, Some("in a while")), (kind, None), "{code}, garbage");
        }
    }

    #[test]
    fn success_is_no_error_and_a_redirect_is_a_permanent_one() {
        for code in 200..300 {
            assert!(status(StatusCode::from_u16(code).unwrap(), None, now(), String::new()).is_ok());
        }
        for code in (100..200).chain(300..400) {
            assert_eq!(classify(code, None).0, Permanent, "{code}");
        }
    }

    #[test]
    fn retry_after_takes_all_forms_of_a_date_and_no_other_number() {
        let two_minutes = Some(Duration::from_secs(120));
        for (value, delay) in [
            (" 120 ", two_minutes),
            ("Sunday, 06-Nov-94 08:51:37 GMT", two_minutes),
            ("Sun Nov  6 08:51:37 1994", two_minutes),
            ("99999999999999999999999", Some(crate::defaults::MAX_RETRY_AFTER)),
            ("0", None),
            ("Sun, 06 Nov 1994 08:49:36 GMT", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(classify(503, Some(value)).1, delay, "{value:?}");
        }
        let opaque = HeaderValue::from_bytes(b"\xff5").unwrap();
        assert_eq!(parse_retry_after(&opaque, now()), None);
    }

    #[test]
    fn an_encoding_is_refused_by_415_and_suspected_behind_a_bare_400() {
        use EncodingVerdict::{Refused, Suspected, Unrelated};
        let verdict =
            |sent, status, is_body_empty| encoding_verdict(sent, StatusCode::from_u16(status).unwrap(), is_body_empty);
        assert_eq!(verdict(ContentEncoding::Zstd, 415, false), Refused);
        assert_eq!(verdict(ContentEncoding::Zstd, 400, true), Suspected);
        assert_eq!(verdict(ContentEncoding::Zstd, 400, false), Unrelated);
        assert_eq!(verdict(ContentEncoding::Zstd, 404, true), Unrelated);
        assert_eq!(verdict(ContentEncoding::Identity, 415, true), Unrelated);
        assert_eq!(verdict(ContentEncoding::Identity, 400, true), Unrelated);
    }
}
