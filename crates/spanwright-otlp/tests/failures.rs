//! A receiver that does not answer.
#![cfg(all(feature = "grpc", feature = "http"))]

mod support;

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use spanwright_core::{ErrorKind, ExportError};
use spanwright_otlp::Protocol;
use spanwright_otlp::defaults::{KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT};
use spanwright_testing::{FaultProxy, Receiver, Reply};
use support::{Exporter, PROTOCOLS, Settings, batch};

/// Polls `future` until `event` has happened; the future must not end before.
async fn until<F: Future>(mut future: std::pin::Pin<&mut F>, event: impl Future<Output = ()>) {
    let mut event = pin!(event);
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        event.as_mut().poll(cx)
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_after_the_timeout() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.set_default(Reply::hang());
        let settings = Settings {
            // Before the first ping of the connection, whose answer would not be waited for.
            timeout: Some(Duration::from_secs(25)),
            ..Settings::default()
        };
        let mut exporter = Exporter::to(&receiver, protocol, settings);
        let batch = batch(1);
        {
            let mut export = pin!(exporter.export(&batch));
            until(export.as_mut(), receiver.reached(|counts| counts.requests == 1)).await;
            // With nothing to do but wait, a paused clock goes on to what is waited for.
            tokio::time::pause();
            let error = export.await.unwrap_err();
            tokio::time::resume();
            let got = (error.kind(), error.error_type(), error.message());
            assert_eq!(
                got,
                (ErrorKind::Retryable, "timeout", "no answer within 25s"),
                "{protocol}"
            );
        }
        // The receiver sees it end, and the connection does for others.
        receiver.reached(|counts| counts.in_flight == 0).await;
        receiver.set_default(Reply::ok());
        exporter.export(&batch).await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_export_is_cancelled_at_the_receiver() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.set_default(Reply::hang());
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        let batch = batch(1);
        {
            let mut export = pin!(exporter.export(&batch));
            until(export.as_mut(), receiver.reached(|counts| counts.requests == 1)).await;
        }
        receiver.reached(|counts| counts.in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_error_until_the_receiver_is_back() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        receiver.stop_listening().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        for _ in 0..3 {
            let error = exporter.export(&batch(1)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.error_type()),
                (ErrorKind::Connect, "connect"),
                "{protocol} {error}"
            );
            assert!(error.message().contains("refused"), "{error}");
            assert!(error.source().is_some());
        }
        receiver.resume_listening().unwrap();
        exporter.export(&batch(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_connect_error() {
    for protocol in PROTOCOLS {
        let endpoint = "http://no-such-host.invalid:4317".into();
        let mut exporter = Exporter::build(protocol, endpoint, Settings::default()).unwrap();
        let error = exporter.export(&batch(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{protocol} {error}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_retryable() {
    for protocol in PROTOCOLS {
        for reply in [
            Reply::reset(),
            Reply::reset_with(8),
            Reply::reset_with(0),
            Reply::abort(),
        ] {
            let receiver = Receiver::spawn().unwrap();
            receiver.script([reply.clone()]);
            let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
            let error: ExportError = exporter.export(&batch(1)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.error_type()),
                (ErrorKind::Retryable, "transport"),
                "{reply:?} {error}"
            );
            exporter.export(&batch(1)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_ended_gracefully_costs_no_request() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::spawn().unwrap();
        let mut exporter = Exporter::to(&receiver, protocol, Settings::default());
        exporter.export(&batch(1)).await.unwrap();
        let batch = batch(1);
        let gate = spanwright_testing::Gate::new();
        receiver.script([Reply::ok().gated(&gate)]);
        {
            let mut export = pin!(exporter.export(&batch));
            until(export.as_mut(), receiver.reached(|counts| counts.requests == 2)).await;
            receiver.go_away().unwrap();
            gate.open();
            export.await.unwrap();
        }
        assert_eq!(receiver.counts().accepted_spans, 2, "{protocol}");
    }
}

#[tokio::test]
async fn grpc_to_a_server_that_speaks_only_http_1_fails_without_hanging() {
    let receiver = Receiver::spawn().unwrap();
    // The HTTP port takes HTTP/2 as well, but serves another path there.
    let mut exporter = Exporter::build(Protocol::Grpc, receiver.http_endpoint(), Settings::default()).unwrap();
    let error = exporter.export(&batch(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.error_type()),
        (ErrorKind::Permanent, "UNIMPLEMENTED"),
        "{error}"
    );
}

#[tokio::test]
async fn polling_twice_is_not_needed_for_the_request_to_be_under_way() {
    // One poll hands the request over; what drives the connection is a task of the runtime.
    let receiver = Receiver::spawn().unwrap();
    let mut exporter = Exporter::to(&receiver, Protocol::Grpc, Settings::default());
    exporter.export(&batch(1)).await.unwrap();
    let batch = batch(1);
    let mut export = pin!(exporter.export(&batch));
    poll_fn(|cx| {
        assert!(export.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    receiver.reached(|counts| counts.requests == 2).await;
    export.await.unwrap();
}

#[tokio::test]
async fn a_route_that_is_lost_while_idle_is_found_by_pings_before_the_next_request() {
    let receiver = Receiver::spawn().unwrap();
    let proxy = FaultProxy::spawn(receiver.grpc_address()).unwrap();
    let mut exporter = Exporter::build(Protocol::Grpc, proxy.endpoint(), Settings::default()).unwrap();
    exporter.export(&batch(1)).await.unwrap();
    proxy.black_hole();
    // Second by second, so that the connection sees the ping fall due and then the wait for its answer end. Twice the time, for
    // each of the two begins with a step of its own.
    tokio::time::pause();
    for _ in 0..2 * (KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT).as_secs() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    proxy.forward().unwrap();
    exporter.export(&batch(1)).await.unwrap();
    assert_eq!((proxy.counts().connections, receiver.accepted_spans()), (2, 2));
}
