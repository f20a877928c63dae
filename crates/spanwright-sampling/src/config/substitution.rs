//! References to environment variables in the values of a document.
//!
//! # Source
//!
//! [Configuration data model, environment variable substitution](https://opentelemetry.io/docs/specs/otel/configuration/data-model/#environment-variable-substitution).

use std::borrow::Cow;

/// A reference that is none: what stands between `${` and `}`.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct BadReference(pub(super) String);

/// What a reference may look like.
pub(super) const REFERENCE: &str = "`${NAME}`, `${env:NAME}` or `${NAME:-default}`; a dollar sign is `$$`";

/// `text` with the variables that it refers to. What they contain is text and nothing else: it is not substituted again.
pub(super) fn substitute<'a>(
    text: &'a str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Cow<'a, str>, BadReference> {
    if !text.contains('$') {
        return Ok(Cow::Borrowed(text));
    }
    let mut whole = String::with_capacity(text.len());
    // An escaped dollar sign ends what a reference can be found in.
    for (index, part) in text.split("$$").enumerate() {
        if index > 0 {
            whole.push('$');
        }
        substitute_part(part, variable, &mut whole)?;
    }
    Ok(Cow::Owned(whole))
}

fn substitute_part(
    mut part: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    whole: &mut String,
) -> Result<(), BadReference> {
    while let Some((before, after)) = part.split_once("${") {
        // Neither `${}` nor one without an end is a reference.
        let Some((inside, rest)) = after.split_once('}').filter(|(inside, _)| !inside.is_empty()) else {
            let kept = part.len() - after.len();
            whole.push_str(&part[..kept]);
            part = after;
            continue;
        };
        let (name, default) = reference(inside).ok_or_else(|| BadReference(format!("${{{inside}}}")))?;
        whole.push_str(before);
        match variable(name) {
            Some(value) => whole.push_str(&value),
            None => whole.push_str(default),
        }
        part = rest;
    }
    whole.push_str(part);
    Ok(())
}

/// Name and default.
fn reference(inside: &str) -> Option<(&str, &str)> {
    let inside = inside.strip_prefix("env:").unwrap_or(inside);
    let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
    let mut bytes = name.bytes();
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_name = bytes.next().is_some_and(is_first) && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit());
    (is_name && !default.contains('\n')).then_some((name, default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "STRING_VALUE" => "value",
            "FLOAT_VALUE" => "1.1",
            "INVALID_MAP_VALUE" => "value\nkey:value",
            "DO_NOT_REPLACE_ME" => "Never use this value",
            "REPLACE_ME" => "${DO_NOT_REPLACE_ME}",
            "VALUE_WITH_ESCAPE" => "value$$",
            _ => return None,
        };
        Some(value.to_owned())
    }

    /// The specification's table.
    #[test]
    fn values_are_as_in_the_specification() {
        for (text, expected) in [
            ("${STRING_VALUE}", "value"),
            ("${env:STRING_VALUE}", "value"),
            ("${INVALID_MAP_VALUE}", "value\nkey:value"),
            ("foo ${STRING_VALUE} ${FLOAT_VALUE}", "foo value 1.1"),
            ("${UNDEFINED_KEY}", ""),
            ("${UNDEFINED_KEY:-fallback}", "fallback"),
            ("${UNDEFINED_KEY:-}", ""),
            ("${REPLACE_ME}", "${DO_NOT_REPLACE_ME}"),
            ("${UNDEFINED_KEY:-${STRING_VALUE}}", "${STRING_VALUE}"),
            ("$${STRING_VALUE}", "${STRING_VALUE}"),
            ("$$${STRING_VALUE}", "$value"),
            ("$$$${STRING_VALUE}", "$${STRING_VALUE}"),
            ("$${STRING_VALUE:-fallback}", "${STRING_VALUE:-fallback}"),
            ("$${STRING_VALUE:-${STRING_VALUE}}", "${STRING_VALUE:-value}"),
            (
                "${UNDEFINED_KEY:-$${UNDEFINED_KEY}}",
                "${UNDEFINED_KEY:-${UNDEFINED_KEY}}",
            ),
            ("${VALUE_WITH_ESCAPE}", "value$$"),
            ("a $$ b", "a $ b"),
            ("a $ b", "a $ b"),
            ("${} ${", "${} ${"),
            ("ü${STRING_VALUE}ü", "üvalueü"),
        ] {
            assert_eq!(substitute(text, &variable).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "${STRING_VALUE:?error}",
            "${1API_KEY}",
            "${API_$KEY}",
            "${ STRING_VALUE}",
            "${sys:NAME}",
            "${env:}",
        ] {
            assert_eq!(
                substitute(text, &variable),
                Err(BadReference(text.to_owned())),
                "{text}"
            );
        }
    }
}
