//! TLS and client authentication.
#![cfg(all(feature = "grpc", feature = "http", feature = "tls"))]

mod support;

use spanwright_core::{Env, ErrorKind};
use spanwright_otlp::{OtlpConfig, Pem, Protocol};
use spanwright_testing::{Receiver, TestCertificates};
use support::{Exporter, PROTOCOLS, Settings, batch};

fn trusting(certificates: &TestCertificates) -> Settings {
    let mut settings = Settings::default();
    settings.config.certificate = Some(Pem::text(certificates.authority_pem()));
    settings
}

fn identified(certificates: &TestCertificates) -> Settings {
    let mut settings = trusting(certificates);
    settings.config.client_certificate = Some(Pem::text(certificates.client_certificate_pem()));
    settings.config.client_key = Some(Pem::text(certificates.client_key_pem()));
    settings
}

#[tokio::test]
async fn batches_arrive_over_tls() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_tls(&certificates).spawn().unwrap();
    for protocol in PROTOCOLS {
        let mut exporter = Exporter::to(&receiver, protocol, trusting(&certificates));
        exporter.export(&batch(300)).await.unwrap();
        exporter.export(&batch(300)).await.unwrap();
    }
    assert_eq!((receiver.accepted_spans(), receiver.counts().connections), (1_200, 2));
}

#[tokio::test]
async fn a_name_in_the_certificate_is_checked_as_well_as_an_address() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_tls(&certificates).spawn().unwrap();
    let by_name = |endpoint: String| endpoint.replace("127.0.0.1", "localhost");
    for (protocol, endpoint) in [
        (Protocol::Grpc, by_name(receiver.grpc_endpoint())),
        (Protocol::HttpProtobuf, by_name(receiver.http_endpoint())),
    ] {
        let mut exporter = Exporter::build(protocol, endpoint, trusting(&certificates)).unwrap();
        exporter.export(&batch(1)).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_is_connected_to_and_the_certificate_is_that_of_the_name() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_tls(&certificates).spawn().unwrap();
    let to = |protocol, host: &str, address| {
        let mut settings = trusting(&certificates);
        settings.address = Some(address);
        Exporter::build(protocol, format!("https://{host}:1"), settings).unwrap()
    };
    for (protocol, address) in [
        (Protocol::Grpc, receiver.grpc_address()),
        (Protocol::HttpProtobuf, receiver.http_address()),
    ] {
        to(protocol, "localhost", address).export(&batch(1)).await.unwrap();
        let mut another = to(protocol, "collector.test", address);
        let error = another.export(&batch(1)).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Connect,
            "the name is not in the certificate: {error}"
        );
    }
}

#[tokio::test]
async fn a_receiver_of_another_authority_is_not_talked_to() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_tls(&certificates).spawn().unwrap();
    let others = TestCertificates::generate().unwrap();
    for protocol in PROTOCOLS {
        let mut exporter = Exporter::to(&receiver, protocol, trusting(&others));
        let error = exporter.export(&batch(1)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.error_type()),
            (ErrorKind::Connect, "connect"),
            "{protocol} {error}"
        );
        assert!(error.message().contains("certificate"), "{error}");
    }
    assert_eq!(receiver.counts().requests, 0);
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_one_is_asked_for() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_mutual_tls(&certificates).spawn().unwrap();
    for protocol in PROTOCOLS {
        let mut exporter = Exporter::to(&receiver, protocol, identified(&certificates));
        exporter.export(&batch(1)).await.unwrap();
        let mut stranger = Exporter::to(&receiver, protocol, trusting(&certificates));
        let error = stranger.export(&batch(1)).await.unwrap_err();
        assert!(error.is_retryable(), "{protocol} {error}");
    }
    assert_eq!(receiver.counts().requests, 2);
}

#[tokio::test]
async fn the_environment_names_the_files() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_mutual_tls(&certificates).spawn().unwrap();
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str, pem: &str| {
        let path = directory.join(name);
        std::fs::write(&path, pem).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let env = Env::from_pairs([
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            file("authority.pem", certificates.authority_pem()),
        ),
        (
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            file("client.pem", certificates.client_certificate_pem()),
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
            file("client.key", certificates.client_key_pem()),
        ),
    ]);
    for protocol in PROTOCOLS {
        let settings = Settings {
            config: OtlpConfig::from_env(&env),
            ..Settings::default()
        };
        assert_eq!(env.ignored(), []);
        Exporter::to(&receiver, protocol, settings)
            .export(&batch(1))
            .await
            .unwrap();
    }
}

#[test]
fn a_certificate_that_is_none_is_refused_by_name() {
    let certificates = TestCertificates::generate().unwrap();
    let others = TestCertificates::generate().unwrap();
    let refused = |change: fn(&mut OtlpConfig, &TestCertificates)| {
        let mut settings = identified(&certificates);
        change(&mut settings.config, &others);
        let error = Exporter::build(Protocol::Grpc, "https://host:4317".into(), settings).unwrap_err();
        (error.field().to_owned(), error.value().to_owned())
    };
    let nothing = String::new();
    for (change, field, value) in [
        (
            (|config, _| config.certificate = Some(Pem::text("no PEM"))) as fn(&mut OtlpConfig, &TestCertificates),
            "certificate",
            "PEM text",
        ),
        (
            |config, _| config.certificate = Some(Pem::file("/no/such/file")),
            "certificate",
            "/no/such/file",
        ),
        (
            |config, _| config.client_certificate = Some(Pem::text("")),
            "client_certificate",
            "PEM text",
        ),
        (
            |config, _| config.client_key = Some(Pem::text("")),
            "client_key",
            "PEM text",
        ),
        (
            |config, others| config.client_key = Some(Pem::text(others.client_key_pem())),
            "client_key",
            "PEM text",
        ),
        (|config, _| config.client_key = None, "client_key", &nothing),
        (
            |config, _| config.client_certificate = None,
            "client_certificate",
            &nothing,
        ),
    ] {
        assert_eq!(refused(change), (field.to_owned(), value.to_owned()));
    }
}
