//! The settings that the specification names.

mod endpoint;
mod env;
mod headers;
mod pem;

use std::fmt;
use std::time::Duration;

pub use self::{endpoint::Endpoint, headers::Headers, pem::Pem};
pub(crate) use self::{endpoint::presentable, headers::Secrets};

use crate::Compression;

/// The settings of an OTLP exporter, by the specification's names. What is not set takes its [default](crate::defaults).
///
/// Both exporters are built from it: [`ExporterBuilder::with_config`](crate::ExporterBuilder::with_config). Nothing is checked
/// before [`build`](crate::ExporterBuilder::build), but by [`from_env`](Self::from_env), which ignores and reports what cannot be used.
///
/// `Debug` shows the names of headers, never their values, and no key.
///
/// ```
/// use spanwright_core::Env;
/// use spanwright_otlp::{Compression, Endpoint, OtlpConfig};
///
/// let env = Env::from_pairs([
///     ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
///     ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
///     ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
/// ]);
/// let config = OtlpConfig::from_env(&env);
/// assert_eq!(config.endpoint, Some(Endpoint::Base("https://collector:4318".into())));
/// assert_eq!(config.compression, Some(Compression::Zstd));
/// ```
///
/// # Source
///
/// [OTLP exporter configuration](https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The protocol. The exporters do not look at it, each speaks one: it is for whoever chooses between them.
    pub protocol: Option<Protocol>,
    /// Where to send to.
    pub endpoint: Option<Endpoint>,
    /// Whether a gRPC endpoint without a scheme is spoken to without TLS. Nothing else looks at it.
    pub insecure: bool,
    /// What is sent with each request, for instance credentials.
    pub headers: Headers,
    /// How requests are compressed.
    pub compression: Option<Compression>,
    /// How long a request may take.
    pub timeout: Option<Duration>,
    /// The certificate authority, in place of those of the machine. Needs the feature `tls`.
    pub certificate: Option<Pem>,
    /// The private key for client authentication. Needs the feature `tls`, and [`client_certificate`](Self::client_certificate).
    pub client_key: Option<Pem>,
    /// The certificate chain for client authentication. Needs the feature `tls`, and [`client_key`](Self::client_key).
    pub client_certificate: Option<Pem>,
}

/// A protocol of OTLP that this crate speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// `grpc`: protobuf over gRPC, default port 4317.
    Grpc,
    /// `http/protobuf`: protobuf over HTTP/1.1, default port 4318.
    HttpProtobuf,
}

impl Protocol {
    /// The value of `OTEL_EXPORTER_OTLP_PROTOCOL` that means it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }

    fn parse(value: &str) -> Option<Self> {
        [Self::Grpc, Self::HttpProtobuf]
            .into_iter()
            .find(|known| value.eq_ignore_ascii_case(known.as_str()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
