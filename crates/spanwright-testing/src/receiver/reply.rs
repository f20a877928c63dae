//! What the receiver answers.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::status;
use crate::Gate;

/// One answer of a [`Receiver`](super::Receiver), on either protocol.
///
/// A gRPC status is translated to the HTTP status that the OpenTelemetry Collector would answer, and the other way round, so
/// that one script serves both protocols.
///
/// ```
/// use std::time::Duration;
/// use spanwright_testing::{Gate, Reply};
///
/// let gate = Gate::new();
/// let script = [
///     Reply::unavailable().with_retry_after(Duration::from_secs(2)),
///     Reply::ok().after(Duration::from_millis(100)),
///     Reply::partial_success(3, "too old").gated(&gate),
/// ];
/// # let _ = script;
/// ```
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) kind: Kind,
    pub(super) body: Option<Bytes>,
    pub(super) retry_after: Option<RetryAfter>,
    delay: Duration,
    gate: Option<Gate>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Ok { rejected: u64, message: String },
    Grpc { code: i32, message: String },
    Http { status: StatusCode },
    Proxy { status: StatusCode },
    Hang,
    Reset { reason: u32 },
    Abort,
}

#[derive(Clone, Debug)]
pub(super) enum RetryAfter {
    Delay(Duration),
    Text(String),
}

impl Reply {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            body: None,
            retry_after: None,
            delay: Duration::ZERO,
            gate: None,
        }
    }

    /// Everything was taken.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Kind::Ok {
            rejected: 0,
            message: String::new(),
        })
    }

    /// Taken but for `rejected` spans; with `rejected` of 0 and a message it is a warning.
    pub fn partial_success(rejected: u64, message: impl Into<String>) -> Self {
        Self::new(Kind::Ok {
            rejected,
            message: message.into(),
        })
    }

    /// Refused with a gRPC status. `code` may be a `tonic::Code`.
    ///
    /// Over HTTP: 503 for the codes that OTLP calls retryable, 429 for RESOURCE_EXHAUSTED, 400, 401, 403 and 404 for
    /// INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED and UNIMPLEMENTED, 500 for the others. A code of 0 is [`ok`](Self::ok).
    pub fn grpc_status(code: impl Into<i32>, message: impl Into<String>) -> Self {
        let code = code.into();
        if code == status::OK {
            return Self::ok();
        }
        Self::new(Kind::Grpc {
            code,
            message: message.into(),
        })
    }

    /// Refused with an HTTP status.
    ///
    /// Over gRPC: UNAVAILABLE for 429, 502, 503 and 504, RESOURCE_EXHAUSTED for 413, INVALID_ARGUMENT, UNAUTHENTICATED,
    /// PERMISSION_DENIED and UNIMPLEMENTED for 400, 401, 403 and 404, UNKNOWN for the others. A status of 200 is [`ok`](Self::ok);
    /// what is not a status becomes 500.
    #[must_use]
    pub fn http_status(code: u16) -> Self {
        match checked(code) {
            StatusCode::OK => Self::ok(),
            status => Self::new(Kind::Http { status }),
        }
    }

    /// The bare HTTP status on both protocols, as a load balancer answers that knows nothing of gRPC.
    #[must_use]
    pub fn proxy_status(code: u16) -> Self {
        Self::new(Kind::Proxy { status: checked(code) })
    }

    /// Refused for now: UNAVAILABLE, or 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::grpc_status(status::UNAVAILABLE, "the receiver is unavailable")
    }

    /// No answer, until the client goes away or the receiver is dropped.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Kind::Hang)
    }

    /// The stream is reset with REFUSED_STREAM; over HTTP/1.1 the connection is closed.
    #[must_use]
    pub fn reset() -> Self {
        Self::reset_with(h2::Reason::REFUSED_STREAM.into())
    }

    /// The stream is reset with this HTTP/2 error code; over HTTP/1.1 the connection is closed.
    #[must_use]
    pub fn reset_with(reason: u32) -> Self {
        Self::new(Kind::Reset { reason })
    }

    /// The whole connection is aborted with a TCP reset, and with it every other request on it.
    #[must_use]
    pub fn abort() -> Self {
        Self::new(Kind::Abort)
    }

    /// Tells the client when to come back, in a refusal: RetryInfo over gRPC, Retry-After in whole seconds (rounded up) over HTTP.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(RetryAfter::Delay(delay));
        self
    }

    /// The same with any text as the HTTP header: a date, or garbage. Over gRPC only whole seconds can be told.
    #[must_use]
    pub fn with_retry_after_text(mut self, text: impl Into<String>) -> Self {
        self.retry_after = Some(RetryAfter::Text(text.into()));
        self
    }

    /// Sends these bytes in place of the message that the protocol asks for, for instance garbage, or more than a client reads.
    ///
    /// Over gRPC a refusal has no message, so that this changes only [`ok`](Self::ok) and
    /// [`partial_success`](Self::partial_success) there.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Answers only when `delay` has passed, on top of the receiver's latency.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers only when `gate` is open.
    #[must_use]
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Waits for all that holds the answer back.
    pub(super) async fn due(&self, latency: Duration) {
        let delay = self.delay + latency;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if let Some(gate) = &self.gate {
            gate.passed().await;
        }
        if matches!(self.kind, Kind::Hang) {
            std::future::pending::<()>().await;
        }
    }
}

fn checked(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Default for Reply {
    fn default() -> Self {
        Self::ok()
    }
}
