//! To decide by a strategy from a server allocates nothing, and neither does a name that was met before.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, TraceId};
use spanwright_sampling::{JaegerRemoteSampler, Outcome, Sampler, StartingSpan, XRaySampler};
use spanwright_testing::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

const STRATEGIES: [&str; 3] = [
    r#"{"probabilisticSampling":{"samplingRate":0.5}}"#,
    r#"{"rateLimitingSampling":{"maxTracesPerSecond":10}}"#,
    r#"{"operationSampling":{"defaultSamplingProbability":0,"defaultLowerBoundTracesPerSecond":0.0166,
        "perOperationStrategies":[{"operation":"/x","probabilisticSampling":{"samplingRate":0.5}}]}}"#,
];

/// Of X-Ray: one that asks for all that can be asked for, and one for everything.
const RULES: &str = r#"{"SamplingRuleRecords":[
    {"SamplingRule":{"RuleName":"api","Priority":1,"FixedRate":0.5,"ReservoirSize":5,"ServiceName":"M*","ServiceType":"*","Host":"*.org",
        "HTTPMethod":"get","URLPath":"/api/*/?","ResourceARN":"*","Version":1,"Attributes":{"n":"4*"}}},
    {"SamplingRule":{"RuleName":"Default","Priority":10000,"FixedRate":0.05,"ReservoirSize":1,"Version":1}}]}"#;

/// Answers every request with this strategy.
fn serve(listener: &TcpListener, strategy: &str) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let (mut request, mut byte) = (Vec::new(), [0]);
        // A question for rules has an empty object behind its head.
        let ends: [&[u8]; 2] = [b"\r\n\r\n", b"\r\n\r\n{}"];
        let end = |request: &[u8]| ends[usize::from(request.starts_with(b"POST"))].to_vec();
        while !request.ends_with(&end(&request)) {
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        stream.write_all(format!("{head}{strategy}").as_bytes()).unwrap();
    }
}

#[test]
fn a_decision_by_any_strategy_allocates_nothing() {
    for strategy in STRATEGIES {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, strategy));
        let sampler = JaegerRemoteSampler::builder()
            .with_service_name("me")
            .with_endpoint(format!("http://{address}/sampling"))
            .spawn()
            .unwrap();
        sampler.poll_now().unwrap();
        // Of the smallest randomness there is, so that it is dropped: a kept span has a trace state to write.
        let decide = |name: &str| {
            let span = StartingSpan::new(None, TraceId::from(1_u128 << 100), name, &SpanKind::Server);
            sampler.sample(&span).outcome
        };
        // The first count of a thread finds it a row, a name that was never met is remembered, and the first span of an operation
        // is kept for the lower bound. Whoever ticks meanwhile may give it another one; so only drops are held against the law.
        (0..100).for_each(|_| _ = (decide("/x"), decide("/y")));
        let mut dropped = 0;
        for name in ["/x", "/y"].into_iter().cycle().take(1000) {
            let mut outcome = Outcome::RecordAndSample;
            let decision = allocations(|| outcome = decide(name));
            if outcome == Outcome::Drop {
                dropped += 1;
                assert_eq!(decision.count, 0, "{name} by {strategy}");
            }
        }
        assert!(dropped > 900, "{dropped} by {strategy}");
    }
}

#[test]
fn a_decision_by_rules_allocates_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(&listener, RULES));
    let sampler = XRaySampler::builder()
        .with_service_name("me")
        .with_endpoint(format!("http://{address}"))
        .spawn()
        .unwrap();
    sampler.poll_now().unwrap();
    let attributes = |path: &'static str| {
        let text = [
            ("http.request.method", "GET"),
            ("url.full", path),
            ("server.address", "a.ORG"),
        ];
        let mut attributes = text.map(|(key, value)| KeyValue::new(key, value)).to_vec();
        attributes.push(KeyValue::new("n", 42));
        attributes
    };
    let spans = [attributes("http://a.org/api/v1/a?b"), attributes("http://a.org/")];
    let decide = |attributes: &[KeyValue]| {
        let span = StartingSpan::new(None, TraceId::from(1_u128 << 100), "/x", &SpanKind::Server);
        sampler.sample(&span.with_details(attributes, &[])).outcome
    };
    (0..100).for_each(|_| _ = (decide(&spans[0]), decide(&spans[1])));
    let mut dropped = 0;
    for span in spans.iter().cycle().take(1000) {
        let mut outcome = Outcome::RecordAndSample;
        let decision = allocations(|| outcome = decide(span));
        if outcome == Outcome::Drop {
            dropped += 1;
            assert_eq!(decision.count, 0);
        }
    }
    assert!(dropped > 900, "{dropped}");
    let rules = sampler.stats().decisions.rules;
    let [api, default, _] = &rules[..] else {
        panic!("{rules:?}")
    };
    assert_eq!((api.kept + api.dropped, default.kept + default.dropped), (600, 600));
}
