//! How the receiver behaves towards every request.

use std::sync::Arc;
use std::time::Duration;

use spanwright_core::ContentEncoding;

/// What the receiver keeps of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Numbers only. The message is walked, not decoded, and nothing grows with the number of requests: for load.
    Count,
    /// Numbers, and the ids of each span that was taken, about 40 bytes: for load of which every span is to be told apart.
    Distinct,
    /// Everything: headers, and the decoded message.
    #[default]
    Keep,
}

/// Whose refusals the receiver imitates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// The OpenTelemetry Collector's, which is that of grpc-go: a message that is too large is RESOURCE_EXHAUSTED, an unknown
    /// content-encoding is 415.
    #[default]
    Collector,
    /// rotel's, which is that of tonic: a message that is too large is OUT_OF_RANGE, an unknown content-encoding is 400 with an
    /// empty body.
    Rotel,
}

/// What the gRPC health service answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// NOT_SERVING.
    NotServing,
    /// SERVING.
    Serving,
    /// There is no such service, as in the stock Collector.
    #[default]
    Unimplemented,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) accepted_encodings: Arc<[ContentEncoding]>,
    pub(super) dialect: Dialect,
    pub(super) health: Health,
    pub(super) latency: Duration,
    pub(super) max_request_bytes: usize,
    pub(super) mode: Mode,
}

impl Settings {
    /// The encoding with this name on the wire, if it is one of those that are accepted.
    pub(super) fn accepted(&self, name: &str) -> Option<ContentEncoding> {
        if name.is_empty() || name == ContentEncoding::Identity.as_str() {
            return Some(ContentEncoding::Identity);
        }
        self.accepted_encodings
            .iter()
            .copied()
            .find(|encoding| encoding.as_str() == name)
    }

    /// The accepted encodings as a header lists them.
    pub(super) fn encoding_list(&self) -> String {
        let names: Vec<_> = self
            .accepted_encodings
            .iter()
            .map(|encoding| encoding.as_str())
            .collect();
        names.join(",")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accepted_encodings: [ContentEncoding::Identity, ContentEncoding::Gzip, ContentEncoding::Zstd].into(),
            dialect: Dialect::default(),
            health: Health::default(),
            latency: Duration::ZERO,
            max_request_bytes: super::DEFAULT_MAX_REQUEST_BYTES,
            mode: Mode::default(),
        }
    }
}
