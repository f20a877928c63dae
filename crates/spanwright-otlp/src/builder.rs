//! Building an exporter.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri};
use spanwright_core::{BuildError, Clock, NoopObserver, Observer, SystemClock};

use crate::compression::Compressor;
use crate::config::{Secrets, presentable};
use crate::defaults::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, TIMEOUT};
use crate::delivery::{Delivery, Wire};
use crate::transport::{Connector, Dial, Names};
use crate::{Compression, CompressionAnalyzer, Endpoint, OtlpConfig, Pem, Protocol};

/// Builds a [`GrpcExporter`](crate::GrpcExporter) or an [`HttpExporter`](crate::HttpExporter).
///
/// A setter replaces what [`with_config`](Self::with_config) brought, so call that first. All checks are in `build`, which
/// opens no connection and needs no runtime; it reads files where certificates are given as such.
///
/// ```
/// # #[cfg(feature = "grpc")]
/// # fn main() -> Result<(), spanwright_core::BuildError> {
/// use spanwright_core::Env;
/// use spanwright_otlp::{Compression, GrpcExporter, OtlpConfig};
///
/// let exporter = GrpcExporter::builder()
///     .with_config(OtlpConfig::from_env(&Env::process()))
///     .with_endpoint("http://collector:4317")
///     .with_compression(Compression::Gzip)
///     .build()?;
/// assert_eq!(exporter.endpoint(), "http://collector:4317/");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "grpc"))]
/// # fn main() {}
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct ExporterBuilder<T> {
    config: OtlpConfig,
    address: Option<SocketAddr>,
    user_agent: Option<String>,
    max_request_bytes: usize,
    max_response_bytes: usize,
    analyzer: CompressionAnalyzer,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    exporter: PhantomData<fn() -> T>,
}

impl<T> ExporterBuilder<T> {
    pub(crate) fn new() -> Self {
        Self {
            config: OtlpConfig::default(),
            address: None,
            user_agent: None,
            max_request_bytes: MAX_REQUEST_BYTES,
            max_response_bytes: MAX_RESPONSE_BYTES,
            analyzer: CompressionAnalyzer::new(),
            clock: Arc::new(SystemClock),
            observer: Arc::new(NoopObserver),
            exporter: PhantomData,
        }
    }

    /// All settings that the specification names, for instance [from the environment](OtlpConfig::from_env).
    pub fn with_config(mut self, config: OtlpConfig) -> Self {
        self.config = config;
        self
    }

    /// The endpoint for all signals: over HTTP, `v1/traces` is appended to its path. For [`Endpoint::Base`] and all forms that
    /// it takes see there. Default: a Collector on this machine, port 4317 (gRPC) or 4318 (HTTP).
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.config.endpoint = Some(Endpoint::Base(url.into()));
        self
    }

    /// The endpoint for traces: over HTTP it is used as it is, see [`Endpoint::Traces`]. Takes the place of
    /// [`with_endpoint`](Self::with_endpoint). `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    pub fn with_traces_endpoint(mut self, url: impl Into<String>) -> Self {
        self.config.endpoint = Some(Endpoint::Traces(url.into()));
        self
    }

    /// The address to connect to, whatever the endpoint's name resolves to; what TLS asks the certificate for, and what requests say
    /// that they are for, stays the endpoint. For one of several receivers behind a name. Default: the endpoint's name is resolved for
    /// each connection. Any port but 0.
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Whether a gRPC endpoint without a scheme is spoken to without TLS. Default: no. `OTEL_EXPORTER_OTLP_INSECURE`.
    pub fn with_insecure(mut self, insecure: bool) -> Self {
        self.config.insecure = insecure;
        self
    }

    /// A header to be sent with each request, in place of one of the same name. The value is not percent-encoded, and is taken
    /// for a secret. Names that the exporter sets itself (`content-*`, `grpc-*`, `host`, `te`, `user-agent` ..) are refused.
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.headers.insert(name, value);
        self
    }

    /// How requests are compressed. Default: not at all, as the specification says. `OTEL_EXPORTER_OTLP_COMPRESSION`.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.config.compression = Some(compression);
        self
    }

    /// How long a request may take in all. Default: 10 s, as the specification says. 1 ms to 1 h. `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = Some(timeout);
        self
    }

    /// The certificate authority that the receiver's certificate must come from. Default: those of the machine, which it takes
    /// the place of. Needs the feature `tls`. `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    pub fn with_certificate(mut self, authority: Pem) -> Self {
        self.config.certificate = Some(authority);
        self
    }

    /// The certificate chain and the private key for client authentication (mTLS). Default: none. Needs the feature `tls`.
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`.
    pub fn with_client_identity(mut self, certificate: Pem, key: Pem) -> Self {
        self.config.client_certificate = Some(certificate);
        self.config.client_key = Some(key);
        self
    }

    /// What goes before the exporter's own name in the user agent, for instance `checkout/1.4`. Default: nothing.
    pub fn with_user_agent(mut self, product: impl Into<String>) -> Self {
        self.user_agent = Some(product.into());
        self
    }

    /// The largest request in bytes, before and after compression; a larger one fails as too large without being sent.
    /// Default: 64 MiB, as OTLP recommends. 1 to 4 GiB less one, which is what gRPC can frame.
    pub fn with_max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// The largest answer in bytes; the request of a larger one fails for good. Default: 4 MiB, as OTLP recommends. 1 to 64 MiB.
    pub fn with_max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Where compression is counted, to be shared between exporters. Default: one of the exporter's own.
    pub fn with_compression_analyzer(mut self, analyzer: CompressionAnalyzer) -> Self {
        self.analyzer = analyzer;
        self
    }

    /// The clock that compression is timed by, and that `Retry-After` dates are compared with. Default: the machine's.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who is told when the receiver refuses the encoding, and of the ratio of each compression. Default: nobody.
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Checks everything, and puts `wire` (made from what was checked) into a delivery.
    pub(crate) fn deliver_over<W: Wire>(
        self,
        protocol: Protocol,
        alpn: &'static [u8],
        wire: impl FnOnce(WireSettings) -> W,
    ) -> Result<Arc<Delivery<W>>, BuildError> {
        let Self { config, .. } = &self;
        let uri = Endpoint::resolve(config.endpoint.as_ref(), protocol, config.insecure)?;
        let timeout = config.timeout.unwrap_or(TIMEOUT);
        if let Some(address) = self.address.filter(|address| address.port() == 0) {
            return Err(BuildError::new(
                "address",
                address,
                "an address with a port from 1 to 65535",
            ));
        }
        BuildError::check_range("timeout", timeout, Duration::from_millis(1)..=Duration::from_secs(3600))?;
        BuildError::check_range("max_request_bytes", self.max_request_bytes, 1..=u32::MAX as usize)?;
        BuildError::check_range("max_response_bytes", self.max_response_bytes, 1..=64 << 20)?;
        let settings = WireSettings {
            connector: Connector::new(uri.clone(), Dial::new(Names::system(), self.address), config, alpn)?,
            headers: config.headers.to_map()?,
            user_agent: user_agent(self.user_agent.as_deref())?,
            secrets: config.headers.secrets(),
            max_response_bytes: self.max_response_bytes,
            #[cfg(feature = "http")]
            clock: Arc::clone(&self.clock),
            uri,
        };
        let encoding = config.compression.unwrap_or_default().encoding();
        Ok(Arc::new(Delivery {
            endpoint: presentable(&settings.uri.to_string()),
            wire: wire(settings),
            timeout,
            max_request_bytes: self.max_request_bytes,
            encoding,
            is_encoding_refused: AtomicBool::new(false),
            compressor: Compressor::new(encoding),
            analyzer: self.analyzer,
            clock: self.clock,
            observer: self.observer,
        }))
    }
}

/// What a wire is made from.
pub(crate) struct WireSettings {
    pub(crate) connector: Connector,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) user_agent: HeaderValue,
    pub(crate) secrets: Secrets,
    pub(crate) max_response_bytes: usize,
    #[cfg(feature = "http")]
    pub(crate) clock: Arc<dyn Clock>,
}

/// The exporter, its language and its version, as the specification asks for.
fn user_agent(product: Option<&str>) -> Result<HeaderValue, BuildError> {
    const OURS: &str = concat!("Spanwright-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
    let Some(product) = product else {
        return Ok(HeaderValue::from_static(OURS));
    };
    let accepted = "a product name with or without a version, for instance `checkout/1.4`, in printable ASCII";
    format!("{product} {OURS}")
        .parse()
        .ok()
        .filter(|value: &HeaderValue| !product.trim().is_empty() && value.to_str().is_ok())
        .ok_or_else(|| BuildError::new("user_agent", product, accepted))
}

impl<T> Clone for ExporterBuilder<T> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            address: self.address,
            user_agent: self.user_agent.clone(),
            max_request_bytes: self.max_request_bytes,
            max_response_bytes: self.max_response_bytes,
            analyzer: self.analyzer.clone(),
            clock: Arc::clone(&self.clock),
            observer: Arc::clone(&self.observer),
            exporter: PhantomData,
        }
    }
}

impl<T> fmt::Debug for ExporterBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterBuilder")
            .field("config", &self.config)
            .field("address", &self.address)
            .field("user_agent", &self.user_agent)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}
