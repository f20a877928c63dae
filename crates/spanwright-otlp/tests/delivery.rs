//! What is sent is what arrives, and the receiver's answer is what is told.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{EncodedBatch, ErrorKind, Priority};
use spanwright_otlp::{GrpcExporter, OtlpConfig, Protocol};
use spanwright_testing::{Receiver, Reply};
use support::{Exporter, PATIENCE, PROTOCOLS, Settings, batch, spans};

#[tokio::test]
async fn every_span_arrives_as_it_was() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        let receipt = exporter.export(&batch(300)).await.unwrap();
        assert_eq!((receipt.rejected(), receipt.message()), (0, None));
        let arrived = receiver.spans();
        let mut names: Vec<_> = arrived
            .iter()
            .map(|span| (span.span_id.clone(), span.name.clone()))
            .collect();
        let mut sent: Vec<_> = spans(300)
            .iter()
            .map(|span| (span.span_context.span_id().to_bytes().to_vec(), span.name.to_string()))
            .collect();
        names.sort();
        sent.sort();
        assert_eq!(names, sent, "{protocol}");
        let request = &receiver.requests()[0];
        assert_eq!(request.decoded_len, batch(300).len());
        let resource = request.message.as_ref().unwrap().resource_spans[0]
            .resource
            .as_ref()
            .unwrap();
        assert_eq!(resource.attributes[0].key, "service.name");
    }
}

#[tokio::test]
async fn requests_look_as_the_protocol_wants_them() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let settings = Settings {
            headers: vec![("api-key", "hunter2"), ("X-Tenant", "a b")],
            user_agent: Some("checkout/1.4"),
            timeout: Some(Duration::from_secs(10)),
            ..Settings::default()
        };
        Exporter::to(&receiver, protocol, settings)
            .export(&batch(3))
            .await
            .unwrap();
        let request = &receiver.requests()[0];
        let header = |name| request.header(name).unwrap_or_default();
        assert_eq!((header("api-key"), header("x-tenant")), ("hunter2", "a b"));
        let agent = concat!("checkout/1.4 Spanwright-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
        assert!(header("user-agent").starts_with(agent), "{}", header("user-agent"));
        if protocol == Protocol::Grpc {
            assert_eq!(
                request.path,
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            );
            assert_eq!((header("content-type"), header("te")), ("application/grpc", "trailers"));
            assert_eq!(
                (header("grpc-encoding"), header("grpc-accept-encoding")),
                ("", "identity")
            );
            let timeout: u64 = header("grpc-timeout").trim_end_matches('m').parse().unwrap();
            assert!((5_000..=10_001).contains(&timeout), "{timeout}");
        } else {
            assert_eq!(request.path, "/v1/traces");
            assert_eq!(header("content-type"), "application/x-protobuf");
            assert_eq!((header("content-encoding"), header("transfer-encoding")), ("", ""));
            assert_eq!(header("content-length"), batch(3).len().to_string());
        }
    }
}

#[tokio::test]
async fn an_address_is_connected_to_whatever_the_name_is() {
    let receiver = Receiver::spawn().unwrap();
    for (protocol, address) in [
        (Protocol::Grpc, receiver.grpc_address()),
        (Protocol::HttpProtobuf, receiver.http_address()),
    ] {
        for host in ["no-such-host.invalid:4317", "192.0.2.1:4317"] {
            let settings = Settings {
                address: Some(address),
                ..Settings::default()
            };
            let mut exporter = Exporter::build(protocol, format!("http://{host}"), settings).unwrap();
            exporter.export(&batch(1)).await.unwrap();
        }
    }
    assert_eq!(receiver.accepted_spans(), 4);
    let hosts: Vec<_> = receiver
        .requests()
        .iter()
        .filter_map(|it| it.header("host").map(str::to_owned))
        .collect();
    assert!(hosts.contains(&"no-such-host.invalid:4317".to_owned()), "{hosts:?}");
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        for _ in 0..5 {
            exporter.clone().export(&batch(2)).await.unwrap();
        }
        assert_eq!(
            (receiver.counts().requests, receiver.counts().connections),
            (5, 1),
            "{protocol}"
        );
        receiver.abort_connections().unwrap();
        // The connection may be found broken before the request or by it. Either way the next request has a new one.
        let _ = exporter.export(&batch(2)).await;
        exporter.export(&batch(2)).await.unwrap();
        assert_eq!(receiver.counts().connections, 2, "{protocol}");
    }
}

#[tokio::test]
async fn a_large_batch_goes_through_small_windows() {
    let receiver = Receiver::builder().with_window_bytes(65_535).spawn().unwrap();
    let mut exporter = Exporter::to(&receiver, Protocol::Grpc, Settings::default());
    let batch = batch(10_000);
    assert!(batch.len() > 1 << 20, "{}", batch.len());
    exporter.export(&batch).await.unwrap();
    assert_eq!(receiver.accepted_spans(), 10_000);
}

#[tokio::test]
async fn requests_of_clones_run_side_by_side() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let gate = spanwright_testing::Gate::new();
        receiver.set_default(Reply::ok().gated(&gate));
        let exporter = Exporter::to(&receiver, protocol, Settings::default());
        let exports: Vec<_> = (0..8)
            .map(|_| {
                let mut exporter = exporter.clone();
                tokio::spawn(async move { exporter.export(&batch(1)).await })
            })
            .collect();
        receiver.reached(|counts| counts.in_flight == 8).await;
        gate.open();
        for export in exports {
            export.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_partial_success_is_told_and_is_no_error() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.script([
            Reply::partial_success(2, "too old"),
            Reply::partial_success(0, "deprecated"),
        ]);
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        let receipt = exporter.export(&batch(5)).await.unwrap();
        assert_eq!(
            (receipt.rejected(), receipt.message()),
            (2, Some("too old")),
            "{protocol}"
        );
        let receipt = exporter.export(&batch(5)).await.unwrap();
        assert_eq!(
            (receipt.rejected(), receipt.message()),
            (0, Some("deprecated")),
            "{protocol}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_undo_the_success() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.script([Reply::ok().with_body("\u{7f}garbage")]);
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        let receipt = exporter.export(&batch(1)).await.unwrap();
        assert_eq!(
            (receipt.rejected(), receipt.message()),
            (0, Some("the answer could not be read")),
            "{protocol}"
        );
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        let [throttled, invalid, credentials, too_large] = match protocol {
            Protocol::Grpc => [
                "UNAVAILABLE",
                "INVALID_ARGUMENT",
                "UNAUTHENTICATED",
                "RESOURCE_EXHAUSTED",
            ],
            _ => ["503", "400", "401", "413"],
        };
        for (reply, kind, error_type, delay) in [
            (Reply::unavailable(), ErrorKind::Retryable, throttled, None),
            (
                Reply::unavailable().with_retry_after(Duration::ZERO),
                ErrorKind::Retryable,
                throttled,
                None,
            ),
            (
                Reply::unavailable().with_retry_after(Duration::from_secs(5)),
                ErrorKind::Retryable,
                throttled,
                Some(Duration::from_secs(5)),
            ),
            (Reply::grpc_status(3, "no"), ErrorKind::Permanent, invalid, None),
            (
                Reply::grpc_status(16, "who?"),
                ErrorKind::Unauthenticated,
                credentials,
                None,
            ),
        ] {
            receiver.script([reply]);
            let error = exporter.export(&batch(1)).await.unwrap_err();
            let got = (error.kind(), error.error_type(), error.retry_after());
            assert_eq!(got, (kind, error_type, delay), "{protocol} {error}");
        }
        receiver.set_max_request_bytes(100);
        let error = exporter.export(&batch(5)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.error_type()),
            (ErrorKind::TooLarge, too_large),
            "{error}"
        );
        assert_eq!(receiver.counts().accepted_spans, 0);
    }
}

#[tokio::test]
async fn an_error_tells_what_the_receiver_said_without_our_credentials() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.script([Reply::grpc_status(7, "token hunter2hunter2 has no\u{e9} rights")]);
        let settings = Settings {
            headers: vec![("authorization", "Bearer hunter2hunter2")],
            ..Settings::default()
        };
        let mut exporter = Exporter::to(&receiver, protocol, settings);
        let error = exporter.export(&batch(1)).await.unwrap_err();
        assert_eq!(error.message(), "token ... has no\u{e9} rights", "{protocol}");
        assert!(!format!("{error:?} {exporter:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn what_a_proxy_answers_in_text_is_told_in_short() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::http_status(502).with_body(format!("<html>\r\n{}", "x".repeat(5_000)))]);
    let mut exporter = Exporter::to(&receiver, Protocol::HttpProtobuf, Settings::default());
    let error = exporter.export(&batch(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.error_type()), (ErrorKind::Retryable, "502"));
    assert!(error.message().len() < 300, "{}", error.message());

    receiver.script([503, 401, 404, 413].map(Reply::proxy_status));
    let mut exporter = Exporter::to(&receiver, Protocol::Grpc, Settings::default());
    for kind in [
        ErrorKind::Retryable,
        ErrorKind::Unauthenticated,
        ErrorKind::Permanent,
        ErrorKind::TooLarge,
    ] {
        let error = exporter.export(&batch(1)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::http_status(307)]);
    let mut exporter = Exporter::to(&receiver, Protocol::HttpProtobuf, Settings::default());
    let error = exporter.export(&batch(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.error_type()), (ErrorKind::Permanent, "307"));
    assert_eq!(receiver.counts().requests, 1);
}

#[tokio::test]
async fn nothing_is_sent_over_the_request_limit() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let settings = Settings {
            max_request_bytes: Some(batch(2).len()),
            ..Settings::default()
        };
        let mut exporter = Exporter::to(&receiver, protocol, settings);
        exporter.export(&batch(2)).await.unwrap();
        let error = exporter.export(&batch(3)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.error_type()),
            (ErrorKind::TooLarge, "request_too_large")
        );
        assert_eq!(receiver.counts().requests, 1);
    }
}

#[tokio::test]
async fn the_request_limit_holds_after_compression_as_well() {
    let receiver = Receiver::spawn().unwrap();
    // Noise, and few enough bytes of it, so that gzip makes it longer.
    let noise: Vec<u8> = (0..200_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let settings = Settings {
        max_request_bytes: Some(noise.len()),
        ..Settings::compressed(spanwright_otlp::Compression::Gzip)
    };
    let mut exporter = Exporter::to(&receiver, Protocol::HttpProtobuf, settings);
    let batch = EncodedBatch::new([Bytes::from(noise)], 1, Priority::Normal);
    let error = exporter.export(&batch).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.error_type()),
        (ErrorKind::TooLarge, "request_too_large")
    );
    assert_eq!(receiver.counts().requests, 0);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_a_permanent_error() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        // A field of 2 000 bytes that nobody knows.
        let answer = [&[0x7a, 0xd0, 0x0f][..], &[0; 2_000]].concat();
        receiver.set_default(Reply::ok().with_body(answer));
        for (limit, is_ok) in [(2_003, true), (2_002, false)] {
            let settings = Settings {
                max_response_bytes: Some(limit),
                ..Settings::default()
            };
            let result = Exporter::to(&receiver, protocol, settings).export(&batch(1)).await;
            assert_eq!(result.is_ok(), is_ok, "{protocol} {result:?}");
            if let Err(error) = result {
                assert_eq!(
                    (error.kind(), error.error_type()),
                    (ErrorKind::Permanent, "response_too_large")
                );
            }
        }
    }
}

#[tokio::test]
async fn an_empty_batch_is_not_sent() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        exporter
            .export(&EncodedBatch::new([], 0, Priority::Normal))
            .await
            .unwrap();
        assert_eq!(receiver.counts().connections, 0);
    }
}

#[test]
fn an_exporter_can_be_built_anywhere_and_move_from_runtime_to_runtime() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        for _ in 0..3 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(exporter.export(&batch(1))).unwrap();
        }
        assert_eq!(receiver.counts().requests, 3, "{protocol}");
    }
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
    for protocol in PROTOCOLS {
        let mut exporter = Exporter::build(protocol, "http://127.0.0.1:1".into(), Settings::default()).unwrap();
        let batch = batch(1);
        let mut export = std::pin::pin!(exporter.export(&batch));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(Err(error)) = export.as_mut().poll(&mut cx) else {
            panic!("nothing to wait for");
        };
        assert_eq!((error.kind(), error.error_type()), (ErrorKind::Permanent, "no_runtime"));
    }
}

#[tokio::test]
async fn the_environment_names_the_receiver_and_a_setter_goes_before_it() {
    let receiver = Receiver::spawn().unwrap();
    let env = spanwright_core::Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.grpc_endpoint()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=from%20env,tenant=a".to_owned()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
    ]);
    let exporter = GrpcExporter::builder()
        .with_config(OtlpConfig::from_env(&env))
        .with_header("tenant", "b")
        .with_timeout(PATIENCE)
        .build()
        .unwrap();
    Exporter::Grpc(exporter).export(&batch(1)).await.unwrap();
    let request = &receiver.requests()[0];
    assert_eq!(
        (request.header("api-key"), request.header("tenant")),
        (Some("from env"), Some("b"))
    );
    assert_eq!(request.encoding, "gzip");
    assert!(env.ignored().is_empty());
}
