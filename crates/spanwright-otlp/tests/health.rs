//! The gRPC health protocol.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::time::Duration;

use spanwright_core::ErrorKind;
use spanwright_otlp::{GrpcExporter, Health};
use spanwright_testing::{Health as Says, Receiver};
use support::{Exporter, PATIENCE, batch};

fn exporter(receiver: &Receiver) -> GrpcExporter {
    GrpcExporter::builder()
        .with_endpoint(receiver.grpc_endpoint())
        .with_timeout(PATIENCE)
        .build()
        .expect("an endpoint on this machine")
}

#[tokio::test]
async fn what_the_receiver_says_is_told_and_no_service_is_no_bad_news() {
    let receiver = Receiver::spawn().unwrap();
    let checker = exporter(&receiver).health_checker();
    assert_eq!(checker.check().await.unwrap(), Health::Unknown);
    receiver.set_health(Says::Serving);
    assert_eq!(checker.check().await.unwrap(), Health::Serving);
    receiver.set_health(Says::NotServing);
    assert_eq!(checker.check().await.unwrap(), Health::NotServing);
}

#[tokio::test]
async fn no_connection_is_an_error() {
    let receiver = Receiver::spawn().unwrap();
    receiver.stop_listening().unwrap();
    let error = exporter(&receiver).health_checker().check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn the_check_shares_the_exporters_connection() {
    let receiver = Receiver::builder().with_health(Says::Serving).spawn().unwrap();
    let exporter = exporter(&receiver);
    let checker = exporter
        .health_checker()
        .with_service("opentelemetry.proto.collector.trace.v1.TraceService");
    Exporter::Grpc(exporter).export(&batch(1)).await.unwrap();
    assert!(checker.check().await.is_ok());
    assert_eq!((receiver.counts().health_checks, receiver.counts().connections), (1, 1));
}

#[tokio::test]
async fn a_check_ends_with_the_exporters_timeout() {
    // A socket that is listened on but never accepted from: the connection is made, and nobody answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let exporter = GrpcExporter::builder()
        .with_endpoint(format!("http://{}", deaf.local_addr().unwrap()))
        .with_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let error = exporter.health_checker().check().await.unwrap_err();
    assert_eq!((error.kind(), error.error_type()), (ErrorKind::Retryable, "timeout"));
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
    let checker = GrpcExporter::builder().build().unwrap().health_checker();
    let mut check = std::pin::pin!(checker.check());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(
        matches!(check.as_mut().poll(&mut cx), std::task::Poll::Ready(Err(error)) if error.error_type() == "no_runtime")
    );
}
