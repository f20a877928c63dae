//! What a server answers, and whether it can be used.
//!
//! An answer is used as a whole or not at all. Members that we do not know are none of our business.

mod rules;
mod targets;

use serde_json::{Map, Value};
use spanwright_core::BuildError;

use crate::remote::json::{member, object, unusable};

pub(super) use self::{
    rules::{Page, read as rules},
    targets::read as targets,
};

/// The most per second that a reservoir may be of. More is no number of requests.
const MAX_PER_SECOND: f64 = 1e9;

const SHARES: &str = "0 to 1";
const RATES: &str = "a number of requests per second, 0 to 1e9";

/// A member that may be missing.
fn number(within: &Map<String, Value>, name: &str, path: &str) -> Result<Option<f64>, BuildError> {
    let Some(value) = member(within, name) else {
        return Ok(None);
    };
    let number = value.as_f64();
    let refused = || unusable(&format!("{path}.{name}"), value, "a number");
    number.map(Some).ok_or_else(refused)
}

fn checked(
    within: &Map<String, Value>,
    name: &str,
    path: &str,
    range: std::ops::RangeInclusive<f64>,
    accepted: &'static str,
) -> Result<Option<f64>, BuildError> {
    let number = number(within, name, path)?;
    match number.filter(|number| !range.contains(number)) {
        Some(wrong) => Err(BuildError::new(format!("{path}.{name}"), wrong, accepted)),
        None => Ok(number),
    }
}

fn share(within: &Map<String, Value>, name: &str, path: &str) -> Result<Option<f64>, BuildError> {
    checked(within, name, path, 0.0..=1.0, SHARES)
}

fn per_second(within: &Map<String, Value>, name: &str, path: &str) -> Result<Option<f64>, BuildError> {
    checked(within, name, path, 0.0..=MAX_PER_SECOND, RATES)
}

fn text<'a>(within: &'a Map<String, Value>, name: &str, path: &str) -> Result<Option<&'a str>, BuildError> {
    let Some(value) = member(within, name) else {
        return Ok(None);
    };
    let refused = || unusable(&format!("{path}.{name}"), value, "a string");
    value.as_str().map(Some).ok_or_else(refused)
}

/// An object in an array, with its place.
type Element<'a> = (String, &'a Map<String, Value>);

/// The elements of an array that may be missing.
fn objects<'a>(within: &'a Map<String, Value>, name: &'static str) -> Result<Option<Vec<Element<'a>>>, BuildError> {
    let Some(list) = member(within, name) else {
        return Ok(None);
    };
    let list = list.as_array().ok_or_else(|| unusable(name, list, "an array"))?;
    let elements = list.iter().enumerate().map(|(index, element)| {
        let path = format!("{name}[{index}]");
        let element = object(&path, element)?;
        Ok((path, element))
    });
    elements.collect::<Result<_, BuildError>>().map(Some)
}

fn missing(path: impl Into<String>) -> BuildError {
    BuildError::new(path.into(), "missing", "an answer that has it")
}

#[cfg(test)]
mod tests;
