//! A sampler and a server of strategies, over real sockets.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod jaeger;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::{Span, SpanKind, Tracer, TracerProvider};
use opentelemetry::{Context, TraceId};
use opentelemetry_sdk::trace::SdkTracerProvider;
use proptest::prelude::{any, proptest};
use spanwright_core::{Event, Observer};
use spanwright_sampling::{
    AlwaysOn, JaegerProtocol, JaegerRemoteSampler, JaegerRemoteSamplerBuilder, Outcome, RemoteErrorKind, Sampler,
    StartingSpan,
};
use spanwright_testing::{Direction, FaultProxy};

use jaeger::messages::{Operation, PerOperation, Probabilistic, RateLimiting, Response};
use jaeger::server::{JaegerServer, Reply};

/// More than anything takes. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

const HALF: &str = r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5}}"#;

fn half() -> Response {
    Response {
        probabilistic: Some(Probabilistic { sampling_rate: 0.5 }),
        ..Response::default()
    }
}

/// Says what it hears, and at last that it hears no more.
struct Ear(Sender<String>);

impl Ear {
    fn new() -> (Arc<Self>, Receiver<String>) {
        let (sender, receiver) = channel();
        (Arc::new(Self(sender)), receiver)
    }
}

impl Observer for Ear {
    fn event(&self, event: &Event<'_>) {
        let _ = self.0.send(match event {
            Event::SamplingStrategyApplied { generation, strategy } => format!("applied {generation}: {strategy}"),
            Event::SamplingStrategyFailed { .. } => "failed".to_owned(),
            Event::SamplingStrategyRecovered { .. } => "recovered".to_owned(),
            other => format!("{other:?}"),
        });
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.0.send("ended".to_owned());
    }
}

trait Hears {
    fn next(&self) -> String;
}

impl Hears for Receiver<String> {
    fn next(&self) -> String {
        self.recv_timeout(PATIENCE).expect("it is told")
    }
}

/// Asks once by itself, and then when it is told to.
fn builder(protocol: JaegerProtocol, address: SocketAddr) -> JaegerRemoteSamplerBuilder {
    JaegerRemoteSampler::builder()
        .with_service_name("my service")
        .with_protocol(protocol)
        .with_endpoint(format!("http://{address}"))
        .with_polling_interval(NEVER)
        .with_initial_ratio(1.0)
}

/// The outcome for a root that is kept by probabilities of `1 - randomness / 2^56` and more.
fn outcome(sampler: &impl Sampler, name: &str, randomness: u64) -> Outcome {
    let trace_id = TraceId::from(1_u128 << 100 | u128::from(randomness));
    sampler
        .sample(&StartingSpan::new(None, trace_id, name, &SpanKind::Server))
        .outcome
}

/// The probability of a root of this name, to three digits.
fn share(sampler: &impl Sampler, name: &str) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..20 {
        let middle = f64::midpoint(low, high);
        // Of this randomness is what is kept by `middle` and not by less.
        let randomness = ((1.0 - middle) * 2.0_f64.powi(56)) as u64;
        match outcome(sampler, name, randomness) {
            Outcome::RecordAndSample => low = middle,
            _ => high = middle,
        }
    }
    (high * 1000.0).round() / 1000.0
}

fn rows() -> [(String, Response, &'static str); 3] {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sampling.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(vectors).unwrap()).unwrap();
    let row = |index: usize| vectors["M_jaeger_wire"]["rows"][index].to_string();
    let limited = Response {
        strategy_type: 1,
        rate_limiting: Some(RateLimiting {
            max_traces_per_second: 10,
        }),
        ..Response::default()
    };
    let by_operation = Response {
        operations: Some(PerOperation {
            default_probability: 0.001,
            lower_bound: 0.0166,
            strategies: vec![Operation {
                operation: "/x".to_owned(),
                probabilistic: Some(Probabilistic { sampling_rate: 1.0 }),
            }],
            upper_bound: 0.0,
        }),
        ..Response::default()
    };
    let words = "a share for each of 1 operations, 0.001 of others, and at least 0.0166 traces/s of each";
    [
        (row(0), half(), "a share of 0.5"),
        (row(1), limited, "10 traces/s"),
        (row(2), by_operation, words),
    ]
}

#[test]
fn each_row_of_the_wire_is_applied_by_the_first_poll_over_either_protocol() {
    for (json, message, words) in rows() {
        for protocol in [JaegerProtocol::Http, JaegerProtocol::Grpc] {
            let reply = match protocol {
                JaegerProtocol::Http => Reply::Json(json.clone()),
                _ => Reply::Grpc(Ok(message.clone())),
            };
            let server = JaegerServer::spawn(reply);
            let address = if protocol == JaegerProtocol::Http {
                server.http
            } else {
                server.grpc
            };
            let (ear, heard) = Ear::new();
            let sampler = builder(protocol, address).with_observer(ear).spawn().unwrap();
            assert_eq!(heard.next(), format!("applied 1: {words}"));
            let stats = sampler.stats();
            assert_eq!((stats.polls, stats.failures, stats.generation), (1, 0, 1));
            assert_eq!((stats.strategy.as_str(), stats.last_error), (words, None));
            assert!(stats.last_success_age.is_some());
            match words {
                "a share of 0.5" => assert_eq!((share(&sampler, "/x"), share(&sampler, "/y")), (0.5, 0.5)),
                "10 traces/s" => {}
                _ => assert_eq!(outcome(&sampler, "/x", 0), Outcome::RecordAndSample),
            }
            let asked = match protocol {
                JaegerProtocol::Http => "/sampling?service=my%20service",
                _ => "/jaeger.api_v2.SamplingManager/GetSamplingStrategy my service",
            };
            assert_eq!(server.requests(), [asked]);
        }
    }
}

#[test]
fn what_cannot_be_used_leaves_the_old_one_and_is_counted_and_told_once() {
    let json = |text: &str| Reply::Json(text.to_owned());
    let http = |status, content_type| Reply::Http(status, content_type, HALF.to_owned());
    let (refused, unusable) = (RemoteErrorKind::Refused, RemoteErrorKind::UnusableStrategy);
    let server = JaegerServer::spawn(json(HALF));
    let (ear, heard) = Ear::new();
    let sampler = builder(JaegerProtocol::Http, server.http)
        .with_observer(ear)
        .spawn()
        .unwrap();
    assert_eq!(heard.next(), "applied 1: a share of 0.5");
    let replies = [
        (json("{"), unusable, "`answer` cannot be `{`; accepted: JSON"),
        (json(""), unusable, "accepted: JSON"),
        (
            json(r#"{"strategyType":"TAIL"}"#),
            unusable,
            "`strategyType` cannot be `\"TAIL\"`",
        ),
        (
            json(r#"{"probabilisticSampling":{"samplingRate":"NaN"}}"#),
            unusable,
            "samplingRate` cannot be `NaN`",
        ),
        (
            json(r#"{"rateLimitingSampling":{"maxTracesPerSecond":-1}}"#),
            unusable,
            "maxTracesPerSecond` cannot be `-1`",
        ),
        (http(500, "application/json"), refused, "500 Internal Server Error"),
        (http(404, "text/plain"), refused, "404 Not Found"),
        (http(200, "text/html"), refused, "`text/html`"),
        (Reply::Endless, refused, "more than 1048576 bytes"),
        (
            json(&format!("{HALF}{}", " ".repeat(1 << 20))),
            refused,
            "more than 1048576 bytes",
        ),
    ];
    let count = replies.len() as u64;
    for (reply, kind, said) in replies {
        server.answers(reply);
        let error = sampler.poll_now().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let stats = sampler.stats();
        assert_eq!(stats.last_error, Some(error.to_string()));
        assert_eq!((stats.generation, share(&sampler, "/x")), (1, 0.5));
    }
    let stats = sampler.stats();
    assert_eq!((stats.polls, stats.failures), (1 + count, count));

    server.answers(json(&HALF.replace("0.5", "0.25")));
    sampler.poll_now().unwrap();
    assert_eq!(share(&sampler, "/x"), 0.25);
    assert_eq!(
        (heard.next(), heard.next()),
        ("failed".to_owned(), "recovered".to_owned())
    );
    assert_eq!(heard.next(), "applied 2: a share of 0.25");
}

#[test]
fn grpc_answers_that_cannot_be_used_leave_the_old_one_too() {
    let reply = |response: Response| Reply::Grpc(Ok(response));
    let status = |status: tonic::Status| Reply::Grpc(Err(status));
    let server = JaegerServer::spawn(reply(half()));
    let (ear, heard) = Ear::new();
    let sampler = builder(JaegerProtocol::Grpc, server.grpc)
        .with_observer(ear)
        .spawn()
        .unwrap();
    assert_eq!(heard.next(), "applied 1: a share of 0.5");
    let nan = Response {
        probabilistic: Some(Probabilistic {
            sampling_rate: f64::NAN,
        }),
        ..Response::default()
    };
    let huge = Response {
        operations: Some(PerOperation {
            strategies: vec![
                Operation {
                    operation: "o".repeat(1000),
                    probabilistic: Some(Probabilistic { sampling_rate: 1.0 }),
                };
                2000
            ],
            ..PerOperation::default()
        }),
        ..Response::default()
    };
    let (refused, unusable) = (RemoteErrorKind::Refused, RemoteErrorKind::UnusableStrategy);
    for (reply, kind, said) in [
        (status(tonic::Status::unavailable("away")), refused, "status 14: away"),
        (status(tonic::Status::not_found("who")), refused, "status 5: who"),
        (
            reply(nan),
            unusable,
            "`probabilisticSampling.samplingRate` cannot be `NaN`",
        ),
        (
            reply(Response::default()),
            unusable,
            "`strategyType` cannot be `missing`",
        ),
        (reply(huge), refused, "more than 1048576 bytes"),
    ] {
        server.answers(reply);
        let error = sampler.poll_now().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!((sampler.stats().generation, share(&sampler, "/x")), (1, 0.5));
    }
}

#[test]
fn the_wrong_protocol_is_an_error_on_both_sides() {
    let server = JaegerServer::spawn(Reply::Json(HALF.to_owned()));
    for (protocol, address) in [(JaegerProtocol::Grpc, server.http), (JaegerProtocol::Http, server.grpc)] {
        let sampler = builder(protocol, address).spawn().unwrap();
        let error = sampler.poll_now().unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Unreachable, "{error}");
    }
}

#[test]
fn a_server_that_goes_and_comes_back_is_found_again() {
    for protocol in [JaegerProtocol::Http, JaegerProtocol::Grpc] {
        let is_http = protocol == JaegerProtocol::Http;
        let reply = if is_http {
            Reply::Json(HALF.to_owned())
        } else {
            Reply::Grpc(Ok(half()))
        };
        let server = JaegerServer::spawn(reply);
        let proxy = FaultProxy::spawn(if is_http { server.http } else { server.grpc }).unwrap();
        proxy.refuse().unwrap();
        let (ear, heard) = Ear::new();
        let sampler = builder(protocol, proxy.address())
            .with_observer(ear)
            .with_polling_interval(Duration::from_millis(2))
            .spawn()
            .unwrap();
        assert_eq!(heard.next(), "failed");
        assert_eq!(
            outcome(&sampler, "/x", 0),
            Outcome::RecordAndSample,
            "the initial ratio is 1"
        );
        proxy.forward().unwrap();
        // By itself: nobody asks for it.
        assert_eq!(
            (heard.next().as_str(), heard.next().as_str()),
            ("recovered", "applied 1: a share of 0.5")
        );

        // An answer that breaks off is none.
        proxy.cut_after(Direction::ToClient, 40);
        assert_eq!(heard.next(), "failed");
        assert_eq!(sampler.poll_now().unwrap_err().kind(), RemoteErrorKind::Unreachable);
        assert_eq!(share(&sampler, "/x"), 0.5);
        proxy.forward().unwrap();
        assert_eq!(heard.next(), "recovered");
    }
}

#[test]
fn a_server_that_hangs_is_given_up() {
    for protocol in [JaegerProtocol::Http, JaegerProtocol::Grpc] {
        let server = JaegerServer::spawn(Reply::Json(HALF.to_owned()));
        let proxy = FaultProxy::spawn(server.http).unwrap();
        proxy.black_hole();
        let sampler = builder(protocol, proxy.address())
            .with_timeout(Duration::from_millis(20))
            .spawn()
            .unwrap();
        let error = sampler.poll_now().unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::TimedOut);
        assert!(error.to_string().contains("within 20ms"), "{error}");
    }
}

#[test]
fn the_thread_ends_with_the_last_clone_also_in_the_middle_of_a_poll() {
    let server = JaegerServer::spawn(Reply::Json(HALF.to_owned()));
    let proxy = FaultProxy::spawn(server.http).unwrap();
    for hangs in [false, true] {
        if hangs {
            proxy.black_hole();
        }
        let (ear, heard) = Ear::new();
        let sampler = builder(JaegerProtocol::Http, proxy.address())
            .with_observer(ear)
            .with_timeout(NEVER)
            .spawn()
            .unwrap();
        if !hangs {
            assert_eq!(heard.next(), "applied 1: a share of 0.5");
        }
        let clone = sampler.clone();
        drop(sampler);
        assert_eq!(outcome(&clone, "/x", u64::MAX >> 8), Outcome::RecordAndSample);
        assert!(heard.try_recv().is_err(), "it still runs");
        drop(clone);
        // The observer goes with the last who holds it: the thread.
        assert_eq!(heard.next(), "ended");
    }
}

#[test]
fn after_a_shutdown_the_strategy_stays_and_nobody_asks() {
    let server = JaegerServer::spawn(Reply::Json(HALF.to_owned()));
    let sampler = builder(JaegerProtocol::Http, server.http).spawn().unwrap();
    sampler.poll_now().unwrap();
    let asked = server.requests().len();
    sampler.shutdown();
    sampler.clone().shutdown();
    assert_eq!(sampler.poll_now().unwrap_err().kind(), RemoteErrorKind::Stopped);
    assert_eq!((share(&sampler, "/x"), server.requests().len()), (0.5, asked));

    let proxy = FaultProxy::spawn(server.http).unwrap();
    proxy.black_hole();
    let sampler = builder(JaegerProtocol::Http, proxy.address())
        .with_timeout(NEVER)
        .spawn()
        .unwrap();
    let waiting = {
        let sampler = sampler.clone();
        thread::spawn(move || sampler.poll_now())
    };
    sampler.shutdown();
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), RemoteErrorKind::Stopped);
}

/// What happens on the thread that asks.
#[derive(Default)]
struct Inside {
    sampler: OnceLock<JaegerRemoteSampler>,
    seen: Mutex<Vec<String>>,
}

impl Observer for Inside {
    fn event(&self, _: &Event<'_>) {
        let Some(sampler) = self.sampler.get() else { return };
        let mut seen = self.seen.lock().unwrap();
        seen.push(format!("suppressed: {}", Context::is_current_telemetry_suppressed()));
        seen.push(format!("{:?}", outcome(sampler, "/x", u64::MAX >> 8)));
        seen.push(format!("{:?}", sampler.poll_now().map_err(|error| error.kind())));
        // It would wait for itself.
        sampler.shutdown();
        drop(seen);
        panic!("as observers may");
    }
}

#[test]
fn the_thread_makes_no_spans_and_survives_its_observer() {
    let server = JaegerServer::spawn(Reply::Json("{}".to_owned()));
    let inside = Arc::new(Inside::default());
    let sampler = builder(JaegerProtocol::Http, server.http)
        .with_observer(Arc::clone(&inside) as _)
        .spawn()
        .unwrap();
    assert!(sampler.poll_now().is_err(), "from now on it fails silently");
    inside.sampler.set(sampler.clone()).unwrap();
    server.answers(Reply::Json(HALF.to_owned()));
    sampler.poll_now().unwrap();
    assert_eq!(outcome(&sampler, "/x", u64::MAX >> 8), Outcome::RecordAndSample);
    // The answer to the wish comes after the observer.
    let seen = inside.seen.lock().unwrap();
    assert_eq!(seen[..3], ["suppressed: true", "Drop", "Err(Stopped)"]);
    assert!(sampler.stats().last_error.unwrap().contains("as observers may"));
}

#[test]
fn it_is_a_sampler_of_the_sdk() {
    let server = JaegerServer::spawn(Reply::Json(HALF.replace("0.5", "1")));
    let sampler = builder(JaegerProtocol::Http, server.http)
        .with_adjusted_count(true)
        .spawn()
        .unwrap();
    sampler.poll_now().unwrap();
    let provider = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
    let span = provider.tracer("test").start("/x");
    assert!(span.span_context().is_sampled());
    assert_eq!(span.span_context().trace_state().get("ot"), Some("th:0"));
    assert_eq!(sampler.stats().decisions.kept(), 1);
    assert!(
        sampler
            .description()
            .starts_with("JaegerRemoteSampler{ComposableParentThreshold{root=probability 1}")
    );
}

#[test]
fn settings_that_cannot_be_used_are_refused_by_name() {
    fn error(builder: JaegerRemoteSamplerBuilder) -> String {
        builder.spawn().map(|_| ()).unwrap_err().to_string()
    }
    let builder = || JaegerRemoteSampler::builder().with_service_name("me");
    for (builder, field) in [
        (JaegerRemoteSampler::builder(), "service_name"),
        (builder().with_endpoint("https://host:1"), "endpoint"),
        (
            builder()
                .with_endpoint("http://host:1/path")
                .with_protocol(JaegerProtocol::Grpc),
            "endpoint",
        ),
        (builder().with_polling_interval(Duration::ZERO), "polling_interval"),
        (builder().with_polling_interval(Duration::MAX), "polling_interval"),
        (builder().with_timeout(Duration::ZERO), "timeout"),
        (builder().with_initial_ratio(f64::NAN), "initial_ratio"),
        (builder().with_initial_ratio(1.5), "initial_ratio"),
    ] {
        let error = error(builder);
        assert!(error.starts_with(&format!("`{field}` cannot be")), "{error}");
    }
}

#[test]
fn an_initial_sampler_decides_before_the_first_answer() {
    let server = JaegerServer::spawn(Reply::Json("{}".to_owned()));
    let sampler = builder(JaegerProtocol::Http, server.http)
        .with_initial_sampler(AlwaysOn)
        .spawn()
        .unwrap();
    assert_eq!(outcome(&sampler, "/x", 0), Outcome::RecordAndSample);
    let span = StartingSpan::new(None, TraceId::from(7), "/x", &SpanKind::Server);
    assert!(sampler.explain(&span).concat().contains("no strategy has come yet"));
    assert!(sampler.stats().strategy.starts_with("none yet"));
}

/// A server that says these bytes to whoever connects.
fn says(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    address
}

fn survives(protocol: JaegerProtocol, bytes: Vec<u8>) {
    // hyper waits for an answer even where what came cannot become one.
    let is_http = protocol == JaegerProtocol::Http;
    let timeout = if is_http { PATIENCE } else { Duration::from_millis(10) };
    let sampler = builder(protocol, says(bytes)).with_timeout(timeout).spawn().unwrap();
    if let Err(error) = sampler.poll_now() {
        assert_ne!(error.kind(), RemoteErrorKind::Panicked, "{error}");
        assert!(!is_http || error.kind() != RemoteErrorKind::TimedOut, "{error}");
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_from_the_socket_are_no_strategy_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survives(JaegerProtocol::Http, bytes.clone());
        survives(JaegerProtocol::Grpc, bytes.clone());
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec();
        survives(JaegerProtocol::Http, [head, bytes.clone()].concat());
        // The server's settings, then whatever.
        survives(JaegerProtocol::Grpc, [b"\0\0\0\x04\0\0\0\0\0".to_vec(), bytes].concat());
    }
}
