//! A sampler and an X-Ray daemon, over real sockets.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod xray;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState, Tracer, TracerProvider};
use opentelemetry::{KeyValue, TraceId};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use spanwright_core::{Env, Event, Observer};
use spanwright_sampling::{
    ConfiguredSampler, Outcome, RemoteErrorKind, Sampler, SamplerConfig, StartingSpan, XRaySampler, XRaySamplerBuilder,
};

use xray::server::{Reply, XRayServer};

/// More than anything takes. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Says what it hears.
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
            Event::SamplingStrategyFailed { error } => format!("failed: {error}"),
            Event::SamplingStrategyRecovered { .. } => "recovered".to_owned(),
            other => format!("{other:?}"),
        });
    }
}

fn next(heard: &Receiver<String>) -> String {
    heard.recv_timeout(PATIENCE).expect("it is told")
}

/// Asks once by itself, and then when it is told to.
fn builder(server: &XRayServer) -> XRaySamplerBuilder {
    XRaySampler::builder()
        .with_service_name("checkout")
        .with_endpoint(format!("http://{}", server.address))
        .with_polling_interval(NEVER)
        .with_target_interval(NEVER)
}

fn rule(name: &str, priority: u32, fixed_rate: f64, path: &str) -> Value {
    json!({"ModifiedAt": 1.7e9, "SamplingRule": {"RuleName": name, "Priority": priority, "FixedRate": fixed_rate, "ReservoirSize": 0,
        "ServiceName": "*", "ServiceType": "*", "ResourceARN": "*", "Host": "*", "HTTPMethod": "*", "URLPath": path, "Version": 1,
        "Attributes": {}}})
}

fn rules(records: &[Value]) -> Reply {
    (200, json!({ "SamplingRuleRecords": records }).to_string())
}

fn targets(documents: &[Value], modified: f64) -> Reply {
    let answer =
        json!({"SamplingTargetDocuments": documents, "LastRuleModification": modified, "UnprocessedStatistics": []});
    (200, answer.to_string())
}

fn outcome(sampler: &impl Sampler, path: &'static str) -> Outcome {
    let attributes = [KeyValue::new("url.path", path)];
    let span = StartingSpan::new(None, TraceId::from(1), "/x", &SpanKind::Server);
    sampler.sample(&span.with_details(&attributes, &[])).outcome
}

const KEPT: Outcome = Outcome::RecordAndSample;

#[test]
fn rules_come_in_pages_and_what_they_count_is_reported() {
    let server = XRayServer::spawn();
    let first = json!({"SamplingRuleRecords": [rule("Default", 10_000, 0.0, "*")], "NextToken": "more"}).to_string();
    server.answers_rules([(200, first), rules(&[rule("api", 1, 1.0, "/api/*")])]);
    let (ear, heard) = Ear::new();
    let sampler = builder(&server).with_observer(ear).spawn().unwrap();
    assert_eq!(next(&heard), "applied 1: 2 rules: `api`, `Default`");
    let (question, more) = (json!({}), json!({"NextToken": "more"}));
    let path = "POST /GetSamplingRules".to_owned();
    assert_eq!(server.requests(), [(path.clone(), question), (path, more)]);

    for _ in 0..3 {
        assert_eq!(
            (outcome(&sampler, "/API/x"), outcome(&sampler, "/")),
            (KEPT, Outcome::Drop)
        );
    }
    // The next one has no second page, and the server grants the rule less.
    server.answers_rules([rules(&[
        rule("api", 1, 1.0, "/api/*"),
        rule("Default", 10_000, 0.0, "*"),
    ])]);
    server.answers_targets([targets(
        &[json!({"RuleName": "api", "FixedRate": 0, "Interval": 10})],
        1.7e9,
    )]);
    sampler.poll_now().unwrap();
    let requests = server.requests();
    let [(_, _), (target, body)] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(target, "POST /SamplingTargets");
    let documents = body["SamplingStatisticsDocuments"].as_array().unwrap();
    let [api, default] = &documents[..] else {
        panic!("{documents:?}")
    };
    let counts = |document: &Value| {
        ["RequestCount", "SampledCount", "BorrowCount"].map(|count| document[count].as_u64().unwrap())
    };
    assert_eq!((api["RuleName"].as_str(), counts(api)), (Some("api"), [3, 3, 0]));
    assert_eq!(
        (default["RuleName"].as_str(), counts(default)),
        (Some("Default"), [3, 0, 0])
    );
    let id = api["ClientID"].as_str().unwrap();
    assert!(
        id.len() == 24 && id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(api["ClientID"], default["ClientID"]);
    assert!(api["Timestamp"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(outcome(&sampler, "/api/x"), Outcome::Drop);

    // What was taken is not told again.
    sampler.poll_now().unwrap();
    let requests = server.requests();
    let documents = requests[1].1["SamplingStatisticsDocuments"].as_array().unwrap();
    assert_eq!((documents.len(), counts(&documents[0])), (1, [1, 0, 0]));
    let stats = sampler.stats();
    assert_eq!((stats.polls, stats.failures, stats.generation), (5, 0, 1));
    assert_eq!(stats.strategy, "2 rules: `api`, `Default`");
    let counted: Vec<_> = stats
        .decisions
        .rules
        .iter()
        .map(|rule| (&*rule.rule, rule.kept, rule.dropped))
        .collect();
    assert_eq!(counted, [("api", 3, 1), ("Default", 0, 3), ("no rule", 0, 0)]);
    assert_eq!(
        sampler.description(),
        "XRaySampler{ComposableParentThreshold{root=rules [api,Default]}}"
    );
}

#[test]
fn rules_that_have_changed_are_asked_for_at_once() {
    let server = XRayServer::spawn();
    server.answers_rules([rules(&[rule("Default", 10_000, 1.0, "*")])]);
    let (ear, heard) = Ear::new();
    let sampler = builder(&server).with_observer(ear).spawn().unwrap();
    assert_eq!(next(&heard), "applied 1: 1 rule: `Default`");
    assert_eq!(outcome(&sampler, "/"), KEPT);
    let changed = rules(&[rule("Default", 10_000, 0.0, "*")]);
    server.answers_rules([rules(&[rule("Default", 10_000, 1.0, "*")]), changed]);
    server.answers_targets([targets(&[], 1.8e9)]);
    sampler.poll_now().unwrap();
    // By itself: the next poll is due in a day.
    assert_eq!(next(&heard), "applied 2: 1 rule: `Default`");
    assert_eq!(outcome(&sampler, "/"), Outcome::Drop);
}

#[test]
fn what_cannot_be_used_leaves_the_old_ones_and_is_counted_and_told_once() {
    let server = XRayServer::spawn();
    let good = rules(&[rule("Default", 10_000, 1.0, "*")]);
    server.answers_rules([good.clone()]);
    let (ear, heard) = Ear::new();
    let sampler = builder(&server).with_observer(ear).spawn().unwrap();
    assert_eq!(next(&heard), "applied 1: 1 rule: `Default`");
    let json = |text: &str| (200, text.to_owned());
    let endless = json!({"SamplingRuleRecords": [], "NextToken": "again"}).to_string();
    let many: Vec<_> = (0..1001).map(|index| rule(&format!("r{index}"), 1, 0.5, "*")).collect();
    let (refused, unusable) = (RemoteErrorKind::Refused, RemoteErrorKind::UnusableStrategy);
    let mut failures = 0;
    for (reply, kind, said) in [
        (json("{"), unusable, "accepted: JSON"),
        (json("{}"), unusable, "`SamplingRuleRecords` cannot be `missing`"),
        (
            rules(&[rule("Default", 1, -1.0, "*")]),
            unusable,
            "FixedRate` cannot be `-1`",
        ),
        ((403, "{}".to_owned()), refused, "403 Forbidden"),
        (json(&endless), refused, "more than 100 answers"),
        (rules(&many), refused, "more than 1000 rules"),
        (json(&" ".repeat((1 << 20) + 1)), refused, "more than 1048576 bytes"),
    ] {
        server.answers_rules([reply]);
        let error = sampler.poll_now().unwrap_err();
        failures += 1;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let stats = sampler.stats();
        assert_eq!((stats.failures, stats.generation), (failures, 1));
        assert_eq!(stats.last_error, Some(error.to_string()));
    }
    assert!(next(&heard).starts_with("failed: "));

    // The rules are well again, and what they count is not taken: that is one outage still.
    server.answers_rules([good]);
    let unprocessed = json!({"SamplingTargetDocuments": [], "UnprocessedStatistics":
        [{"RuleName": "Default", "ErrorCode": "500", "Message": "later"}]});
    for (reply, said) in [
        (json("[]"), "`answer` cannot be `[]`"),
        ((500, String::new()), "500 Internal Server Error"),
        (json(&unprocessed.to_string()), "of `Default`: 500 later"),
    ] {
        assert_eq!(outcome(&sampler, "/"), KEPT);
        server.answers_targets([reply]);
        let error = sampler.poll_now().unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(next(&heard), "recovered", "between the two, nothing was wrong");
    assert!(next(&heard).starts_with("failed: `answer` cannot be `[]`"));
    server.requests();
    server.answers_targets([targets(&[], 1.7e9)]);
    sampler.poll_now().unwrap();
    assert_eq!(next(&heard), "recovered");
    let requests = server.requests();
    assert_eq!(
        requests[1].1["SamplingStatisticsDocuments"][0]["RequestCount"], 3,
        "nothing is lost"
    );
    sampler.shutdown();
    assert_eq!(sampler.poll_now().unwrap_err().kind(), RemoteErrorKind::Stopped);
    assert_eq!(outcome(&sampler, "/"), KEPT, "it goes on by what it has");
}

#[test]
fn more_rules_than_one_report_takes_are_told_in_several() {
    let server = XRayServer::spawn();
    let names: Vec<_> = (0..60).map(|index| format!("/{index:02}")).collect();
    let records: Vec<_> = names.iter().map(|path| rule(path, 1, 1.0, path)).collect();
    server.answers_rules([rules(&records)]);
    server.answers_targets([targets(&[], 1.7e9)]);
    let (ear, heard) = Ear::new();
    let sampler = builder(&server).with_observer(ear).spawn().unwrap();
    next(&heard);
    for path in &names {
        let attributes = [KeyValue::new("url.path", path.clone())];
        let span = StartingSpan::new(None, TraceId::from(1), "/x", &SpanKind::Server);
        assert_eq!(sampler.sample(&span.with_details(&attributes, &[])).outcome, KEPT);
    }
    server.requests();
    sampler.poll_now().unwrap();
    let sizes: Vec<_> = server.requests()[1..]
        .iter()
        .map(|(_, body)| body["SamplingStatisticsDocuments"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [25, 25, 10]);
}

#[test]
fn it_is_a_sampler_of_the_sdk_and_of_the_environment_and_follows_parents() {
    let server = XRayServer::spawn();
    server.answers_rules([rules(&[rule("Default", 10_000, 0.0, "*")])]);
    let (ear, heard) = Ear::new();
    let alone = builder(&server)
        .with_parent_based(false)
        .with_observer(ear)
        .spawn()
        .unwrap();
    next(&heard);
    let provider = SdkTracerProvider::builder().with_sampler(alone.clone()).build();
    assert!(!opentelemetry::trace::Span::span_context(&provider.tracer("t").start("s")).is_sampled());
    let state = TraceState::from_key_value([("ot", "th:0")]).unwrap();
    let parent = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, state);
    let child = StartingSpan::new(Some(&parent), TraceId::from(7), "/x", &SpanKind::Internal);
    assert_eq!(alone.sample(&child).outcome, Outcome::Drop);

    for (name, followed) in [("xray", Outcome::Drop), ("parentbased_xray", KEPT)] {
        let argument = format!("endpoint=http://{},polling_interval=3600", server.address);
        let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", &argument)]);
        let (ear, heard) = Ear::new();
        let config = SamplerConfig::from_env(&env);
        let sampler = ConfiguredSampler::builder(config)
            .with_observer(ear)
            .spawn_or_ignore(&env);
        assert_eq!(env.ignored(), []);
        assert_eq!(next(&heard), "applied 1: 1 rule: `Default`");
        assert_eq!(
            (sampler.sample(&child).outcome, outcome(&sampler, "/")),
            (followed, Outcome::Drop)
        );
    }
}

#[test]
fn the_sampler_of_the_environment_knows_what_the_service_runs_on() {
    let server = XRayServer::spawn();
    let mut lambda = rule("lambda", 1, 1.0, "*");
    lambda["SamplingRule"]["ServiceType"] = json!("AWS::Lambda::Function");
    lambda["SamplingRule"]["ResourceARN"] = json!("arn:aws:lambda:*");
    server.answers_rules([rules(&[lambda, rule("Default", 10_000, 0.0, "*")])]);
    let argument = format!("endpoint=http://{}", server.address);
    let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", "xray"), ("OTEL_TRACES_SAMPLER_ARG", &argument)]);
    for (platform, expected) in [("aws_lambda", KEPT), ("aws_ec2", Outcome::Drop)] {
        let (ear, heard) = Ear::new();
        let sampler = ConfiguredSampler::builder(SamplerConfig::from_env(&env))
            .with_cloud_platform(platform)
            .with_resource_arn("arn:aws:lambda:eu:1:function:f")
            .with_observer(ear)
            .spawn_or_ignore(&env);
        next(&heard);
        assert_eq!(outcome(&sampler, "/"), expected, "{platform}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let builder = || XRaySampler::builder().with_service_name("me");
    for (builder, field) in [
        (XRaySampler::builder(), "service_name"),
        (builder().with_endpoint("https://host:2000"), "endpoint"),
        (builder().with_endpoint("host"), "endpoint"),
        (builder().with_endpoint("http://host:2000/path"), "endpoint"),
        (builder().with_polling_interval(Duration::ZERO), "polling_interval"),
        (builder().with_target_interval(NEVER * 2), "target_interval"),
        (builder().with_timeout(Duration::ZERO), "timeout"),
    ] {
        assert_eq!(builder.spawn().unwrap_err().field(), field);
    }
}
