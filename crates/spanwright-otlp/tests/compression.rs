//! Batches are compressed once, and a receiver that does not take an encoding gets them without it.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{ContentEncoding, ErrorKind};
use spanwright_otlp::{Compression, CompressionAnalyzer, GrpcExporter, HttpExporter, Protocol};
use spanwright_testing::{Dialect, Receiver, Reply};
use support::{Exporter, PATIENCE, PROTOCOLS, Recorder, Settings, batch};

const NO_ZSTD: [ContentEncoding; 2] = [ContentEncoding::Identity, ContentEncoding::Gzip];

fn encodings(receiver: &Receiver) -> Vec<String> {
    receiver
        .requests()
        .into_iter()
        .map(|request| request.encoding)
        .collect()
}

#[tokio::test]
async fn compressed_batches_arrive_whole_and_are_counted() {
    for protocol in PROTOCOLS {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let receiver = Receiver::spawn().unwrap();
            let recorder = Arc::new(Recorder::default());
            let settings = Settings {
                observer: Some(Arc::clone(&recorder)),
                ..Settings::compressed(compression)
            };
            let mut exporter = Exporter::to(&receiver, protocol, settings);
            exporter.export(&batch(500)).await.unwrap();
            let (request, stats) = (&receiver.requests()[0], exporter.compression());
            assert_eq!(
                (request.encoding.as_str(), request.span_count),
                (compression.as_str(), 500)
            );
            assert_eq!(stats.batches, 1);
            assert_eq!(stats.bytes_before, batch(500).len() as u64);
            assert_eq!(stats.bytes_after, request.compressed_len as u64);
            assert!(
                stats.ratio().unwrap() > 3.0 && stats.time_spent > Duration::ZERO,
                "{stats:?}"
            );
            assert_eq!(recorder.ratios(), [stats.ratio().unwrap()]);
        }
    }
}

#[tokio::test]
async fn a_batch_is_compressed_once_however_often_and_wherever_it_is_sent() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::unavailable(), Reply::unavailable()]);
    let analyzer = CompressionAnalyzer::new();
    let grpc = GrpcExporter::builder()
        .with_endpoint(receiver.grpc_endpoint())
        .with_compression(Compression::Zstd)
        .with_compression_analyzer(analyzer.clone())
        .with_timeout(PATIENCE)
        .build()
        .unwrap();
    let http = HttpExporter::builder()
        .with_endpoint(receiver.http_endpoint())
        .with_compression(Compression::Zstd)
        .with_compression_analyzer(analyzer.clone())
        .with_timeout(PATIENCE)
        .build()
        .unwrap();
    let (mut grpc, mut http) = (Exporter::Grpc(grpc), Exporter::Http(http));
    let batch = batch(10);
    assert!(grpc.export(&batch).await.is_err());
    assert!(grpc.clone().export(&batch.clone()).await.is_err());
    grpc.export(&batch).await.unwrap();
    http.export(&batch).await.unwrap();
    assert_eq!((analyzer.stats().batches, receiver.counts().requests), (1, 4));
}

#[tokio::test]
async fn a_refused_encoding_is_left_out_at_once_remembered_by_all_clones_and_told_once() {
    for protocol in PROTOCOLS {
        // Over gRPC both dialects say UNIMPLEMENTED. Over HTTP one says 415, the other 400 and nothing more.
        for dialect in [Dialect::Collector, Dialect::Rotel] {
            let receiver = Receiver::builder()
                .with_accepted_encodings(NO_ZSTD)
                .with_dialect(dialect)
                .spawn()
                .unwrap();
            let recorder = Arc::new(Recorder::default());
            let settings = Settings {
                observer: Some(Arc::clone(&recorder)),
                ..Settings::compressed(Compression::Zstd)
            };
            let mut exporter = Exporter::to(&receiver, protocol, settings);
            let mut earlier_clone = exporter.clone();
            exporter.export(&batch(3)).await.unwrap();
            exporter.export(&batch(3)).await.unwrap();
            earlier_clone.export(&batch(3)).await.unwrap();
            assert_eq!(
                encodings(&receiver),
                ["zstd", "identity", "identity", "identity"],
                "{protocol} {dialect:?}"
            );
            assert_eq!(
                recorder.refusals(),
                [(ContentEncoding::Zstd, ContentEncoding::Identity)]
            );
            assert_eq!((receiver.accepted_spans(), exporter.compression().batches), (9, 1));
        }
    }
}

#[tokio::test]
async fn an_encoding_that_is_taken_is_kept() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::builder().with_accepted_encodings(NO_ZSTD).spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::compressed(Compression::Gzip));
        exporter.export(&batch(3)).await.unwrap();
        exporter.export(&batch(3)).await.unwrap();
        assert_eq!(encodings(&receiver), ["gzip", "gzip"]);
    }
}

#[tokio::test]
async fn a_permanent_error_with_a_reason_is_not_sent_twice() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::compressed(Compression::Gzip));
        receiver.script([Reply::grpc_status(3, "spans without a name")]);
        let error = exporter.export(&batch(3)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Permanent, "spans without a name")
        );
        // The service is not there: UNIMPLEMENTED, and nothing about encodings.
        receiver.script([Reply::grpc_status(12, "unknown service")]);
        assert!(exporter.export(&batch(3)).await.is_err());
        assert_eq!(receiver.counts().requests, 2, "{protocol}");
    }
}

#[tokio::test]
async fn a_bare_400_that_was_not_about_the_encoding_stands() {
    let receiver = Receiver::spawn().unwrap();
    let recorder = Arc::new(Recorder::default());
    let settings = Settings {
        observer: Some(Arc::clone(&recorder)),
        ..Settings::compressed(Compression::Gzip)
    };
    let mut exporter = Exporter::to(&receiver, Protocol::HttpProtobuf, settings);
    let bare = || Reply::http_status(400).with_body("");
    receiver.script([bare(), Reply::http_status(422)]);
    let error = exporter.export(&batch(3)).await.unwrap_err();
    assert_eq!((error.kind(), error.error_type()), (ErrorKind::Permanent, "400"));

    // A receiver that is merely busy now has not answered the question. What it said last is what to do.
    receiver.script([bare(), Reply::unavailable()]);
    let error = exporter.export(&batch(3)).await.unwrap_err();
    assert_eq!((error.kind(), error.error_type()), (ErrorKind::Retryable, "503"));

    exporter.export(&batch(3)).await.unwrap();
    assert_eq!(encodings(&receiver), ["gzip", "identity", "gzip", "identity", "gzip"]);
    assert!(recorder.refusals().is_empty());
}

#[tokio::test]
async fn the_request_limit_holds_before_compression_as_well() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let settings = Settings {
            max_request_bytes: Some(batch(100).len() - 1),
            ..Settings::compressed(Compression::Zstd)
        };
        let mut exporter = Exporter::to(&receiver, protocol, settings);
        let error = exporter.export(&batch(100)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.error_type()),
            (ErrorKind::TooLarge, "request_too_large")
        );
        assert_eq!((receiver.counts().connections, exporter.compression().batches), (0, 0));
    }
}
