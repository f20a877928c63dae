//! Answers over HTTP.
//!
//! Servers write them in three dialects: protobuf's JSON with every field (Jaeger, the Collector), the same with zeros left out, and
//! that of Thrift (agents of old), where the type is a number. Numbers may be strings in the first two.

use serde_json::{Map, Value};
use spanwright_core::BuildError;

use super::{
    Answer, DEFAULT_PROBABILITY, Kind, LOWER_BOUND, OPERATIONS, Operations, PROBABILITY, RATE, Strategy, UPPER_BOUND,
    missing,
};
use crate::remote::json::{document, member, object, unusable};

/// Reads the body of an answer. Fields that we do not know are none of our business.
///
/// # Errors
///
/// Names the field, the value, and what is accepted.
pub(in crate::remote::jaeger) fn read(body: &[u8]) -> Result<Strategy, BuildError> {
    let answer = document(body)?;
    let answer = object("answer", &answer)?;
    let mut read = Answer {
        kind: member(answer, "strategyType").map(kind).transpose()?,
        ..Answer::default()
    };
    if let Some(strategy) = member(answer, "probabilisticSampling") {
        read.sampling_rate = Some(probability("probabilisticSampling", strategy, PROBABILITY)?);
    }
    if let Some(strategy) = member(answer, "rateLimitingSampling") {
        let strategy = object("rateLimitingSampling", strategy)?;
        read.max_traces_per_second = Some(only_number(strategy, "maxTracesPerSecond", RATE)?);
    }
    if let Some(strategies) = member(answer, "operationSampling") {
        let strategies = object("operationSampling", strategies)?;
        if !strategies.is_empty() {
            read.operations = Some(operations(strategies)?);
        }
    }
    read.check()
}

fn operations(strategies: &Map<String, Value>) -> Result<Operations, BuildError> {
    let mut operations = Operations {
        default_probability: number(strategies, "defaultSamplingProbability", DEFAULT_PROBABILITY)?.unwrap_or_default(),
        lower_bound: number(strategies, "defaultLowerBoundTracesPerSecond", LOWER_BOUND)?.unwrap_or_default(),
        upper_bound: number(strategies, "defaultUpperBoundTracesPerSecond", UPPER_BOUND)?.unwrap_or_default(),
        probabilities: Vec::new(),
    };
    let Some(list) = member(strategies, "perOperationStrategies") else {
        return Ok(operations);
    };
    let list = list.as_array().ok_or_else(|| unusable(OPERATIONS, list, "an array"))?;
    for (index, strategy) in list.iter().enumerate() {
        let field = |rest: &str| format!("{OPERATIONS}[{index}]{rest}");
        let strategy = object(&field(""), strategy)?;
        // An operation without a name is one whose spans have none.
        let operation = match member(strategy, "operation") {
            None => String::new(),
            Some(Value::String(operation)) => operation.clone(),
            Some(other) => return Err(unusable(&field(".operation"), other, "a string")),
        };
        let sampling = member(strategy, "probabilisticSampling");
        let sampling = sampling.ok_or_else(|| missing(field(".probabilisticSampling").as_str()))?;
        let within = field(".probabilisticSampling");
        let ratio = probability(&within, sampling, &field(&format!(".{PROBABILITY}")))?;
        operations.probabilities.push((operation, ratio));
    }
    Ok(operations)
}

fn kind(value: &Value) -> Result<Kind, BuildError> {
    match value {
        Value::String(name) if name == "PROBABILISTIC" => Ok(Kind::Probabilistic),
        Value::String(name) if name == "RATE_LIMITING" => Ok(Kind::RateLimiting),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(Kind::Probabilistic),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(Kind::RateLimiting),
        other => Err(unusable(
            "strategyType",
            other,
            "PROBABILISTIC or 0, RATE_LIMITING or 1",
        )),
    }
}

fn probability(within: &str, strategy: &Value, field: &str) -> Result<f64, BuildError> {
    only_number(object(within, strategy)?, "samplingRate", field)
}

/// The number of an object that has no other member. A zero may be left out, but then the object is empty: one with other members
/// only means something that we do not understand, and must not be taken for zero.
fn only_number(object: &Map<String, Value>, name: &str, field: &str) -> Result<f64, BuildError> {
    match number(object, name, field)? {
        Some(number) => Ok(number),
        None if object.is_empty() => Ok(0.0),
        None => Err(missing(field)),
    }
}

/// Protobuf's JSON may have numbers as strings.
fn number(object: &Map<String, Value>, name: &str, field: &str) -> Result<Option<f64>, BuildError> {
    let Some(value) = member(object, name) else {
        return Ok(None);
    };
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| unusable(field, value, "a number"))
}
