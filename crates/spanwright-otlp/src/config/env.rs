//! The settings from environment variables.

use std::time::Duration;

use spanwright_core::Env;

use super::{Endpoint, Headers, OtlpConfig, Pem, Protocol};
use crate::Compression;

/// What a timeout may be, in milliseconds: up to an hour, as in the builder.
const TIMEOUT_RANGE: std::ops::RangeInclusive<u64> = 1..=3_600_000;

impl OtlpConfig {
    /// Reads the variables `OTEL_EXPORTER_OTLP_TRACES_*`, and where one is unset or unusable, `OTEL_EXPORTER_OTLP_*`.
    ///
    /// | variable | takes |
    /// |---|---|
    /// | `.._ENDPOINT` | [`Endpoint::Base`]; `TRACES_ENDPOINT`: [`Endpoint::Traces`] |
    /// | `.._PROTOCOL` | `grpc`, `http/protobuf` (`http/json` is not supported) |
    /// | `.._INSECURE` | `true`, `false` |
    /// | `.._HEADERS` | `name=value,name=value`, values percent-encoded; the list for traces replaces the general one |
    /// | `.._COMPRESSION` | `gzip`, `zstd`, `none` |
    /// | `.._TIMEOUT` | milliseconds, 1 to 3 600 000 |
    /// | `.._CERTIFICATE`, `.._CLIENT_KEY`, `.._CLIENT_CERTIFICATE` | files in PEM |
    ///
    /// What cannot be used is ignored, and told by [`Env::ignored`]; values that may be secrets are not repeated there. A file
    /// that is not what it should be is ignored, too; without the feature `tls` files are not looked into, and the exporter refuses them.
    ///
    /// # Source
    ///
    /// [OTLP exporter configuration](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options).
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let protocol = signal_or_general("PROTOCOL", |name| {
            env.parse(
                name,
                "grpc or http/protobuf (http/json is not supported)",
                Protocol::parse,
            )
        });
        let insecure = signal_or_general("INSECURE", |name| env.bool(name)).unwrap_or_default();
        let (client_key, client_certificate) = client_identity(env);
        Self {
            protocol,
            endpoint: endpoint(env, protocol),
            insecure,
            headers: signal_or_general("HEADERS", |name| headers(env, name)).unwrap_or_default(),
            compression: signal_or_general("COMPRESSION", |name| {
                env.parse(name, "gzip, zstd or none", Compression::parse)
            }),
            timeout: signal_or_general("TIMEOUT", |name| -> Option<Duration> {
                env.milliseconds(name, TIMEOUT_RANGE)
            }),
            certificate: signal_or_general("CERTIFICATE", |name| file(env, name, check::certificates)),
            client_key,
            client_certificate,
        }
    }
}

/// Each option by itself: that for traces, else the general one.
fn signal_or_general<T>(option: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    read(&format!("OTEL_EXPORTER_OTLP_TRACES_{option}")).or_else(|| read(&format!("OTEL_EXPORTER_OTLP_{option}")))
}

fn endpoint(env: &Env, protocol: Option<Protocol>) -> Option<Endpoint> {
    let usable = |name: &str, endpoint: fn(String) -> Endpoint| {
        let text = env.string(name)?;
        let candidate = endpoint(text);
        // Without a protocol it must do for the more generous one, and for the other it is checked in `build`.
        match Endpoint::resolve(Some(&candidate), protocol.unwrap_or(Protocol::Grpc), false) {
            Ok(_) => Some(candidate),
            Err(error) => {
                env.ignore(name, error.value(), error.accepted());
                None
            }
        }
    };
    usable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Endpoint::Traces)
        .or_else(|| usable("OTEL_EXPORTER_OTLP_ENDPOINT", Endpoint::Base))
}

fn headers(env: &Env, name: &str) -> Option<Headers> {
    let (headers, unusable) = Headers::parse(&env.string(name)?);
    for position in unusable {
        let accepted = "name=value,name=value with names that are not the exporter's own; the other entries are used";
        env.ignore(name, format!("(hidden) entry {position}"), accepted);
    }
    Some(headers)
}

/// The key and the certificate: both, or neither.
fn client_identity(env: &Env) -> (Option<Pem>, Option<Pem>) {
    let key = signal_or_general("CLIENT_KEY", |name| file(env, name, check::key));
    let certificate = signal_or_general("CLIENT_CERTIFICATE", |name| file(env, name, check::certificates));
    let alone = match (&key, &certificate) {
        (Some(alone), None) => ("OTEL_EXPORTER_OTLP_CLIENT_KEY", alone),
        (None, Some(alone)) => ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", alone),
        _ => return (key, certificate),
    };
    env.ignore(alone.0, alone.1.to_string(), "a key and a certificate, both");
    (None, None)
}

fn file(env: &Env, name: &str, check: fn(&Pem) -> Option<&'static str>) -> Option<Pem> {
    let path = env.string(name)?;
    let pem = Pem::file(&path);
    match check(&pem) {
        None => Some(pem),
        Some(accepted) => {
            env.ignore(name, path, accepted);
            None
        }
    }
}

/// What is wrong with a file: what it should be instead, or nothing.
#[cfg(feature = "tls")]
mod check {
    use super::Pem;
    use crate::transport::tls;

    pub(super) fn certificates(pem: &Pem) -> Option<&'static str> {
        tls::certificates(pem).err().map(|_| tls::ACCEPTED_CERTIFICATES)
    }

    pub(super) fn key(pem: &Pem) -> Option<&'static str> {
        tls::key(pem).err().map(|_| tls::ACCEPTED_KEY)
    }
}

#[cfg(not(feature = "tls"))]
mod check {
    use super::Pem;

    pub(super) fn certificates(_: &Pem) -> Option<&'static str> {
        None
    }

    pub(super) fn key(_: &Pem) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(pairs: [(&str, &str); N]) -> (OtlpConfig, Vec<String>) {
        let env = Env::from_pairs(pairs);
        let config = OtlpConfig::from_env(&env);
        (config, env.ignored().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_set_where_no_variable_is() {
        let (config, ignored) = read([]);
        assert_eq!(format!("{config:?}"), format!("{:?}", OtlpConfig::default()));
        assert!(ignored.is_empty());
    }

    #[test]
    fn every_general_variable_is_read() {
        let (config, ignored) = read([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ]);
        assert_eq!(ignored, [""; 0]);
        assert_eq!(config.endpoint, Some(Endpoint::Base("http://host:1".into())));
        assert_eq!((config.protocol, config.insecure), (Some(Protocol::HttpProtobuf), true));
        assert_eq!(config.headers.names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(config.compression, Some(Compression::Gzip));
        assert_eq!(config.timeout, Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn a_variable_for_traces_goes_before_the_general_one_option_by_option() {
        let (config, ignored) = read([
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "7"),
        ]);
        assert_eq!(config.endpoint, Some(Endpoint::Traces("http://traces:1".into())));
        assert_eq!((config.protocol, config.insecure), (Some(Protocol::Grpc), false));
        assert_eq!(config.headers.names().collect::<Vec<_>>(), ["b"]);
        assert_eq!(config.timeout, Some(Duration::from_millis(7)));
        assert_eq!(
            ignored,
            ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=`0` is ignored; accepted: a whole number from 1 to 3600000"]
        );
    }

    #[test]
    fn json_is_reported_as_not_supported() {
        let (config, ignored) = read([("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
        assert_eq!(config.protocol, None);
        assert!(ignored[0].contains("http/json is not supported"), "{ignored:?}");
    }

    #[test]
    fn an_endpoint_must_do_for_the_protocol() {
        let without_scheme = ("OTEL_EXPORTER_OTLP_ENDPOINT", "host:4317");
        assert!(read([without_scheme]).0.endpoint.is_some());
        let (config, ignored) = read([without_scheme, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
        assert_eq!((config.endpoint, ignored.len()), (None, 1));
    }

    #[test]
    fn secrets_are_not_repeated() {
        let (config, ignored) = read([
            ("OTEL_EXPORTER_OTLP_HEADERS", "good=hunter2,hunter3,bad name=hunter4"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:hunter5@host/?hunter6"),
        ]);
        let told = format!("{config:?} {ignored:?}");
        assert!(!told.contains("hunter"), "{told}");
        assert!(
            told.contains("entry 2") && told.contains("entry 3") && told.contains("ftp://...@host"),
            "{told}"
        );
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_key_without_a_certificate_is_ignored() {
        let (config, ignored) = read([("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem")]);
        assert_eq!(config.client_key, None);
        assert!(
            ignored[0].starts_with("OTEL_EXPORTER_OTLP_CLIENT_KEY=`/key.pem`"),
            "{ignored:?}"
        );
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn files_are_taken_as_they_are_without_tls() {
        let (config, _) = read([("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file")]);
        assert_eq!(config.certificate, Some(Pem::file("/no/such/file")));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn files_that_are_no_certificates_are_ignored() {
        let (config, ignored) = read([
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/no/such/file"),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_KEY",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            ),
        ]);
        assert_eq!((config.certificate, config.client_key), (None, None));
        assert_eq!(ignored.len(), 2);
    }
}
