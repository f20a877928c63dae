//! The exporter that settings and variables describe.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{BoxExporter, BuildError, Env, Observer};
#[cfg(feature = "grpc")]
use spanwright_otlp::GrpcExporter;
#[cfg(feature = "http")]
use spanwright_otlp::HttpExporter;
use spanwright_otlp::{Compression, Endpoint, ExporterBuilder, OtlpConfig, Pem, Protocol};
use spanwright_resilience::BreakerConfig;

use crate::builder::PipelineBuilder;
use crate::endpoints::{ConcurrencyLimit, Endpoint as EndpointInUse, EndpointSettings, EndpointStrategy, Endpoints};

/// What is set in code. What is not comes from the environment.
pub(crate) struct OtlpSettings {
    pub(crate) is_wanted: bool,
    config: OtlpConfig,
    /// Several in place of the one.
    endpoints: Option<Vec<String>>,
    /// Each address of the one is a receiver.
    is_resolved: bool,
    pub(crate) in_front: EndpointSettings,
    /// Apart from the others, which they replace as a whole: of headers each replaces its namesake.
    headers: Vec<(String, String)>,
}

/// Settings of the OTLP exporter, which comes with the features `grpc` and `http`.
impl PipelineBuilder {
    /// The receiver's URL for all signals: over HTTP, `v1/traces` is appended to its path. Default: a Collector on this machine,
    /// port 4317 (gRPC) or 4318 (HTTP). Which forms are taken, see [`Endpoint::Base`]. `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.otlp.config.endpoint = Some(Endpoint::Base(url.into()));
        self
    }

    /// The receiver's URL for traces: over HTTP it is used as it is, see [`Endpoint::Traces`]. Takes the place of
    /// [`with_endpoint`](Self::with_endpoint). `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    pub fn with_traces_endpoint(mut self, url: impl Into<String>) -> Self {
        self.otlp.config.endpoint = Some(Endpoint::Traces(url.into()));
        self
    }

    /// Several receivers, each as for [`with_endpoint`](Self::with_endpoint), of which one gets each request: see
    /// [`with_endpoint_strategy`](Self::with_endpoint_strategy). They have all other settings in common. Takes the place of one endpoint,
    /// also of the environment's. At least one, each once.
    pub fn with_endpoints<U: Into<String>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        self.otlp.endpoints = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// As [`with_endpoint`](Self::with_endpoint), where each address that the URL's name resolves to is a receiver of its own: for a headless
    /// service of Kubernetes. The name is resolved every 30 s, and within 5 s of a failed connection; while it cannot be, the addresses
    /// that are known are used. Requests are [balanced](EndpointStrategy::Balance), or [divided by trace](EndpointStrategy::TraceHash)
    /// where that is the strategy; addresses have no order to fail over in.
    pub fn with_resolved_endpoint(mut self, url: impl Into<String>) -> Self {
        self.otlp.config.endpoint = Some(Endpoint::Base(url.into()));
        self.otlp.is_resolved = true;
        self
    }

    /// Which of several endpoints gets a request. Default: the first that is there.
    pub fn with_endpoint_strategy(mut self, strategy: EndpointStrategy) -> Self {
        self.otlp.in_front.strategy = strategy;
        self
    }

    /// When an endpoint that does not answer is left alone, and for how long. Default: [`BreakerConfig::default`].
    pub fn with_breaker_config(mut self, config: BreakerConfig) -> Self {
        self.otlp.in_front.breaker = config;
        self
    }

    /// How many requests may be under way to one endpoint. Default: as many as it takes without round trips becoming longer.
    pub fn with_concurrency_limit(mut self, limit: ConcurrencyLimit) -> Self {
        self.otlp.in_front.limit = limit;
        self
    }

    /// The protocol. Default: gRPC, or HTTP where the feature `grpc` is off. The feature of the protocol must be on.
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.otlp.config.protocol = Some(protocol);
        self
    }

    /// How requests are compressed. Default: not at all, as the specification says. `OTEL_EXPORTER_OTLP_COMPRESSION`.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.otlp.config.compression = Some(compression);
        self
    }

    /// A header to be sent with each request. It takes the place of one of the same name, also from the environment; the others
    /// from there are sent as well. The value is taken for a secret. `OTEL_EXPORTER_OTLP_HEADERS`.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.otlp.headers.push((name.into(), value.into()));
        self
    }

    /// How long one request may take, from the start (a connection to be made included) to the end of the answer. Default: 10 s,
    /// as the specification says. 1 ms to 1 h. `OTEL_EXPORTER_OTLP_TIMEOUT`.
    ///
    /// What it cuts off is sent again later. [`BatchConfig`](spanwright_batching::BatchConfig) has a limit for exporters of any
    /// kind beside it, 30 s by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.otlp.config.timeout = Some(timeout);
        self
    }

    /// The certificate authority that the receiver's certificate must come from. Default: those of the machine, which it takes
    /// the place of. Needs the feature `tls`. `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    pub fn with_certificate(mut self, authority: Pem) -> Self {
        self.otlp.config.certificate = Some(authority);
        self
    }

    /// The certificate chain and the private key for client authentication (mTLS). Default: none. Needs the feature `tls`.
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`.
    pub fn with_client_identity(mut self, certificate: Pem, key: Pem) -> Self {
        self.otlp.config.client_certificate = Some(certificate);
        self.otlp.config.client_key = Some(key);
        self
    }

    /// No exporter but those given by [`with_exporter`](Self::with_exporter), of which there must be one.
    pub fn without_otlp(mut self) -> Self {
        self.otlp.is_wanted = false;
        self
    }
}

impl OtlpSettings {
    /// The exporter and its endpoints, of what is set in code and, beside that, in `env`.
    pub(crate) fn exporter(
        &self,
        env: &Env,
        observer: Option<&Arc<dyn Observer>>,
        max_concurrent: usize,
    ) -> Result<(Endpoints, BoxExporter), BuildError> {
        let mut from_env = OtlpConfig::from_env(env);
        let protocol = choose(self.config.protocol, from_env.protocol, SUPPORTED, env)?;
        let mut stacks = Vec::new();
        for endpoint in self.endpoints()? {
            let stacked = loop {
                let way = Way {
                    protocol,
                    config: self.over(endpoint.clone(), &from_env),
                    observer: observer.cloned(),
                    in_front: self.in_front.clone(),
                    max_concurrent,
                };
                match way.stack(None) {
                    Err(error) if self.blames_env(endpoint.as_ref(), &error, &mut from_env, env) => {}
                    // Made to see whether it can be.
                    Ok((endpoint, _)) if self.is_resolved && self.endpoints.is_none() => {
                        let make = move |address| way.stack(Some(address));
                        return self.in_front.resolve(&endpoint, make);
                    }
                    done => break done?,
                }
            };
            stacks.push(stacked);
        }
        self.in_front.join(stacks)
    }

    /// The endpoints that are set in code; if it is none, the environment or the default has the one.
    fn endpoints(&self) -> Result<Vec<Option<Endpoint>>, BuildError> {
        let Some(urls) = &self.endpoints else {
            return Ok(vec![self.config.endpoint.clone()]);
        };
        let accepted = "one or more, each once";
        if urls.is_empty() {
            return Err(BuildError::new("endpoints", "none", accepted));
        }
        for (index, url) in urls.iter().enumerate() {
            if urls[..index].contains(url) {
                return Err(BuildError::new("endpoints", url, accepted));
            }
        }
        Ok(urls.iter().map(|url| Some(Endpoint::Base(url.clone()))).collect())
    }

    /// What is set in code, over what comes from the environment.
    fn over(&self, endpoint: Option<Endpoint>, from_env: &OtlpConfig) -> OtlpConfig {
        let (code, mut config) = (self.config.clone(), from_env.clone());
        config.endpoint = endpoint.or(config.endpoint);
        config.compression = code.compression.or(config.compression);
        config.timeout = code.timeout.or(config.timeout);
        config.certificate = code.certificate.or(config.certificate);
        if code.client_certificate.is_some() {
            (config.client_certificate, config.client_key) = (code.client_certificate, code.client_key);
        }
        for (name, value) in &self.headers {
            config.headers.insert(name, value);
        }
        config
    }

    /// Whether the error is about a value of the environment. Then it is ignored from now on.
    ///
    /// Most of what can be wrong is found when variables are read. This is what only shows together with the rest: an endpoint
    /// that does for one protocol but not for the other, a key of another certificate, anything of TLS without the feature.
    fn blames_env(
        &self,
        endpoint: Option<&Endpoint>,
        error: &BuildError,
        from_env: &mut OtlpConfig,
        env: &Env,
    ) -> bool {
        let (option, value) = match error.field() {
            "endpoint" if endpoint.is_none() => {
                let endpoint = from_env.endpoint.take();
                ("ENDPOINT", endpoint.map(|endpoint| endpoint.as_str().to_owned()))
            }
            "certificate" if self.config.certificate.is_none() => {
                ("CERTIFICATE", from_env.certificate.take().map(|pem| pem.to_string()))
            }
            field @ ("client_certificate" | "client_key") if self.config.client_certificate.is_none() => {
                // One is of no use without the other.
                let (certificate, key) = (from_env.client_certificate.take(), from_env.client_key.take());
                match field {
                    "client_key" => ("CLIENT_KEY", key.map(|pem| pem.to_string())),
                    _ => ("CLIENT_CERTIFICATE", certificate.map(|pem| pem.to_string())),
                }
            }
            _ => return false,
        };
        let Some(value) = value else { return false };
        env.ignore(&variable(env, option, &value), error.value(), error.accepted());
        true
    }
}

/// The protocols whose features are on, the default first.
const SUPPORTED: &[Protocol] = &[
    #[cfg(feature = "grpc")]
    Protocol::Grpc,
    #[cfg(feature = "http")]
    Protocol::HttpProtobuf,
];

/// The protocol, of those whose features are on.
fn choose(
    code: Option<Protocol>,
    from_env: Option<Protocol>,
    supported: &[Protocol],
    env: &Env,
) -> Result<Protocol, BuildError> {
    let is_supported = |protocol: &Protocol| supported.contains(protocol);
    if let Some(protocol) = code {
        return if is_supported(&protocol) {
            Ok(protocol)
        } else {
            Err(unsupported(protocol))
        };
    }
    if let Some(protocol) = from_env.filter(|protocol| !is_supported(protocol)) {
        let error = unsupported(protocol);
        env.ignore(
            &variable(env, "PROTOCOL", error.value()),
            error.value(),
            error.accepted(),
        );
    }
    let default = supported.first().copied().unwrap_or(Protocol::Grpc);
    Ok(from_env.filter(is_supported).unwrap_or(default))
}

fn unsupported(protocol: Protocol) -> BuildError {
    BuildError::new("protocol", protocol, "a protocol whose feature (`grpc`, `http`) is on")
}

/// What an exporter is made of.
struct Way {
    protocol: Protocol,
    config: OtlpConfig,
    observer: Option<Arc<dyn Observer>>,
    in_front: EndpointSettings,
    max_concurrent: usize,
}

impl Way {
    /// An exporter with what belongs in front of it; to this address, if there is one, and else to those of the endpoint's name.
    fn stack(&self, address: Option<SocketAddr>) -> Result<(EndpointInUse, BoxExporter), BuildError> {
        match self.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => {
                let exporter = self.configured(GrpcExporter::builder(), address).build()?;
                let url = exporter.endpoint().to_owned();
                self.in_front.stack(&url, address, exporter, self.max_concurrent)
            }
            #[cfg(feature = "http")]
            Protocol::HttpProtobuf => {
                let exporter = self.configured(HttpExporter::builder(), address).build()?;
                let url = exporter.endpoint().to_owned();
                self.in_front.stack(&url, address, exporter, self.max_concurrent)
            }
            other => Err(unsupported(other)),
        }
    }

    fn configured<T>(&self, builder: ExporterBuilder<T>, address: Option<SocketAddr>) -> ExporterBuilder<T> {
        let mut builder = builder.with_config(self.config.clone());
        if let Some(observer) = &self.observer {
            builder = builder.with_observer(Arc::clone(observer));
        }
        match address {
            Some(address) => builder.with_address(address),
            None => builder,
        }
    }
}

/// The variable that has this value: that for traces, else the general one.
fn variable(env: &Env, option: &str, value: &str) -> String {
    let for_traces = format!("OTEL_EXPORTER_OTLP_TRACES_{option}");
    match env.string(&for_traces) {
        Some(text) if text.eq_ignore_ascii_case(value) => for_traces,
        _ => format!("OTEL_EXPORTER_OTLP_{option}"),
    }
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            is_wanted: true,
            config: OtlpConfig::default(),
            endpoints: None,
            is_resolved: false,
            in_front: EndpointSettings::default(),
            headers: Vec::new(),
        }
    }
}

/// Without the values of headers, which may be secrets.
impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OtlpSettings")
            .field("is_wanted", &self.is_wanted)
            .field("config", &self.config)
            .field("endpoints", &self.endpoints)
            .field("is_resolved", &self.is_resolved)
            .field("in_front", &self.in_front)
            .field("headers", &headers)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use Protocol::{Grpc, HttpProtobuf};

    use super::*;

    #[test]
    fn a_protocol_whose_feature_is_off_is_an_error_in_code_and_ignored_in_a_variable() {
        let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")]);
        let error = choose(Some(HttpProtobuf), None, &[Grpc], &env).unwrap_err();
        assert_eq!((error.field(), error.value()), ("protocol", "http/protobuf"));
        assert!(env.ignored().is_empty());

        assert_eq!(choose(None, Some(HttpProtobuf), &[Grpc], &env).unwrap(), Grpc);
        assert_eq!(env.ignored()[0].name, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL");
    }

    #[test]
    fn the_default_is_grpc_or_what_there_is() {
        let env = Env::empty();
        assert_eq!(choose(None, None, &[Grpc, HttpProtobuf], &env).unwrap(), Grpc);
        assert_eq!(choose(None, None, &[HttpProtobuf], &env).unwrap(), HttpProtobuf);
        assert_eq!(
            choose(None, Some(HttpProtobuf), &[Grpc, HttpProtobuf], &env).unwrap(),
            HttpProtobuf
        );
        assert_eq!(
            choose(Some(Grpc), Some(HttpProtobuf), &[Grpc, HttpProtobuf], &env).unwrap(),
            Grpc
        );
    }
}
