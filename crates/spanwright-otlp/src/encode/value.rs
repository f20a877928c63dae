//! Attributes: `KeyValue`, `AnyValue` and `ArrayValue`.
//!
//! Source: [opentelemetry-proto, common.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/common/v1/common.proto).

use opentelemetry::{Array, KeyValue, Value};

use super::wire::{Cursor, Written, delimited_len, string_len, varint_len};

mod tag {
    use crate::encode::wire::{delimited, fixed64, varint};

    pub(super) const KEY: u8 = delimited(1);
    pub(super) const VALUE: u8 = delimited(2);

    pub(super) const STRING: u8 = delimited(1);
    pub(super) const BOOL: u8 = varint(2);
    pub(super) const INT: u8 = varint(3);
    pub(super) const DOUBLE: u8 = fixed64(4);
    pub(super) const ARRAY: u8 = delimited(5);

    pub(super) const ELEMENT: u8 = delimited(1);
}

/// A double with its tag.
const DOUBLE_LEN: usize = 9;

/// Up to this length of the key, and of the key together with a string value, every length within an attribute is below 128
/// and takes one byte: beside them there are at most five bytes of tags and lengths, and ten of a number.
const SHORT: usize = 127 - 5 - 10;

/// Appends each attribute as one field `tag`, strings cut after `limit` characters.
///
/// The hot loop of the encoder, a function of its own so that it has the registers to itself.
#[inline(never)]
pub(super) fn write_attributes<'a>(
    mut cursor: Cursor<'a>,
    tag: u8,
    attributes: &[KeyValue],
    limit: usize,
) -> Written<'a> {
    for attribute in attributes {
        cursor = write_short_attribute(cursor, tag, attribute.key.as_str(), &attribute.value, limit)?;
    }
    Ok(cursor)
}

/// Writes what is common with lengths of one byte, and leaves the rest to [`write_attribute`].
#[inline(always)]
fn write_short_attribute<'a>(cursor: Cursor<'a>, tag: u8, key: &str, value: &Value, limit: usize) -> Written<'a> {
    if key.is_empty() || key.len() > SHORT {
        return write_attribute(cursor, tag, key, value, limit);
    }
    let key_len = key.len() as u8;
    match value {
        Value::String(text) => {
            let text = clip(text.as_str(), limit);
            if key.len() + text.len() > SHORT {
                return write_attribute(cursor, tag, key, value, limit);
            }
            let len = text.len() as u8;
            cursor
                .array([tag, key_len + 6 + len, tag::KEY, key_len])?
                .bytes(key.as_bytes())?
                .array([tag::VALUE, 2 + len, tag::STRING, len])?
                .bytes(text.as_bytes())
        }
        Value::I64(number) => {
            let number = *number as u64;
            let len = varint_len(number) as u8;
            cursor
                .array([tag, key_len + 5 + len, tag::KEY, key_len])?
                .bytes(key.as_bytes())?
                .array([tag::VALUE, 1 + len, tag::INT])?
                .varint(number)
        }
        Value::Bool(truth) => cursor
            .array([tag, key_len + 6, tag::KEY, key_len])?
            .bytes(key.as_bytes())?
            .array([tag::VALUE, 2, tag::BOOL, u8::from(*truth)]),
        Value::F64(number) => cursor
            .array([tag, key_len + 13, tag::KEY, key_len])?
            .bytes(key.as_bytes())?
            .array([tag::VALUE, DOUBLE_LEN as u8, tag::DOUBLE])?
            .array(number.to_le_bytes()),
        _ => write_attribute(cursor, tag, key, value, limit),
    }
}

/// Appends any attribute, by measuring its value first.
#[inline(never)]
pub(super) fn write_attribute<'a>(cursor: Cursor<'a>, tag: u8, key: &str, value: &Value, limit: usize) -> Written<'a> {
    let value_len = value_len(value, limit);
    let cursor = cursor
        .header(tag, string_len(key) + delimited_len(value_len))?
        .string(tag::KEY, key)?
        .header(tag::VALUE, value_len)?;
    match value {
        Value::String(text) => write_string(cursor, clip(text.as_str(), limit)),
        Value::Bool(truth) => cursor.array([tag::BOOL, u8::from(*truth)]),
        Value::I64(number) => write_int(cursor, *number),
        Value::F64(number) => write_double(cursor, *number),
        Value::Array(array) => write_array(cursor.header(tag::ARRAY, array_len(array, limit))?, array, limit),
        // A kind of value that the API did not have when this was written: its text is better than nothing.
        unknown => write_string(cursor, clip(&unknown.as_str(), limit)),
    }
}

/// How many bytes the fields of [`write_attributes`] take.
pub(super) fn attributes_len(attributes: &[KeyValue], limit: usize) -> usize {
    attributes
        .iter()
        .map(|attribute| string_len(attribute.key.as_str()) + delimited_len(value_len(&attribute.value, limit)))
        .map(delimited_len)
        .sum()
}

fn value_len(value: &Value, limit: usize) -> usize {
    match value {
        Value::String(text) => delimited_len(clip(text.as_str(), limit).len()),
        Value::Bool(_) => 2,
        Value::I64(number) => 1 + varint_len(*number as u64),
        Value::F64(_) => DOUBLE_LEN,
        Value::Array(array) => delimited_len(array_len(array, limit)),
        unknown => delimited_len(clip(&unknown.as_str(), limit).len()),
    }
}

fn write_array<'a>(cursor: Cursor<'a>, array: &Array, limit: usize) -> Written<'a> {
    match array {
        Array::Bool(values) => values.iter().try_fold(cursor, |cursor, truth| {
            cursor.array([tag::ELEMENT, 2, tag::BOOL, u8::from(*truth)])
        }),
        Array::I64(values) => values.iter().try_fold(cursor, |cursor, number| {
            let len = 1 + varint_len(*number as u64);
            write_int(cursor.header(tag::ELEMENT, len)?, *number)
        }),
        Array::F64(values) => values.iter().try_fold(cursor, |cursor, number| {
            write_double(cursor.header(tag::ELEMENT, DOUBLE_LEN)?, *number)
        }),
        Array::String(values) => values.iter().try_fold(cursor, |cursor, text| {
            write_string_element(cursor, clip(text.as_str(), limit))
        }),
        unknown => write_string_element(cursor, clip(&unknown.to_string(), limit)),
    }
}

fn array_len(array: &Array, limit: usize) -> usize {
    match array {
        Array::Bool(values) => values.len() * delimited_len(2),
        Array::I64(values) => values
            .iter()
            .map(|number| delimited_len(1 + varint_len(*number as u64)))
            .sum(),
        Array::F64(values) => values.len() * delimited_len(DOUBLE_LEN),
        Array::String(values) => values
            .iter()
            .map(|text| delimited_len(delimited_len(clip(text.as_str(), limit).len())))
            .sum(),
        unknown => delimited_len(delimited_len(clip(&unknown.to_string(), limit).len())),
    }
}

fn write_string_element<'a>(cursor: Cursor<'a>, text: &str) -> Written<'a> {
    write_string(cursor.header(tag::ELEMENT, delimited_len(text.len()))?, text)
}

/// A value is one of several fields, and is written even if it is the default of its type.
fn write_string<'a>(cursor: Cursor<'a>, text: &str) -> Written<'a> {
    cursor.header(tag::STRING, text.len())?.bytes(text.as_bytes())
}

fn write_int(cursor: Cursor<'_>, number: i64) -> Written<'_> {
    cursor.array([tag::INT])?.varint(number as u64)
}

fn write_double(cursor: Cursor<'_>, number: f64) -> Written<'_> {
    cursor.array([tag::DOUBLE])?.array(number.to_le_bytes())
}

/// The first `limit` characters of `text`.
#[inline(always)]
fn clip(text: &str, limit: usize) -> &str {
    // A character is at least one byte: where the bytes are few enough, nothing is counted.
    if text.len() <= limit {
        text
    } else {
        clip_long(text, limit)
    }
}

#[inline(never)]
fn clip_long(text: &str, limit: usize) -> &str {
    match text.char_indices().nth(limit) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_cut_between_characters() {
        assert_eq!(clip("naïve", 5), "naïve");
        assert_eq!(clip("naïve", 3), "naï");
        assert_eq!(clip("naïve", 2), "na");
        assert_eq!(clip("日本語", 1), "日");
        assert_eq!(clip("日本語", 3), "日本語");
        assert_eq!(clip("a", 0), "");
        assert_eq!(clip("", 0), "");
    }

    /// One attribute of each kind with keys and values of the lengths around which a length takes one byte more.
    #[test]
    fn the_measured_length_is_the_written_length() {
        let lens = [
            0, 1, 9, 100, 105, 106, 107, 108, 111, 112, 113, 114, 121, 122, 127, 128, 129, 200, 16_383, 16_384,
        ];
        let mut buffer = vec![0; 1 << 20];
        for len in lens {
            let text = || "k".repeat(len);
            let values = [
                Value::Bool(true),
                Value::I64(0),
                Value::I64(-1),
                Value::F64(0.0),
                Value::from(text()),
                Value::Array(Array::Bool(vec![false; len])),
                Value::Array(Array::I64(vec![i64::MIN; len])),
                Value::Array(Array::F64(vec![0.5; len])),
                Value::Array(Array::String(vec![text().into(), "".into()])),
            ];
            for attribute in values.into_iter().map(|value| KeyValue::new(text(), value)) {
                let before = buffer.len();
                let cursor = Cursor::new(&mut buffer);
                let left = write_attributes(cursor, 0x0a, std::slice::from_ref(&attribute), usize::MAX);
                let written = before - left.unwrap().room();
                assert_eq!(written, attributes_len(&[attribute], usize::MAX));
            }
        }
    }
}
