//! Attributes as text.

use std::fmt::{self, Write};

use opentelemetry::{Array, Value};

/// Whether a value has a text form that fits: an array has one for each element, any other value has one.
///
/// A number is written as a person would write it into a rule: `404`, `0.5`, `1`; a floating point number without an exponent.
///
/// # Cost
///
/// No allocation. Text and booleans are not copied; a number is written on the stack.
pub(crate) fn any_text(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => fits(text.as_str()),
        Value::I64(number) => fits_integer(*number, fits),
        Value::F64(number) => fits_float(*number, fits),
        Value::Bool(value) => fits(bool_text(*value)),
        Value::Array(Array::String(texts)) => texts.iter().any(|text| fits(text.as_str())),
        Value::Array(Array::I64(numbers)) => numbers.iter().any(|number| fits_integer(*number, &fits)),
        Value::Array(Array::F64(numbers)) => numbers.iter().any(|number| fits_float(*number, &fits)),
        Value::Array(Array::Bool(values)) => values.iter().any(|value| fits(bool_text(*value))),
        // Kinds of values that are not there yet.
        _ => false,
    }
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Digit by digit: several times faster than by the standard library's formatter, and most attributes that are not text are these.
fn fits_integer(number: i64, fits: impl Fn(&str) -> bool) -> bool {
    let mut text = [0; "-9223372036854775808".len()];
    let mut start = text.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        text[start] = b'-';
    }
    str::from_utf8(&text[start..]).is_ok_and(fits)
}

fn fits_float(number: f64, fits: impl Fn(&str) -> bool) -> bool {
    let mut text = Buffer::new();
    write!(text, "{number}").is_ok() && fits(text.as_str())
}

/// Room for the longest floating point number, `-1.7976931348623157e-308` in digits and some more.
struct Buffer {
    bytes: [u8; 400],
    len: usize,
}

impl Buffer {
    fn new() -> Self {
        Self {
            bytes: [0; 400],
            len: 0,
        }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: impl Into<Value>) -> Vec<String> {
        let texts = std::cell::RefCell::new(Vec::new());
        any_text(&value.into(), |text| {
            texts.borrow_mut().push(text.to_owned());
            false
        });
        texts.into_inner()
    }

    #[test]
    fn a_value_is_written_as_people_write_it() {
        assert_eq!(texts("as it is"), ["as it is"]);
        assert_eq!(texts(true), ["true"]);
        assert_eq!(texts(1.0), ["1"]);
        assert_eq!(texts(-0.25), ["-0.25"]);
        assert_eq!(texts(f64::NAN), ["NaN"]);
        for number in [0, 1, -1, 10, 404, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(texts(number), [number.to_string()]);
        }
        for number in [
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            -5e-324,
            -1.797_693_134_862_315_7e-308,
        ] {
            assert_eq!(texts(number), [number.to_string()], "fits in the buffer");
        }
    }

    #[test]
    fn an_array_has_a_text_for_each_element() {
        assert_eq!(texts(Value::Array(vec![1_i64, -2].into())), ["1", "-2"]);
        assert_eq!(texts(Value::Array(vec![true, false].into())), ["true", "false"]);
        assert_eq!(texts(Value::Array(vec![1.5, 2.0].into())), ["1.5", "2"]);
        assert!(texts(Value::Array(Array::String(Vec::new()))).is_empty());
        let value = Value::Array(vec![1_i64, 2].into());
        assert!(any_text(&value, |text| text == "2"), "any of them may fit");
    }
}
