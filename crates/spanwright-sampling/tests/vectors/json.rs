//! The tables.

use serde_json::Value;

/// The rows of a table, at a path like `D_decision/sample`.
pub(crate) fn rows(path: &str) -> Vec<Value> {
    let tables: Value = serde_json::from_str(include_str!("sampling.json")).expect("as the vectors have it");
    let rows = tables
        .pointer(&format!("/{path}"))
        .unwrap_or_else(|| panic!("no {path}"));
    rows.as_array().unwrap_or_else(|| panic!("{path} is no table")).clone()
}

pub(crate) fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}"))
}

pub(crate) fn float(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}"))
}

pub(crate) fn integer(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// A number as the tables and Go write it: `0.5`, `1/3`, `0x1.8p-2`, `1-0x54p-8`, `2/16`, `inf`.
pub(crate) fn number(text: &str) -> f64 {
    let text = text.trim_start_matches('(').trim_end_matches(')');
    // Signs in an exponent or in front are not operators.
    if let Some((left, right)) = text.split_once('/') {
        return number(left) / number(right);
    }
    if let Some((left, right)) = text.strip_prefix("1-").map(|right| ("1", right)) {
        return number(left) - number(right);
    }
    let Some(digits) = text.strip_prefix("0x") else {
        return text.parse().unwrap_or_else(|_| panic!("number {text}"));
    };
    let (mantissa, exponent) = digits.split_once('p').expect("as the vectors have it");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let bits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).expect("as the vectors have it");
    let exponent: i32 = exponent.parse().expect("as the vectors have it");
    bits as f64 * 2_f64.powi(exponent - 4 * fraction.len() as i32)
}
