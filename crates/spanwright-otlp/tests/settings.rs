//! What a builder does not take, it refuses by name, with what it would take.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::time::Duration;

use spanwright_otlp::{GrpcExporter, HttpExporter, Protocol};
use support::{Exporter, PROTOCOLS, Settings};

#[test]
fn a_wrong_argument_is_named_with_its_value_and_what_is_accepted() {
    for protocol in PROTOCOLS {
        let build = |settings| {
            Exporter::build(protocol, "http://host:1".into(), settings)
                .unwrap_err()
                .to_string()
        };
        let timeout = |timeout| {
            build(Settings {
                timeout: Some(timeout),
                ..Settings::default()
            })
        };
        assert_eq!(
            timeout(Duration::ZERO),
            "`timeout` cannot be `0ns`; accepted: 1ms to 3600s"
        );
        assert!(timeout(Duration::from_secs(3_601)).starts_with("`timeout` cannot be `3601s`"));
        let error = build(Settings {
            max_request_bytes: Some(0),
            ..Settings::default()
        });
        assert_eq!(error, "`max_request_bytes` cannot be `0`; accepted: 1 to 4294967295");
        let error = build(Settings {
            address: Some(([10, 0, 0, 1], 0).into()),
            ..Settings::default()
        });
        assert_eq!(
            error,
            "`address` cannot be `10.0.0.1:0`; accepted: an address with a port from 1 to 65535"
        );
        let error = build(Settings {
            max_response_bytes: Some(usize::MAX),
            ..Settings::default()
        });
        assert!(
            error.starts_with("`max_response_bytes` cannot be") && error.ends_with("1 to 67108864"),
            "{error}"
        );
        for product in ["", " ", "caf\u{e9}/1", "a\nb"] {
            let error = build(Settings {
                user_agent: Some(product),
                ..Settings::default()
            });
            assert!(
                error.starts_with("`user_agent` cannot be `") && error.contains("checkout/1.4"),
                "{error}"
            );
        }
        for (name, value) in [
            ("bad name", "v"),
            ("", "v"),
            ("Content-Type", "v"),
            ("grpc-timeout", "v"),
            ("te", "v"),
        ] {
            let error = build(Settings {
                headers: vec![(name, value)],
                ..Settings::default()
            });
            assert!(
                error.starts_with(&format!(
                    "`headers` cannot be `{name}`; accepted: an HTTP header's name"
                )),
                "{error}"
            );
        }
        let error = build(Settings {
            headers: vec![("api-key", "hunter2\r\n")],
            ..Settings::default()
        });
        assert!(
            error.starts_with("`headers` cannot be `api-key: ...`") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn an_endpoint_is_checked_for_its_protocol() {
    let build = |protocol, endpoint: &str| Exporter::build(protocol, endpoint.into(), Settings::default());
    for protocol in PROTOCOLS {
        let error = build(protocol, "unix:///run/otel.sock").unwrap_err();
        assert_eq!((error.field(), error.value()), ("endpoint", "unix:///run/otel.sock"));
        assert!(error.accepted().contains("unix sockets are not supported"));
    }
    assert!(build(Protocol::HttpProtobuf, "host:4318").is_err());
    let insecure = GrpcExporter::builder()
        .with_endpoint("host:4317")
        .with_insecure(true)
        .build()
        .unwrap();
    assert_eq!(insecure.endpoint(), "http://host:4317/");
}

#[test]
fn the_path_is_appended_to_the_base_alone() {
    let exporter = HttpExporter::builder()
        .with_endpoint("http://host:4318/otlp/")
        .build()
        .unwrap();
    assert_eq!(exporter.endpoint(), "http://host:4318/otlp/v1/traces");
    let exporter = HttpExporter::builder()
        .with_traces_endpoint("http://host:4318/in?key=secret")
        .build()
        .unwrap();
    assert_eq!(exporter.endpoint(), "http://host:4318/in?...");
    assert!(!format!("{exporter:?}").contains("secret"));
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_settings_are_refused_where_tls_is_not_built_in() {
    use spanwright_otlp::Pem;

    for protocol in PROTOCOLS {
        let error = Exporter::build(protocol, "https://host:1".into(), Settings::default()).unwrap_err();
        assert_eq!((error.field(), error.value()), ("endpoint", "https"));
        assert!(error.accepted().contains("feature `tls`"));
        let mut settings = Settings::default();
        settings.config.certificate = Some(Pem::file("ca.pem"));
        let error = Exporter::build(protocol, "http://host:1".into(), settings).unwrap_err();
        assert_eq!((error.field(), error.value()), ("certificate", "ca.pem"));
    }
}
