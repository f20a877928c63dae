//! Trace states, as far as they must be understood to compare them.

use serde_json::Value;

/// OpenTelemetry's own member.
pub(super) const KEY: &str = "ot";

/// The most members of a trace state.
pub(super) const MAX_MEMBERS: usize = 32;

/// The most characters of a member's value.
pub(super) const MAX_LEN: usize = 256;

/// The members of an answer's trace state, in their order.
pub(super) fn members(answer: &Value) -> Vec<(&str, &str)> {
    let members = answer["trace_state"].as_array().into_iter().flatten();
    members
        .map(|member| {
            (
                member[0].as_str().unwrap_or_default(),
                member[1].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

/// The value of OpenTelemetry's own member.
pub(super) fn own<'a>(members: &[(&str, &'a str)]) -> Option<&'a str> {
    members.iter().find(|(key, _)| *key == KEY).map(|(_, value)| *value)
}

/// The members of others.
pub(super) fn others<'a>(members: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    members.iter().copied().filter(|(key, _)| *key != KEY).collect()
}

/// What is in a value, whatever its order.
pub(super) fn sorted(value: &str) -> Vec<&str> {
    let mut members: Vec<_> = value.split(';').collect();
    members.sort_unstable();
    members
}

/// The content of one of the members of a value.
pub(super) fn content<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    let mut members = value.split(';').filter_map(|member| member.split_once(':'));
    members.find(|(found, _)| *found == key).map(|(_, content)| content)
}

/// Whether a value is one by the grammar of the specification, with `th` and `rv` that are some.
pub(super) fn is_well_formed(value: &str) -> bool {
    let mut keys = Vec::new();
    value.len() <= MAX_LEN
        && value.split(';').all(|member| {
            let Some((key, content)) = member.split_once(':') else {
                return false;
            };
            let is_new = !keys.contains(&key);
            keys.push(key);
            let is_hex = content
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            is_new
                && key.starts_with(|first: char| first.is_ascii_lowercase())
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && content
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
                && match key {
                    "th" => is_hex && (1..=14).contains(&content.len()),
                    "rv" => is_hex && content.len() == 14,
                    _ => true,
                }
        })
}

/// A threshold, or a randomness, as a number of 56 bits.
pub(super) fn bits(content: &str) -> Option<u64> {
    u64::from_str_radix(&format!("{content:0<14}"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_the_specifications() {
        for value in ["th:8", "x:;y1:a.-_", "rv:0123456789abcd;th:0"] {
            assert!(is_well_formed(value), "{value}");
        }
        for value in [
            "",
            "a",
            "a;",
            "th:8;th:8",
            "th:",
            "th:G",
            "rv:1",
            "X:1",
            "1:1",
            "x:a b",
            ":1",
        ] {
            assert!(!is_well_formed(value), "{value:?}");
        }
    }

    #[test]
    fn digits_that_are_missing_are_zeros() {
        assert_eq!(bits("8"), Some(1 << 55));
        assert_eq!(bits("00000000000001"), Some(1));
        assert_eq!(bits("x"), None);
    }
}
