//! `GetSamplingRules`.

use serde_json::{Map, Value};
use spanwright_core::BuildError;

use super::{missing, number, objects, per_second, share, text};
use crate::remote::json::{document, member, object, unusable};
use crate::remote::xray::strategy::RuleSpec;

const RECORDS: &str = "SamplingRuleRecords";

/// The one version of rules that there is. Those of another one are passed over, as in all of X-Ray's clients.
const VERSION: f64 = 1.0;

/// Priorities are 1 to 9999, and 10000 for the rule `Default`.
const MAX_PRIORITY: u32 = 1_000_000;

/// The longest pattern: eight times what X-Ray lets anybody write.
const MAX_PATTERN_LEN: usize = 1024;

/// X-Ray takes five.
const MAX_ATTRIBUTES: usize = 100;

/// Some of the rules.
#[derive(Debug, Default)]
pub(in crate::remote::xray) struct Page {
    pub(in crate::remote::xray) rules: Vec<RuleSpec>,
    /// When one of these was last changed, in seconds since 1970.
    pub(in crate::remote::xray) modified: Option<f64>,
    /// What to ask for the rest with.
    pub(in crate::remote::xray) next_token: Option<String>,
}

/// Reads the body of an answer.
///
/// # Errors
///
/// Names the field, the value, and what is accepted.
pub(in crate::remote::xray) fn read(body: &[u8]) -> Result<Page, BuildError> {
    let answer = document(body)?;
    let answer = object("answer", &answer)?;
    let mut page = Page {
        next_token: text(answer, "NextToken", "answer")?
            .filter(|token| !token.is_empty())
            .map(str::to_owned),
        ..Page::default()
    };
    for (path, record) in objects(answer, RECORDS)?.ok_or_else(|| missing(RECORDS))? {
        let path = format!("{path}.SamplingRule");
        let rule = member(record, "SamplingRule").ok_or_else(|| missing(&*path))?;
        let rule = object(&path, rule)?;
        // When it changed is worth knowing, and no reason to do without the rule.
        let modified = record.get("ModifiedAt").and_then(Value::as_f64);
        page.modified = page.modified.into_iter().chain(modified).reduce(f64::max);
        if number(rule, "Version", &path)?.is_none_or(|version| version == VERSION) {
            page.rules.push(spec(rule, &path)?);
        }
    }
    Ok(page)
}

fn spec(rule: &Map<String, Value>, path: &str) -> Result<RuleSpec, BuildError> {
    let required = |name: &str| missing(format!("{path}.{name}"));
    Ok(RuleSpec {
        name: text(rule, "RuleName", path)?
            .filter(|name| !name.is_empty())
            .ok_or_else(|| required("RuleName"))?
            .into(),
        priority: priority(rule, path)?,
        fixed_rate: share(rule, "FixedRate", path)?.ok_or_else(|| required("FixedRate"))?,
        reservoir_size: per_second(rule, "ReservoirSize", path)?.ok_or_else(|| required("ReservoirSize"))?,
        service_name: pattern(rule, "ServiceName", path)?,
        service_type: pattern(rule, "ServiceType", path)?,
        resource_arn: pattern(rule, "ResourceARN", path)?,
        host: pattern(rule, "Host", path)?,
        method: pattern(rule, "HTTPMethod", path)?,
        path: pattern(rule, "URLPath", path)?,
        attributes: attributes(rule, path)?,
    })
}

fn priority(rule: &Map<String, Value>, path: &str) -> Result<u32, BuildError> {
    let path = format!("{path}.Priority");
    let value = member(rule, "Priority").ok_or_else(|| missing(&*path))?;
    let priority = value.as_u64().and_then(|priority| u32::try_from(priority).ok());
    priority
        .filter(|priority| *priority <= MAX_PRIORITY)
        .ok_or_else(|| unusable(&path, value, "a whole number, 0 to 1000000"))
}

/// One that is missing says nothing.
fn pattern(rule: &Map<String, Value>, name: &str, path: &str) -> Result<String, BuildError> {
    let pattern = text(rule, name, path)?.unwrap_or("*");
    check_len(pattern, || format!("{path}.{name}"))?;
    Ok(pattern.to_owned())
}

fn attributes(rule: &Map<String, Value>, path: &str) -> Result<Vec<(String, String)>, BuildError> {
    let path = format!("{path}.Attributes");
    let Some(attributes) = member(rule, "Attributes") else {
        return Ok(Vec::new());
    };
    let attributes = object(&path, attributes)?;
    if attributes.len() > MAX_ATTRIBUTES {
        let count = attributes.len();
        return Err(BuildError::new(path, format_args!("{count} attributes"), "at most 100"));
    }
    let each = attributes.keys().map(|name| {
        let pattern = text(attributes, name, &path)?.unwrap_or("*");
        check_len(pattern, || format!("{path}.{name}"))?;
        Ok((name.clone(), pattern.to_owned()))
    });
    each.collect()
}

fn check_len(pattern: &str, path: impl FnOnce() -> String) -> Result<(), BuildError> {
    if pattern.len() <= MAX_PATTERN_LEN {
        return Ok(());
    }
    let len = pattern.len();
    Err(BuildError::new(
        path(),
        format_args!("a pattern of {len} bytes"),
        "at most 1024",
    ))
}
