//! Reading JSON that a stranger has written.

use serde_json::{Map, Value};
use spanwright_core::BuildError;

/// How much of a value that cannot be used is told.
const EXCERPT_CHARS: usize = 64;

/// The body of an answer.
///
/// # Errors
///
/// It is not JSON. There is no NaN in JSON, and a number beyond `f64` is none.
pub(super) fn document(body: &[u8]) -> Result<Value, BuildError> {
    serde_json::from_slice(body)
        .map_err(|error| BuildError::new("answer", excerpt(&String::from_utf8_lossy(body)), "JSON").with_source(error))
}

/// # Errors
///
/// It is another kind of value.
pub(super) fn object<'a>(field: &str, value: &'a Value) -> Result<&'a Map<String, Value>, BuildError> {
    value.as_object().ok_or_else(|| unusable(field, value, "an object"))
}

/// Null is as good as nothing.
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

pub(super) fn unusable(field: &str, value: &Value, accepted: &'static str) -> BuildError {
    BuildError::new(field.to_owned(), excerpt(&value.to_string()), accepted)
}

fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let mut excerpt: String = chars.by_ref().take(EXCERPT_CHARS).collect();
    if chars.next().is_some() {
        excerpt.push_str("..");
    }
    excerpt
}
