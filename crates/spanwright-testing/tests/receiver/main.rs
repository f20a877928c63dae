//! The receiver as clients see it that are not ours.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod grpc;
mod http;
mod process;
mod support;
#[cfg(feature = "tls")]
mod tls;
