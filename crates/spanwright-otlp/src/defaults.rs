//! The values that hold where nobody set another, each with its reason.
//!
//! # Source
//!
//! Endpoints and the timeout: [OTLP exporter configuration](https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
//! Sizes: [OTLP 1.11](https://opentelemetry.io/docs/specs/otlp/). The rest is judgement, given with each constant.

use std::time::Duration;

/// Where a gRPC exporter sends to: a Collector on the same machine.
pub const GRPC_ENDPOINT: &str = "http://localhost:4317";

/// Where an HTTP exporter sends to, before `v1/traces` is appended: a Collector on the same machine.
pub const HTTP_ENDPOINT: &str = "http://localhost:4318";

/// How long a request may take, from the start (a connection to be made included) to the end of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest request in bytes, before and after compression. OTLP recommends 64 MiB, and forbids to send more than the limit.
pub const MAX_REQUEST_BYTES: usize = 64 << 20;

/// The largest answer in bytes that is read. OTLP recommends 4 MiB; a common answer has a hundred bytes.
pub const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// How long a connection (name, TCP and TLS) may take. Half of [`TIMEOUT`], so that an unreachable receiver is told from a slow one.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often an HTTP/2 connection is pinged, also while idle: below the idle timeouts of common load balancers (60 s and more).
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long the answer to a ping may take before the connection counts as dead and the next request makes a new one.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TCP connection is idle before the system probes it: what [`KEEP_ALIVE_INTERVAL`] is to HTTP/1.1, which has no ping.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// `TCP_NODELAY`: a request ends with a small write, which must not wait for the acknowledgement of the one before it.
pub const TCP_NODELAY: bool = true;

/// How many bytes of answers may be under way on one HTTP/2 connection. The window for requests is the receiver's to set.
pub const HTTP2_CONNECTION_WINDOW: u32 = 1 << 20;

/// How many bytes of one answer may be under way. With HTTP/2's own 64 KiB an answer near the limit would take many round trips.
pub const HTTP2_STREAM_WINDOW: u32 = 512 << 10;

/// How long an idle HTTP/1.1 connection is kept: shorter than what common servers allow (60 s and more), so that they are seldom
/// the ones to close it, which costs the request that is just being written.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// The level of gzip, 1 to 9. The repeats of encoded spans lie close together and are found by the fastest search: of 160 KB of
/// spans, level 6 leaves a tenth less than level 1, for three times the time.
pub const GZIP_LEVEL: u32 = 1;

/// The level of zstd, 1 to 22. The next ones save next to nothing on encoded spans; from 4 on they cost several times as much.
pub const ZSTD_LEVEL: i32 = 1;

/// The longest delay that is taken from a receiver. Longer ones are cut: a receiver's slip must not stop an exporter for a year.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_specification_gives_is_taken_from_it() {
        assert_eq!(
            (GRPC_ENDPOINT, HTTP_ENDPOINT),
            ("http://localhost:4317", "http://localhost:4318")
        );
        assert_eq!(TIMEOUT, Duration::from_millis(10_000));
        assert_eq!(
            (MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES),
            (64 * 1024 * 1024, 4 * 1024 * 1024)
        );
    }

    #[test]
    fn what_depends_on_each_other_fits() {
        assert!(CONNECT_TIMEOUT * 2 <= TIMEOUT);
        assert!(KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT < POOL_IDLE_TIMEOUT);
        assert!(POOL_IDLE_TIMEOUT < Duration::from_secs(60));
        const { assert!(HTTP2_STREAM_WINDOW < HTTP2_CONNECTION_WINDOW) };
    }
}
