//! Certificates, as the official gRPC client checks them and is checked by them.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use spanwright_testing::{Receiver, TestCertificates};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::support::request;

async fn export(receiver: &Receiver, tls: ClientTlsConfig) -> Result<(), Box<dyn std::error::Error>> {
    let endpoint: Endpoint = Channel::from_shared(receiver.grpc_endpoint())?;
    let channel = endpoint.tls_config(tls)?.connect().await?;
    TraceServiceClient::new(channel).export(request(2)).await?;
    Ok(())
}

fn trusting(certificates: &TestCertificates) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates.authority_pem()))
}

fn with_identity(tls: ClientTlsConfig, certificates: &TestCertificates) -> ClientTlsConfig {
    tls.identity(Identity::from_pem(
        certificates.client_certificate_pem(),
        certificates.client_key_pem(),
    ))
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_gets_through() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_tls(&certificates).spawn().unwrap();
    assert!(receiver.grpc_endpoint().starts_with("https://127.0.0.1:"));
    export(&receiver, trusting(&certificates)).await.unwrap();
    let by_name = trusting(&certificates).domain_name("localhost");
    export(&receiver, by_name).await.unwrap();
    assert_eq!(receiver.accepted_spans(), 4);

    let stranger = TestCertificates::generate().unwrap();
    assert!(export(&receiver, trusting(&stranger)).await.is_err());
    let other_name = trusting(&certificates).domain_name("example.com");
    assert!(export(&receiver, other_name).await.is_err());
    assert_eq!(receiver.accepted_spans(), 4);
}

#[tokio::test]
async fn mutual_tls_lets_in_only_clients_with_a_certificate_of_the_authority() {
    let certificates = TestCertificates::generate().unwrap();
    let receiver = Receiver::builder().with_mutual_tls(&certificates).spawn().unwrap();
    let trusting = trusting(&certificates);
    export(&receiver, with_identity(trusting.clone(), &certificates))
        .await
        .unwrap();
    assert_eq!(receiver.accepted_spans(), 2);

    let stranger = TestCertificates::generate().unwrap();
    assert!(
        export(&receiver, with_identity(trusting.clone(), &stranger))
            .await
            .is_err()
    );
    assert!(export(&receiver, trusting).await.is_err());
    assert_eq!(receiver.accepted_spans(), 2);
}
