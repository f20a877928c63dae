use super::*;
use proptest::prelude::{any, prop_assert, proptest};

fn read(body: &str) -> Result<String, String> {
    json(body.as_bytes())
        .map(|strategy| strategy.to_string())
        .map_err(|error| error.to_string())
}

fn operations(body: &str) -> OperationStrategies {
    match json(body.as_bytes()) {
        Ok(Strategy::PerOperation(operations)) => operations,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_dialect_of_the_wire_is_read() {
    for (body, strategy) in [
        // Jaeger and the Collector, of today and of yesterday.
        (
            r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5}}"#,
            "a share of 0.5",
        ),
        (
            r#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":10}}"#,
            "10 traces/s",
        ),
        (
            r#"{"strategyType":"RATE_LIMITING","probabilisticSampling":null,"rateLimitingSampling":{"maxTracesPerSecond":5},"operationSampling":null}"#,
            "5 traces/s",
        ),
        // Thrift.
        (
            r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":1}}"#,
            "a share of 1",
        ),
        (
            r#"{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":2}}"#,
            "2 traces/s",
        ),
        // Protobuf's own form: zeros are left out, and numbers may be strings.
        (r#"{"probabilisticSampling":{"samplingRate":0.25}}"#, "a share of 0.25"),
        (r#"{"probabilisticSampling":{}}"#, "a share of 0"),
        (
            r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":"0.125"}}"#,
            "a share of 0.125",
        ),
        (r#"{"rateLimitingSampling":{"maxTracesPerSecond":"7"}}"#, "7 traces/s"),
        (
            r#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":0}}"#,
            "0 traces/s",
        ),
        // What is new is none of our business.
        (
            r#"{"probabilisticSampling":{"samplingRate":0.5,"by":"us"},"version":[7]}"#,
            "a share of 0.5",
        ),
        (
            r#"{"operationSampling":{},"probabilisticSampling":{"samplingRate":0.5}}"#,
            "a share of 0.5",
        ),
    ] {
        assert_eq!(read(body).as_deref(), Ok(strategy), "{body}");
    }
}

#[test]
fn operations_come_before_the_type_and_the_last_of_a_name_counts() {
    let strategies = operations(
        r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.3},"operationSampling":{
            "defaultSamplingProbability":0.001,"defaultLowerBoundTracesPerSecond":0.0166,"defaultUpperBoundTracesPerSecond":9,
            "perOperationStrategies":[
                {"operation":"/x","probabilisticSampling":{"samplingRate":1}},
                {"operation":"/y","probabilisticSampling":{"samplingRate":"0.5"}},
                {"operation":"/x","probabilisticSampling":{"samplingRate":0.25}}]}}"#,
    );
    assert_eq!(
        strategies,
        OperationStrategies {
            default_probability: 0.001,
            lower_bound: 0.0166,
            probabilities: vec![("/x".into(), 0.25), ("/y".into(), 0.5)],
        }
    );
    let bare = operations(r#"{"operationSampling":{"defaultSamplingProbability":0.5,"perOperationStrategies":null}}"#);
    assert_eq!(
        (bare.default_probability, bare.lower_bound, bare.probabilities.len()),
        (0.5, 0.0, 0)
    );
}

#[test]
fn what_cannot_be_used_is_refused_by_field_and_value() {
    for (body, field, value) in [
        ("", "answer", ""),
        ("<html>no</html>", "answer", "<html>no</html>"),
        ("[1]", "answer", "[1]"),
        ("{}", "strategyType", "missing"),
        (r#"{"strategyType":"ADAPTIVE"}"#, "strategyType", "\"ADAPTIVE\""),
        (
            r#"{"strategyType":"RATELIMITING","rateLimitingSampling":{"maxTracesPerSecond":1}}"#,
            "strategyType",
            "\"RATELIMITING\"",
        ),
        (r#"{"strategyType":2}"#, "strategyType", "2"),
        (r#"{"strategyType":true}"#, "strategyType", "true"),
        (r#"{"strategyType":"PROBABILISTIC"}"#, PROBABILITY, "missing"),
        (
            r#"{"strategyType":"RATE_LIMITING","probabilisticSampling":{"samplingRate":1}}"#,
            RATE,
            "missing",
        ),
        (r#"{"probabilisticSampling":{"samplingRate":1.5}}"#, PROBABILITY, "1.5"),
        (
            r#"{"probabilisticSampling":{"samplingRate":-0.1}}"#,
            PROBABILITY,
            "-0.1",
        ),
        (
            r#"{"probabilisticSampling":{"samplingRate":"NaN"}}"#,
            PROBABILITY,
            "NaN",
        ),
        (
            r#"{"probabilisticSampling":{"samplingRate":"much"}}"#,
            PROBABILITY,
            "\"much\"",
        ),
        (r#"{"probabilisticSampling":{"samplingRate":[1]}}"#, PROBABILITY, "[1]"),
        (r#"{"probabilisticSampling":{"rate":1}}"#, PROBABILITY, "missing"),
        (r#"{"probabilisticSampling":0.5}"#, "probabilisticSampling", "0.5"),
        (r#"{"rateLimitingSampling":{"maxTracesPerSecond":-1}}"#, RATE, "-1"),
        (
            r#"{"rateLimitingSampling":{"maxTracesPerSecond":"Infinity"}}"#,
            RATE,
            "inf",
        ),
        (r#"{"rateLimitingSampling":{"maxTracesPerSecond":"NaN"}}"#, RATE, "NaN"),
        (r#"{"operationSampling":[]}"#, "operationSampling", "[]"),
        (
            r#"{"operationSampling":{"defaultSamplingProbability":2}}"#,
            DEFAULT_PROBABILITY,
            "2",
        ),
        (
            r#"{"operationSampling":{"defaultLowerBoundTracesPerSecond":-2}}"#,
            LOWER_BOUND,
            "-2",
        ),
        (
            r#"{"operationSampling":{"defaultUpperBoundTracesPerSecond":"NaN"}}"#,
            UPPER_BOUND,
            "NaN",
        ),
        (
            r#"{"operationSampling":{"perOperationStrategies":{}}}"#,
            OPERATIONS,
            "{}",
        ),
        (
            r#"{"operationSampling":{"perOperationStrategies":[7]}}"#,
            "operationSampling.perOperationStrategies[0]",
            "7",
        ),
        (
            r#"{"operationSampling":{"perOperationStrategies":[{"operation":7}]}}"#,
            "operationSampling.perOperationStrategies[0].operation",
            "7",
        ),
        (
            r#"{"operationSampling":{"perOperationStrategies":[{"operation":"a"}]}}"#,
            "operationSampling.perOperationStrategies[0].probabilisticSampling",
            "missing",
        ),
        (
            r#"{"operationSampling":{"perOperationStrategies":[{"operation":"a","probabilisticSampling":{"samplingRate":9}}]}}"#,
            "operationSampling.perOperationStrategies[0].probabilisticSampling.samplingRate",
            "9",
        ),
    ] {
        let error = read(body).unwrap_err();
        assert!(
            error.starts_with(&format!("`{field}` cannot be `{value}`; accepted: ")),
            "{body}: {error}"
        );
    }
}

#[test]
fn an_error_repeats_no_more_than_the_beginning_of_what_it_refuses() {
    let error = read(&"x".repeat(100_000)).unwrap_err();
    assert!(error.len() < 200, "{error}");
    let deep = "[".repeat(100_000);
    assert!(read(&deep).is_err());
}

#[test]
fn more_operations_than_can_be_kept_are_refused() {
    let one = r#"{"operation":"a","probabilisticSampling":{"samplingRate":1}}"#;
    let list = vec![one; MAX_OPERATIONS + 1].join(",");
    let error = read(&format!(
        r#"{{"operationSampling":{{"perOperationStrategies":[{list}]}}}}"#
    ))
    .unwrap_err();
    assert!(error.contains("`10001 operations`; accepted: at most 10000"), "{error}");
}

#[allow(dead_code, reason = "shared with the tests of the client")]
#[path = "../../../../tests/jaeger/messages.rs"]
mod official;

use self::official::{Operation, PerOperation, Probabilistic, RateLimiting, Response};

fn sent(response: &Response) -> Result<String, String> {
    let message = prost::Message::encode_to_vec(response);
    protobuf(&message)
        .map(|strategy| strategy.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn protobuf_says_the_same_as_json() {
    let share = |sampling_rate| Some(Probabilistic { sampling_rate });
    let limit = |max_traces_per_second| Some(RateLimiting { max_traces_per_second });
    let response = Response {
        probabilistic: share(0.5),
        ..Response::default()
    };
    assert_eq!(sent(&response).as_deref(), Ok("a share of 0.5"));
    let response = Response {
        strategy_type: 1,
        rate_limiting: limit(10),
        ..Response::default()
    };
    assert_eq!(sent(&response).as_deref(), Ok("10 traces/s"));
    let operation = Operation {
        operation: "/x".to_owned(),
        probabilistic: share(1.0),
    };
    let response = Response {
        operations: Some(PerOperation {
            default_probability: 0.001,
            lower_bound: 0.0166,
            strategies: vec![operation.clone()],
            upper_bound: 3.0,
        }),
        ..Response::default()
    };
    let words = "a share for each of 1 operations, 0.001 of others, and at least 0.0166 traces/s of each";
    assert_eq!(sent(&response).as_deref(), Ok(words));

    for (response, refused) in [
        (Response::default(), "`strategyType` cannot be `missing`"),
        (
            Response {
                strategy_type: 7,
                ..Response::default()
            },
            "`strategyType` cannot be `7`",
        ),
        (
            Response {
                strategy_type: 1,
                probabilistic: share(1.0),
                ..Response::default()
            },
            "maxTracesPerSecond` cannot be `missing`",
        ),
        (
            Response {
                probabilistic: share(f64::NAN),
                ..Response::default()
            },
            "samplingRate` cannot be `NaN`",
        ),
        (
            Response {
                probabilistic: share(-1.0),
                ..Response::default()
            },
            "samplingRate` cannot be `-1`",
        ),
        (
            Response {
                strategy_type: 1,
                rate_limiting: limit(-5),
                ..Response::default()
            },
            "maxTracesPerSecond` cannot be `-5`",
        ),
        (
            Response {
                operations: Some(PerOperation {
                    strategies: vec![Operation {
                        probabilistic: None,
                        ..operation
                    }],
                    ..PerOperation::default()
                }),
                ..Response::default()
            },
            "perOperationStrategies[0].probabilisticSampling` cannot be `missing`",
        ),
    ] {
        let error = sent(&response).unwrap_err();
        assert!(error.contains(refused), "{error}");
    }
}

#[test]
fn broken_protobuf_is_refused() {
    for message in [
        &b"\x12"[..],
        b"\x12\x09\x09",
        b"\xff",
        b"\x13",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        let error = protobuf(message).unwrap_err();
        assert_eq!(error.field(), "answer", "{message:?}: {error}");
    }
    // An operation whose name is no text.
    assert!(
        protobuf(b"\x22\x05\x1a\x03\x0a\x01\xff")
            .unwrap_err()
            .to_string()
            .contains("[0].operation")
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (json(&bytes), protobuf(&bytes));
    }

    #[test]
    fn what_is_nearly_an_answer_is_an_answer_or_an_error(at in 0_usize..400, to in any::<u8>(), cut in 0_usize..400) {
        let mut body = br#"{"strategyType":"PROBABILISTIC","operationSampling":{"defaultSamplingProbability":0.001,
            "defaultLowerBoundTracesPerSecond":0.0166,"perOperationStrategies":[{"operation":"/x","probabilisticSampling":
            {"samplingRate":1}}]}}"#.to_vec();
        let at = at % body.len();
        body[at] = to;
        body.truncate(cut.max(1));
        if let Ok(strategy) = json(&body) {
            prop_assert!(is_sound(&strategy), "{strategy:?}");
        }
    }

    #[test]
    fn what_is_taken_from_protobuf_is_in_its_range(rate in any::<f64>(), bound in any::<f64>(), limit in any::<i32>(), kind in 0..3) {
        let message = prost::Message::encode_to_vec(&Response {
            strategy_type: kind,
            probabilistic: Some(Probabilistic { sampling_rate: rate }),
            rate_limiting: (limit % 2 == 0).then_some(RateLimiting { max_traces_per_second: limit }),
            operations: (limit % 3 == 0).then_some(PerOperation { lower_bound: bound, ..PerOperation::default() }),
        });
        if let Ok(strategy) = protobuf(&message) {
            prop_assert!(is_sound(&strategy), "{strategy:?}");
        }
    }
}

fn is_sound(strategy: &Strategy) -> bool {
    let is_share = |share: &f64| (0.0..=1.0).contains(share);
    match strategy {
        Strategy::Probability(ratio) => is_share(ratio),
        Strategy::RateLimit(rate) => rate.is_finite() && *rate >= 0.0,
        Strategy::PerOperation(operations) => {
            let shares = operations.probabilities.iter().map(|(_, share)| share);
            shares.chain([&operations.default_probability]).all(is_share) && operations.lower_bound.is_finite()
        }
    }
}
