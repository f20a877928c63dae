//! The receiver as the official gRPC client sees it.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use spanwright_core::ContentEncoding;
use spanwright_testing::{Answer, Dialect, Gate, Health, Mode, Protocol, Receiver, Reply};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::support::{PATIENCE, encoded, grpc_client, http1_at, http2_at, patiently, post, request};

#[tokio::test]
async fn keeps_what_was_exported() {
    let receiver = Receiver::spawn().unwrap();
    let mut client = grpc_client(&receiver).await;
    let mut message = Request::new(request(3));
    message
        .metadata_mut()
        .insert("authorization", "secret".parse().unwrap());
    let answer = client.export(message).await.unwrap().into_inner();

    assert_eq!(answer.partial_success, None);
    assert!(receiver.wait_for_spans(3, PATIENCE));
    assert_eq!(receiver.spans()[2].name, "span 2");
    let requests = receiver.requests();
    let [kept] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(kept.message.as_deref(), Some(&request(3)));
    assert_eq!(
        (kept.protocol, kept.header("authorization")),
        (Protocol::Grpc, Some("secret"))
    );
    assert_eq!((kept.encoding.as_str(), kept.span_count), ("identity", 3));
    assert_eq!(kept.compressed_len, kept.decoded_len);
    assert_eq!(kept.answer, Answer::Accepted { rejected: 0 });
}

#[tokio::test]
async fn counting_needs_no_message() {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn().unwrap();
    let mut client = grpc_client(&receiver).await;
    for spans in [1, 500, 2] {
        client.export(request(spans)).await.unwrap();
    }
    assert_eq!(receiver.accepted_spans(), 503);
    assert!(receiver.requests().is_empty());
    let counts = receiver.counts();
    assert_eq!((counts.requests, counts.answered, counts.in_flight), (3, 3, 0));
}

#[tokio::test]
async fn spans_that_are_taken_again_are_told_apart_and_refused_ones_were_not_taken() {
    let receiver = Receiver::builder().with_mode(Mode::Distinct).spawn().unwrap();
    receiver.script([Reply::unavailable(), Reply::ok()]);
    let mut client = grpc_client(&receiver).await;
    assert!(client.export(request(5)).await.is_err());
    for spans in [3, 5, 5] {
        client.export(request(spans)).await.unwrap();
    }
    let counts = receiver.counts();
    assert_eq!(
        (counts.spans, counts.accepted_spans, counts.repeated_spans),
        (18, 13, 8)
    );
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn understands_both_compressions() {
    let receiver = Receiver::spawn().unwrap();
    for (encoding, name) in [(CompressionEncoding::Gzip, "gzip"), (CompressionEncoding::Zstd, "zstd")] {
        let mut client = grpc_client(&receiver).await.send_compressed(encoding);
        client.export(request(100)).await.unwrap();
        let kept = receiver.requests().pop().unwrap();
        assert_eq!(kept.encoding, name);
        assert_eq!(kept.message.as_deref(), Some(&request(100)));
        assert!(kept.compressed_len < kept.decoded_len, "{kept:?}");
    }
}

#[tokio::test]
async fn an_encoding_that_is_not_accepted_is_unimplemented_and_names_those_that_are() {
    let receiver = Receiver::builder()
        .with_accepted_encodings([ContentEncoding::Gzip])
        .spawn()
        .unwrap();
    let mut client = grpc_client(&receiver).await.send_compressed(CompressionEncoding::Zstd);
    let status = client.export(request(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "gzip");
    assert_eq!(receiver.requests()[0].answer, Answer::Grpc(12));
    assert_eq!(receiver.span_count(), 0);

    receiver.set_accepted_encodings([ContentEncoding::Zstd]);
    client.export(request(1)).await.unwrap();
}

#[tokio::test]
async fn a_script_is_played_in_order_and_then_the_default() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([
        Reply::grpc_status(Code::ResourceExhausted, "50% full").with_retry_after(Duration::from_millis(1500)),
        Reply::grpc_status(Code::Unavailable, ""),
        Reply::partial_success(2, "too old"),
        Reply::http_status(403),
    ]);
    receiver.set_default(Reply::partial_success(0, "a warning"));
    let mut client = grpc_client(&receiver).await;
    let mut export = async || client.export(request(5)).await;

    let exhausted = export().await.unwrap_err();
    assert_eq!(
        (exhausted.code(), exhausted.message()),
        (Code::ResourceExhausted, "50% full")
    );
    let retry_info = exhausted.get_details_retry_info().unwrap();
    assert_eq!(retry_info.retry_delay, Some(Duration::from_millis(1500)));

    let unavailable = export().await.unwrap_err();
    assert_eq!(unavailable.code(), Code::Unavailable);
    assert!(unavailable.get_details_retry_info().is_none());

    let partial = export().await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (2, "too old"));

    assert_eq!(export().await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(receiver.script_len(), 0);
    let warning = export().await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(
        (warning.rejected_spans, warning.error_message.as_str()),
        (0, "a warning")
    );

    let counts = receiver.counts();
    assert_eq!(
        (counts.spans, counts.accepted_spans, counts.rejected_spans),
        (25, 3 + 5, 2)
    );
    let answers: Vec<_> = receiver.requests().iter().map(|request| request.answer).collect();
    assert_eq!(
        answers,
        [
            Answer::Grpc(8),
            Answer::Grpc(14),
            Answer::Accepted { rejected: 2 },
            Answer::Grpc(7),
            Answer::Accepted { rejected: 0 },
        ]
    );
    assert_eq!(receiver.spans().len(), 10);
}

#[tokio::test]
async fn retry_info_of_zero_is_there() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::unavailable().with_retry_after(Duration::ZERO)]);
    let status = grpc_client(&receiver).await.export(request(1)).await.unwrap_err();
    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay.unwrap_or_default(), Duration::ZERO);
}

#[tokio::test]
async fn every_status_arrives_as_it_was_scripted() {
    let receiver = Receiver::spawn().unwrap();
    let mut client = grpc_client(&receiver).await;
    for code in (1..=16).map(Code::from_i32) {
        receiver.script([Reply::grpc_status(code, "déjà vu\n")]);
        let status = client.export(request(1)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "déjà vu\n"));
    }
    assert_eq!(receiver.accepted_spans(), 0);
}

#[tokio::test]
async fn a_responder_answers_by_what_it_sees() {
    let receiver = Receiver::spawn().unwrap();
    receiver.set_responder(|request| match request.span_count {
        0..=10 => Reply::ok(),
        _ => Reply::http_status(413),
    });
    let mut client = grpc_client(&receiver).await;
    assert!(client.export(request(10)).await.is_ok());
    assert_eq!(
        client.export(request(11)).await.unwrap_err().code(),
        Code::ResourceExhausted
    );
    receiver.set_default(Reply::ok());
    assert!(client.export(request(11)).await.is_ok());
}

#[tokio::test]
async fn a_gate_holds_the_answer_back_while_others_pass() {
    let receiver = Receiver::spawn().unwrap();
    let gate = Gate::new();
    receiver.script([Reply::ok().gated(&gate)]);
    let mut client = grpc_client(&receiver).await;
    let held = tokio::spawn({
        let mut client = client.clone();
        async move { client.export(request(1)).await }
    });
    patiently(receiver.reached(|counts| counts.requests == 1)).await;
    client.export(request(2)).await.unwrap();
    assert_eq!((receiver.accepted_spans(), receiver.counts().in_flight), (2, 1));
    assert_eq!(receiver.requests()[0].answer, Answer::Pending);
    assert_eq!(receiver.max_in_flight(), 2);

    gate.open();
    patiently(held).await.unwrap().unwrap();
    assert_eq!(receiver.accepted_spans(), 3);
}

#[tokio::test]
async fn a_client_that_gives_up_is_recorded_and_its_spans_are_not_accepted() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::hang()]);
    let mut client = grpc_client(&receiver).await;
    let mut hanging = Box::pin(client.export(request(4)));
    tokio::select! {
        answer = &mut hanging => panic!("{answer:?}"),
        () = patiently(receiver.reached(|counts| counts.requests == 1)) => {}
    }
    drop(hanging);
    patiently(receiver.reached(|counts| counts.answered == 1)).await;
    assert_eq!(receiver.requests()[0].answer, Answer::Cancelled);
    let counts = receiver.counts();
    assert_eq!((counts.spans, counts.accepted_spans, counts.in_flight), (4, 0, 0));
}

#[tokio::test]
async fn a_reset_ends_one_stream_and_an_abort_the_connection() {
    let receiver = Receiver::spawn().unwrap();
    let mut client = grpc_client(&receiver).await;
    receiver.script([
        Reply::reset(),
        Reply::reset_with(h2::Reason::CANCEL.into()),
        Reply::ok(),
    ]);
    // The status itself is UNKNOWN: without its server half tonic does not translate the reason of a reset.
    for reason in [h2::Reason::REFUSED_STREAM, h2::Reason::CANCEL] {
        let status = client.export(request(1)).await.unwrap_err();
        assert_eq!(reset_reason(&status), Some(reason), "{status:?}");
    }
    client.export(request(1)).await.unwrap();
    assert_eq!(receiver.counts().connections, 1);

    receiver.script([Reply::abort()]);
    assert!(client.export(request(1)).await.is_err());
    client.export(request(1)).await.unwrap();
    assert_eq!(receiver.counts().connections, 2);
    let answers: Vec<_> = receiver.requests().iter().map(|request| request.answer).collect();
    let ok = Answer::Accepted { rejected: 0 };
    assert_eq!(answers, [Answer::Reset, Answer::Reset, ok, Answer::Aborted, ok]);
    let peers: Vec<_> = receiver.requests().iter().map(|request| request.peer).collect();
    assert!(peers[0] == peers[3] && peers[3] != peers[4], "{peers:?}");
}

#[tokio::test]
async fn a_proxy_answers_without_grpc() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::proxy_status(503)]);
    let status = grpc_client(&receiver).await.export(request(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.metadata().get("grpc-status").is_none());
    assert_eq!(receiver.requests()[0].answer, Answer::Http(503));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_in_either_dialect() {
    for (dialect, code, text) in [
        (
            Dialect::Collector,
            Code::ResourceExhausted,
            "grpc: received message larger than max (",
        ),
        (
            Dialect::Rotel,
            Code::OutOfRange,
            "Error, decoded message length too large: found ",
        ),
    ] {
        let receiver = Receiver::builder()
            .with_max_request_bytes(1000)
            .with_dialect(dialect)
            .spawn()
            .unwrap();
        let mut client = grpc_client(&receiver).await;
        let mut compressing = client.clone().send_compressed(CompressionEncoding::Gzip);
        for status in [
            client.export(request(100)).await.unwrap_err(),
            compressing.export(request(100)).await.unwrap_err(),
        ] {
            assert_eq!(status.code(), code);
            assert!(status.message().starts_with(text), "{}", status.message());
        }
        assert!(client.export(request(10)).await.is_ok());
        assert_eq!((receiver.span_count(), receiver.counts().requests), (10, 3));
    }
}

#[tokio::test]
async fn what_is_not_one_whole_message_is_an_invalid_argument() {
    let receiver = Receiver::spawn().unwrap();
    let framed = |flags: u8, len: u32, message: &[u8]| [&[flags], &len.to_be_bytes()[..], message].concat();
    let message = encoded(1);
    let len = message.len() as u32;
    let export = async |body: Vec<u8>| {
        let mut request = post("/opentelemetry.proto.collector.trace.v1.TraceService/Export", body);
        let grpc = "application/grpc".parse().unwrap();
        request.headers_mut().insert("content-type", grpc);
        http2_at(receiver.grpc_address(), request).await.unwrap()
    };
    for (what, body) in [
        ("nothing", Vec::new()),
        ("half a prefix", vec![0, 0, 0]),
        ("less than announced", framed(0, len + 1, &message)),
        ("more than announced", framed(0, len - 1, &message)),
        ("compressed by nobody knows what", framed(1, len, &message)),
        ("an unknown flag", framed(2, len, &message)),
        ("no protobuf", framed(0, 4, b"\xff\xff\xff\xff")),
    ] {
        assert_eq!(export(body).await.header("grpc-status"), "3", "{what}");
    }
    assert_eq!((receiver.counts().requests, receiver.span_count()), (7, 0));
    export(framed(0, len, &message)).await;
    assert_eq!(receiver.accepted_spans(), 1);
}

#[tokio::test]
async fn the_grpc_port_speaks_nothing_but_grpc() {
    let receiver = Receiver::spawn().unwrap();
    let export = || post("/v1/traces", encoded(1));
    assert!(http1_at(receiver.grpc_address(), export()).await.is_err());
    let answer = http2_at(receiver.grpc_address(), export()).await.unwrap();
    assert_eq!((answer.status, receiver.counts().requests), (415, 0));
}

#[tokio::test]
async fn health_is_what_it_was_set_to() {
    let receiver = Receiver::spawn().unwrap();
    let channel = tonic::transport::Endpoint::new(receiver.grpc_endpoint())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let check = async || -> Result<Vec<u8>, Status> {
        let path = ::http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let answer: tonic::Response<Raw> = grpc.unary(Request::new(Raw::default()), path, RawCodec).await?;
        Ok(answer.into_inner().0)
    };
    assert_eq!(check().await.unwrap_err().code(), Code::Unimplemented);
    receiver.set_health(Health::Serving);
    assert_eq!(check().await.unwrap(), [0x08, 1]);
    receiver.set_health(Health::NotServing);
    assert_eq!(check().await.unwrap(), [0x08, 2]);
    assert_eq!((receiver.counts().health_checks, receiver.counts().requests), (3, 0));
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let receiver = Receiver::spawn().unwrap();
    let channel = tonic::transport::Endpoint::new(receiver.grpc_endpoint())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let origin = ::http::Uri::from_static("http://localhost/prefix");
    let mut client = TraceServiceClient::with_origin(channel, origin);
    assert_eq!(client.export(request(1)).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn after_an_outage_the_same_address_answers_again() {
    let receiver = Receiver::spawn().unwrap();
    let mut client = grpc_client(&receiver).await;
    client.export(request(1)).await.unwrap();

    receiver.stop_listening().unwrap();
    for address in [receiver.grpc_address(), receiver.http_address()] {
        let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    assert_eq!(client.export(request(1)).await.unwrap_err().code(), Code::Unavailable);

    receiver.resume_listening().unwrap();
    client.export(request(1)).await.unwrap();
    assert_eq!(receiver.accepted_spans(), 2);
}

#[tokio::test]
async fn an_outage_aborts_requests_on_the_way() {
    let receiver = Receiver::spawn().unwrap();
    receiver.set_default(Reply::hang());
    let mut client = grpc_client(&receiver).await;
    let hanging = tokio::spawn(async move { client.export(request(1)).await });
    patiently(receiver.reached(|counts| counts.requests == 1)).await;
    receiver.stop_listening().unwrap();
    assert!(patiently(hanging).await.unwrap().is_err());
    patiently(receiver.reached(|counts| counts.in_flight == 0)).await;
    assert_eq!(receiver.requests()[0].answer, Answer::Cancelled);
}

#[tokio::test]
async fn a_connection_told_to_go_away_finishes_what_it_began() {
    let receiver = Receiver::spawn().unwrap();
    let gate = Gate::new();
    receiver.script([Reply::ok().gated(&gate)]);
    let mut client = grpc_client(&receiver).await;
    let held = tokio::spawn({
        let mut client = client.clone();
        async move { client.export(request(1)).await }
    });
    patiently(receiver.reached(|counts| counts.requests == 1)).await;
    receiver.go_away().unwrap();
    gate.open();
    patiently(held).await.unwrap().unwrap();
    client.export(request(1)).await.unwrap();
    assert_eq!((receiver.counts().connections, receiver.accepted_spans()), (2, 2));
}

fn reset_reason(error: &(dyn std::error::Error + 'static)) -> Option<h2::Reason> {
    match error.downcast_ref::<h2::Error>() {
        Some(error) => error.reason(),
        None => reset_reason(error.source()?),
    }
}

/// A message that is not looked into.
#[derive(Debug, Default)]
struct Raw(Vec<u8>);

#[derive(Debug, Default)]
struct RawCodec;

impl tonic::codec::Codec for RawCodec {
    type Encode = Raw;
    type Decode = Raw;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for RawCodec {
    type Item = Raw;
    type Error = Status;

    fn encode(&mut self, raw: Raw, out: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(out, &raw.0);
        Ok(())
    }
}

impl tonic::codec::Decoder for RawCodec {
    type Item = Raw;
    type Error = Status;

    fn decode(&mut self, input: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Raw>, Status> {
        use bytes::Buf;
        let mut raw = vec![0; input.remaining()];
        input.copy_to_slice(&mut raw);
        Ok(Some(Raw(raw)))
    }
}
