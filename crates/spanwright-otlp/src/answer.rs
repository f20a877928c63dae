//! What a receiver answers, read from protobuf.
//!
//! Four small messages, of which two fields each are of interest. A generated reader would bring a code generator, an owned
//! copy of every string, and three crates.
//!
//! # Source
//!
//! `opentelemetry/proto/collector/trace/v1/trace_service.proto`, `google/rpc/status.proto`, `google/rpc/error_details.proto`,
//! `google/protobuf/{any,duration}.proto`; the [encoding](https://protobuf.dev/programming-guides/encoding/).

use std::borrow::Cow;
use std::time::Duration;

use spanwright_core::Receipt;

/// The bytes are not a protobuf message.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Malformed;

/// A `google.rpc.Status`: what an HTTP receiver sends with an error, and what a gRPC receiver sends as details of one.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct RpcStatus {
    pub(crate) message: String,
    /// The delay of the first `RetryInfo` among the details. Zero is a value of its own: retry, but at your own pace.
    pub(crate) retry_delay: Option<Duration>,
}

/// Reads an `ExportTraceServiceResponse`.
pub(crate) fn export_response(message: &[u8]) -> Result<Receipt, Malformed> {
    let (mut rejected, mut reason) = (0, Cow::Borrowed(""));
    for field in Fields(message) {
        let (1, Value::Bytes(partial_success)) = field? else {
            continue;
        };
        for field in Fields(partial_success) {
            match field? {
                // An int64. A negative count is nonsense that must not become a huge one.
                (1, Value::Varint(count)) => rejected = i64::max(count.cast_signed(), 0).cast_unsigned(),
                (2, Value::Bytes(text)) => reason = String::from_utf8_lossy(text),
                _ => {}
            }
        }
    }
    Ok(Receipt::partial(rejected, reason))
}

/// Reads a `google.rpc.Status`.
pub(crate) fn rpc_status(message: &[u8]) -> Result<RpcStatus, Malformed> {
    let mut status = RpcStatus::default();
    for field in Fields(message) {
        match field? {
            (2, Value::Bytes(text)) => status.message = String::from_utf8_lossy(text).into_owned(),
            (3, Value::Bytes(detail)) => status.retry_delay = status.retry_delay.or(retry_info(detail)?),
            _ => {}
        }
    }
    Ok(status)
}

/// Reads the only field of a `grpc.health.v1.HealthCheckResponse`: 1 is serving, 2 is not serving.
#[cfg(feature = "grpc")]
pub(crate) fn health_status(message: &[u8]) -> Result<u64, Malformed> {
    let mut status = 0;
    for field in Fields(message) {
        if let (1, Value::Varint(value)) = field? {
            status = value;
        }
    }
    Ok(status)
}

/// The delay within an `Any`, if it is a `RetryInfo`. One without a delay asks for none.
fn retry_info(any: &[u8]) -> Result<Option<Duration>, Malformed> {
    let (mut is_retry_info, mut value): (bool, &[u8]) = (false, &[]);
    for field in Fields(any) {
        match field? {
            (1, Value::Bytes(type_url)) => is_retry_info = type_url.ends_with(b"/google.rpc.RetryInfo"),
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    if !is_retry_info {
        return Ok(None);
    }
    let mut delay = Duration::ZERO;
    for field in Fields(value) {
        if let (1, Value::Bytes(bytes)) = field? {
            delay = duration(bytes)?;
        }
    }
    Ok(Some(delay))
}

/// A `google.protobuf.Duration`. A negative one counts as none.
fn duration(message: &[u8]) -> Result<Duration, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(message) {
        match field? {
            (1, Value::Varint(value)) => seconds = value.cast_signed(),
            (2, Value::Varint(value)) => nanos = value.cast_signed(),
            _ => {}
        }
    }
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
        return Ok(Duration::ZERO);
    };
    Ok(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

/// The fields of a message, in the order of the wire.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// 32 or 64 bits. No field that we read is of this type.
    Fixed,
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(usize::try_from(len).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups, which proto3 does not have, and types that do not exist.
            _ => return Err(Malformed),
        };
        Ok((tag >> 3, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            // What follows a broken field cannot be found.
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RetryInfo` of 5.25 s as a detail of "slow down", written out by hand.
    const STATUS: &[u8] = b"\x08\x08\x12\x09slow down\x1a\x35\x0a\x28type.googleapis.com/google.rpc.RetryInfo\
        \x12\x09\x0a\x07\x08\x05\x10\x80\xe5\x9aw";

    #[test]
    fn a_partial_success_is_read() {
        let answer = b"\x0a\x0c\x08\x85\x01\x12\x07too old";
        assert_eq!(export_response(answer), Ok(Receipt::partial(133, "too old")));
        assert_eq!(export_response(b""), Ok(Receipt::accepted()));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let answer = b"\x1d\0\0\0\0\x0a\x04\x08\x02\x48\x07\x11\0\0\0\0\0\0\0\0";
        assert_eq!(export_response(answer), Ok(Receipt::partial(2, "")));
    }

    #[test]
    fn a_negative_count_is_none() {
        let answer = b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(export_response(answer), Ok(Receipt::accepted()));
    }

    #[test]
    fn retry_info_is_found_among_the_details() {
        let status = rpc_status(STATUS).unwrap();
        assert_eq!(status.message, "slow down");
        assert_eq!(status.retry_delay, Some(Duration::from_millis(5_250)));
    }

    #[test]
    fn retry_info_without_a_delay_is_a_delay_of_zero() {
        let any = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo";
        assert_eq!(retry_info(any), Ok(Some(Duration::ZERO)));
        assert_eq!(
            retry_info(b"\x0a\x29type.googleapis.com/google.rpc.DebugInfox"),
            Ok(None)
        );
    }

    #[test]
    fn a_negative_or_endless_delay_does_no_harm() {
        let minus_one = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(duration(minus_one), Ok(Duration::ZERO));
        let endless = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x10\xff\xff\xff\xff\x07";
        assert!(duration(endless).unwrap() > Duration::from_secs(1 << 60));
    }

    #[test]
    fn broken_bytes_are_refused_and_never_panic() {
        for end in 0..STATUS.len() {
            // A cut between two fields is a shorter message; anywhere else it is a broken one.
            let whole = [0, 2, 13].contains(&end);
            assert_eq!(rpc_status(&STATUS[..end]).is_ok(), whole, "cut at {end}");
            for bit in 0..8 {
                let mut flipped = STATUS.to_vec();
                flipped[end] ^= 1 << bit;
                let _ = (rpc_status(&flipped), export_response(&flipped));
            }
        }
        assert_eq!(export_response(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Malformed));
        assert_eq!(export_response(&[0x80; 11]), Err(Malformed));
    }
}
