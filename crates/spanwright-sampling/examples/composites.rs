//! Reads cases for composite samplers, and prints what ours decide.
//!
//! `cargo xtask interop` holds the answers against those of another implementation; `xtask/interop/README.md` is the contract.

use std::error::Error;
use std::fs;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{Array, KeyValue, TraceId};
use serde_json::{Map, Value, json};
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, Annotating, ComposableSampler, CompositeSampler, Outcome, ParentOrigin, ParentThreshold,
    Precision, Predicate, Probability, Rule, RuleBased, Sampler, StartingSpan,
};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("takes a file of cases")?;
    for line in fs::read_to_string(path)?.lines() {
        let case: Value = serde_json::from_str(line)?;
        let mut answer = answer(&case, false)?;
        answer["trusting"] = self::answer(&case, true)?;
        answer["id"] = case["id"].clone();
        println!("{answer}");
    }
    Ok(())
}

fn answer(case: &Value, trusts: bool) -> Result<Value, Failure> {
    let sampler = CompositeSampler::new(sampler(&case["sampler"])?).with_trust_parent_threshold(trusts);
    let parent = parent(&case["parent"])?;
    let trace_id = TraceId::from_hex(text(&case["trace_id"])?)?;
    let kind = kind(text(&case["kind"])?)?;
    let attributes = attributes(&case["attributes"])?;
    let span = StartingSpan::new(parent.as_ref(), trace_id, "GET /", &kind).with_details(&attributes, &[]);
    let decision = sampler.sample(&span);
    let members: Vec<_> = decision.trace_state.into_iter().collect();
    let attributes = decision.attributes.iter();
    let attributes = attributes.map(|attribute| (attribute.key.to_string(), Value::from(attribute.value.to_string())));
    Ok(json!({
        "is_kept": decision.outcome == Outcome::RecordAndSample,
        "trace_state": members,
        "attributes": attributes.collect::<Map<_, _>>(),
    }))
}

fn sampler(description: &Value) -> Result<Box<dyn ComposableSampler>, Failure> {
    Ok(match text(&description["kind"])? {
        "always_on" => Box::new(AlwaysOn),
        "always_off" => Box::new(AlwaysOff),
        "probability" => {
            let ratio = f64::from_bits(u64::from_str_radix(text(&description["ratio"])?, 16)?);
            let digits = u8::try_from(description["precision"].as_u64().ok_or("no precision")?)?;
            let precision = Precision::new(digits).ok_or("no such precision")?;
            Box::new(Probability::new(ratio)?.with_precision(precision))
        }
        "parent_threshold" => Box::new(ParentThreshold::new(sampler(&description["root"])?)),
        "annotating" => {
            let attributes = attributes(&description["attributes"])?;
            Box::new(Annotating::new(sampler(&description["sampler"])?, attributes))
        }
        "rule_based" => {
            let mut rules = RuleBased::builder();
            for (index, rule) in list(&description["rules"])?.iter().enumerate() {
                let mut predicates = list(&rule["predicates"])?.iter().map(predicate);
                let named = predicates.try_fold(Rule::new(format!("rule {index}")), |rule, predicate| {
                    Ok::<_, Failure>(rule.when(predicate?))
                })?;
                rules = rules.rule(named.then(sampler(&rule["sampler"])?));
            }
            Box::new(rules.build()?)
        }
        kind => return Err(format!("no such sampler: {kind}").into()),
    })
}

fn parent(description: &Value) -> Result<Option<SpanContext>, Failure> {
    if description.is_null() {
        return Ok(None);
    }
    let members = list(&description["trace_state"])?
        .iter()
        .map(|member| Ok((text(&member[0])?, text(&member[1])?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(Some(SpanContext::new(
        TraceId::from_hex(text(&description["trace_id"])?)?,
        SpanId::from_hex(text(&description["span_id"])?)?,
        TraceFlags::new(u8::try_from(description["flags"].as_u64().ok_or("no flags")?)?),
        description["is_remote"].as_bool().ok_or("not said whether remote")?,
        TraceState::from_key_value(members)?,
    )))
}

fn predicate(description: &Value) -> Result<Predicate, Failure> {
    let texts = |name: &str| {
        list(&description[name])?
            .iter()
            .map(text)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match text(&description["kind"])? {
        "span_kinds" => {
            let kinds = texts("kinds")?.into_iter().map(kind);
            Predicate::kinds(kinds.collect::<Result<Vec<_>, _>>()?)
        }
        "parents" => {
            let parents = texts("parents")?.into_iter().map(origin);
            Predicate::parents(parents.collect::<Result<Vec<_>, _>>()?)
        }
        "attribute_values" => Predicate::attribute_values(text(&description["key"])?, texts("values")?),
        "attribute_patterns" => {
            let (included, excluded) = (texts("included")?, texts("excluded")?);
            Predicate::attribute_patterns(text(&description["key"])?, included, excluded)?
        }
        kind => return Err(format!("no such predicate: {kind}").into()),
    })
}

fn kind(name: &str) -> Result<SpanKind, Failure> {
    Ok(match name {
        "internal" => SpanKind::Internal,
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => return Err(format!("no such kind: {name}").into()),
    })
}

fn origin(name: &str) -> Result<ParentOrigin, Failure> {
    Ok(match name {
        "none" => ParentOrigin::None,
        "local" => ParentOrigin::Local,
        "remote" => ParentOrigin::Remote,
        _ => return Err(format!("no such parent: {name}").into()),
    })
}

fn attributes(description: &Value) -> Result<Vec<KeyValue>, Failure> {
    let attributes = description.as_object().ok_or("no attributes")?;
    let attributes = attributes.iter().map(|(key, value)| {
        let value: opentelemetry::Value = match value {
            Value::String(text) => text.clone().into(),
            Value::Number(number) => number.as_i64().ok_or("not a whole number")?.into(),
            Value::Array(texts) => {
                let texts = texts.iter().map(|value| Ok(text(value)?.to_owned().into()));
                opentelemetry::Value::Array(Array::String(texts.collect::<Result<_, Failure>>()?))
            }
            _ => return Err(format!("no such value: {value}").into()),
        };
        Ok(KeyValue::new(key.clone(), value))
    });
    attributes.collect()
}

fn list(value: &Value) -> Result<&Vec<Value>, Failure> {
    value.as_array().ok_or_else(|| format!("no list: {value}").into())
}

fn text(value: &Value) -> Result<&str, Failure> {
    value.as_str().ok_or_else(|| format!("no text: {value}").into())
}
