//! The receiver as a plain HTTP client sees it.

use std::io::{Read, Write};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use spanwright_core::ContentEncoding;
use spanwright_testing::{Answer, Dialect, Gate, Mode, Protocol, Receiver, Reply};

use crate::support::{PATIENCE, encoded, http1, http2, post, request};

#[tokio::test]
async fn keeps_what_was_exported_over_either_version() {
    let receiver = Receiver::spawn().unwrap();
    let first = http1(&receiver, post("/v1/traces", encoded(3))).await.unwrap();
    let second = http2(&receiver, post("/v1/traces", encoded(4))).await.unwrap();
    for answer in [first, second] {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/x-protobuf")
        );
        assert!(answer.body.is_empty());
    }
    assert!(receiver.wait_for_requests(2, PATIENCE));
    let requests = receiver.requests();
    assert_eq!(requests[1].message.as_deref(), Some(&request(4)));
    assert_eq!(
        (requests[0].protocol, requests[0].path.as_str()),
        (Protocol::Http, "/v1/traces")
    );
    assert_eq!(requests[0].compressed_len, encoded(3).len());
    assert_eq!(receiver.accepted_spans(), 7);
}

#[tokio::test]
async fn understands_both_compressions() {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn().unwrap();
    for (name, body) in [("gzip", gzip(&encoded(50))), ("zstd", zstd(&encoded(50)))] {
        let mut message = post("/v1/traces", body);
        message.headers_mut().insert("content-encoding", name.parse().unwrap());
        assert_eq!(http1(&receiver, message).await.unwrap().status, 200, "{name}");
    }
    assert_eq!(receiver.accepted_spans(), 100);
    let counts = receiver.counts();
    assert_eq!(counts.decoded_bytes, 2 * encoded(50).len() as u64);
    assert!(counts.compressed_bytes < counts.decoded_bytes);
}

#[tokio::test]
async fn an_encoding_that_is_not_accepted_is_refused_in_either_dialect() {
    for (dialect, status, accepts) in [(Dialect::Collector, 415, "gzip"), (Dialect::Rotel, 400, "")] {
        let receiver = Receiver::builder()
            .with_dialect(dialect)
            .with_accepted_encodings([ContentEncoding::Gzip])
            .spawn()
            .unwrap();
        let mut message = post("/v1/traces", zstd(&encoded(1)));
        message
            .headers_mut()
            .insert("content-encoding", "zstd".parse().unwrap());
        let answer = http1(&receiver, message).await.unwrap();
        assert_eq!((answer.status, answer.header("accept-encoding")), (status, accepts));
        assert_eq!(answer.body.is_empty(), dialect == Dialect::Rotel);
        assert_eq!(receiver.requests()[0].encoding, "zstd");
    }
}

#[tokio::test]
async fn a_script_is_played_over_http_as_over_grpc() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([
        Reply::grpc_status(14, "later").with_retry_after(Duration::from_millis(1001)),
        Reply::http_status(429)
            .with_retry_after_text("Wed, 21 Oct 2026 07:28:00 GMT")
            .with_body("slow down"),
        Reply::partial_success(2, "too old"),
        Reply::ok().with_body([0xff; 3].as_slice()),
    ]);
    let export = async || http1(&receiver, post("/v1/traces", encoded(5))).await.unwrap();

    let unavailable = export().await;
    assert_eq!((unavailable.status, unavailable.header("retry-after")), (503, "2"));
    let status = tonic_types::Status::decode(unavailable.body).unwrap();
    assert_eq!((status.code, status.message.as_str()), (14, "later"));
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");

    let throttled = export().await;
    assert_eq!(
        (throttled.status, throttled.header("retry-after")),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT")
    );
    assert_eq!(throttled.body, "slow down");

    let partial = ExportTraceServiceResponse::decode(export().await.body).unwrap();
    assert_eq!(partial.partial_success.unwrap().rejected_spans, 2);
    assert_eq!(export().await.body, [0xff; 3].as_slice());

    assert_eq!(receiver.accepted_spans(), 3 + 5);
    assert_eq!(receiver.requests()[1].answer, Answer::Http(429));
}

#[tokio::test]
async fn a_reset_breaks_the_connection() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::reset(), Reply::abort(), Reply::reset()]);
    assert!(http1(&receiver, post("/v1/traces", encoded(1))).await.is_err());
    assert!(http1(&receiver, post("/v1/traces", encoded(1))).await.is_err());
    assert!(http2(&receiver, post("/v1/traces", encoded(1))).await.is_err());
    assert_eq!(receiver.accepted_spans(), 0);
    assert_eq!(receiver.counts().answered, 3);
}

#[tokio::test]
async fn what_is_no_export_is_told_so() {
    let receiver = Receiver::builder()
        .with_http_path("/custom")
        .with_max_request_bytes(200)
        .spawn()
        .unwrap();
    let status = async |request| http1(&receiver, request).await.unwrap().status;

    assert_eq!(status(post("/v1/traces", encoded(1))).await, 404);
    let mut get = post("/custom", "");
    *get.method_mut() = ::http::Method::GET;
    assert_eq!(status(get).await, 405);
    let mut json = post("/custom", "{}");
    json.headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    assert_eq!(status(json).await, 415);
    assert_eq!(receiver.counts().requests, 0);

    assert_eq!(status(post("/custom", "garbage")).await, 400);
    assert_eq!(status(post("/custom", encoded(100))).await, 413);
    let mut bomb = post("/custom", gzip(&vec![0; 1 << 20])[..].to_vec());
    bomb.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(status(bomb).await, 413);
    let mut broken = post("/custom", "not gzip");
    broken.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(status(broken).await, 400);
    assert_eq!((receiver.counts().requests, receiver.span_count()), (4, 0));
    assert_eq!(status(post("/custom", encoded(1))).await, 200);
}

#[tokio::test]
async fn counts_can_be_asked_for_over_http() {
    let receiver = Receiver::spawn().unwrap();
    http1(&receiver, post("/v1/traces", encoded(9))).await.unwrap();
    let mut get = post("/stats", "");
    *get.method_mut() = ::http::Method::GET;
    let stats = http1(&receiver, get).await.unwrap();
    assert_eq!((stats.status, stats.header("content-type")), (200, "application/json"));
    let json = std::str::from_utf8(&stats.body).unwrap();
    assert!(json.contains("\"accepted_spans\":9,"), "{json}");
    assert_eq!(json.matches('"').count(), 2 * json.matches(':').count(), "{json}");
}

#[test]
fn a_client_that_hangs_up_is_recorded() {
    let receiver = Receiver::spawn().unwrap();
    receiver.script([Reply::hang()]);
    let mut stream = std::net::TcpStream::connect(receiver.http_address()).unwrap();
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert!(receiver.wait_for_requests(1, PATIENCE));
    assert_eq!(receiver.requests()[0].answer, Answer::Pending);
    drop(stream);
    assert!(receiver.wait_until(PATIENCE, |counts| counts.answered == 1));
    assert_eq!(receiver.requests()[0].answer, Answer::Cancelled);
}

#[tokio::test]
async fn garbage_is_refused_and_the_receiver_goes_on() {
    for mode in [Mode::Keep, Mode::Count] {
        let receiver = Receiver::builder().with_mode(mode).spawn().unwrap();
        for address in [receiver.grpc_address(), receiver.http_address()] {
            for garbage in [
                "",
                "\0",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u{1}\u{2}\u{3}",
                "POST\r\n\r\n",
            ] {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.write_all(garbage.as_bytes()).unwrap();
            }
        }
        let whole = encoded(2);
        for (index, bit) in (0..whole.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut damaged = whole.to_vec();
            damaged[index] ^= 1 << bit;
            if index % 7 == 0 {
                let status = http1(&receiver, post("/v1/traces", damaged)).await.unwrap().status;
                assert!(
                    status == 200 || status == 400,
                    "{status} after bit {bit} of byte {index}"
                );
            }
        }
        let before = receiver.accepted_spans();
        let status = http2(&receiver, post("/v1/traces", whole)).await.unwrap().status;
        assert_eq!((status, receiver.accepted_spans() - before), (200, 2));
    }
}

/// A blocking client on a thread without any runtime.
#[test]
fn no_runtime_is_needed_to_use_it() {
    let receiver = Receiver::spawn().unwrap();
    let gate = Gate::new();
    receiver.script([Reply::ok().gated(&gate)]);
    let mut stream = std::net::TcpStream::connect(receiver.http_address()).unwrap();
    let body = encoded(2);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    assert!(receiver.wait_for_requests(1, PATIENCE));
    assert!(!receiver.wait_for_spans(2, Duration::ZERO));
    gate.open();
    assert!(receiver.wait_for_spans(2, PATIENCE));
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(receiver);
    assert_eq!(stream.read_to_end(&mut Vec::new()).map(|_| ()).ok(), Some(()));
    assert!(std::net::TcpStream::connect(stream.peer_addr().unwrap()).is_err());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 0).unwrap()
}
