//! What a span's key is.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;
use opentelemetry::{Key as Name, Value};

use super::text::Excerpt;
use crate::span::StartingSpan;

/// By what spans are told apart: a name, an attribute, anything that can be written down, or several of these.
///
/// ```
/// use spanwright_sampling::SpanKey;
///
/// let route_of_tenant = SpanKey::attribute("tenant.id").and(SpanKey::attribute("http.route"));
/// let first_word = SpanKey::written(|span, key| {
///     key.push(span.name().split(' ').next().unwrap_or_default());
/// });
/// ```
///
/// # Cost
///
/// Reading and hashing the text, some nanoseconds for strings; numbers must be printed for it. No allocation.
#[derive(Clone)]
pub struct SpanKey {
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    SpanName,
    Attribute(Name),
    Written(Arc<Writer>),
}

type Writer = dyn Fn(&StartingSpan<'_>, &mut KeyWriter<'_>) + Send + Sync;

/// Takes the text of a key: writes go into a hash, and, once per key, into what people see.
///
/// In how many pieces a text comes makes no difference. `write!` works with it, and values can be hashed into it that are hashed more
/// easily than printed.
#[derive(Debug)]
pub struct KeyWriter<'a> {
    target: Target<'a>,
}

#[derive(Debug)]
enum Target<'a> {
    Hash(&'a mut Blocks),
    Text(&'a mut Excerpt),
}

/// A hash of bytes that come in pieces, the same whatever the pieces.
#[derive(Debug)]
struct Blocks {
    state: u64,
    block: [u8; BLOCK],
    filled: usize,
    len: usize,
}

/// Most keys are one block.
const BLOCK: usize = 64;

/// The length of a part that is not there, which is another key than an empty one.
const ABSENT: usize = usize::MAX;

impl SpanKey {
    /// The span's name.
    #[must_use]
    pub fn span_name() -> Self {
        Self::one(Part::SpanName)
    }

    /// The value of this attribute, as text, so that a number and its digits are one key. Of several of that name the first.
    ///
    /// Spans without it share a key. Only attributes that a span starts with are known when it is decided.
    #[must_use]
    pub fn attribute(name: impl Into<Name>) -> Self {
        Self::one(Part::Attribute(name.into()))
    }

    /// What a function writes. It is called for every span, and must write the same for the same key.
    pub fn written<F>(write: F) -> Self
    where
        F: Fn(&StartingSpan<'_>, &mut KeyWriter<'_>) + Send + Sync + 'static,
    {
        Self::one(Part::Written(Arc::new(write)))
    }

    /// This and that together: spans have the same key if both are the same.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    fn one(part: Part) -> Self {
        Self { parts: vec![part] }
    }

    pub(super) fn hash(&self, span: &StartingSpan<'_>, seed: u64) -> u64 {
        self.parts.iter().fold(seed, |state, part| part.hash(span, state))
    }

    /// The hash of a key whose parts have these texts.
    pub(super) fn hash_of_texts(texts: &[String], seed: u64) -> u64 {
        texts
            .iter()
            .fold(seed, |state, text| hash_bytes(text.as_bytes(), state))
    }

    pub(super) fn text(&self, span: &StartingSpan<'_>) -> Excerpt {
        let mut text = Excerpt::new();
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                text.push(b" ");
            }
            part.write(span, &mut text);
        }
        text
    }
}

impl KeyWriter<'_> {
    /// Adds this text.
    pub fn push(&mut self, text: &str) {
        match &mut self.target {
            Target::Hash(blocks) => blocks.push(text.as_bytes()),
            Target::Text(excerpt) => excerpt.push(text.as_bytes()),
        }
    }
}

impl Part {
    fn hash(&self, span: &StartingSpan<'_>, state: u64) -> u64 {
        match self {
            Self::SpanName => hash_bytes(span.name().as_bytes(), state),
            Self::Attribute(name) => match value(span, name) {
                None => last_block(&[], ABSENT, state),
                Some(Value::String(text)) => hash_bytes(text.as_str().as_bytes(), state),
                Some(value) => hash_written(state, |key| {
                    // A hash takes everything.
                    let _ = fmt::Write::write_fmt(key, format_args!("{value}"));
                }),
            },
            Self::Written(write) => hash_written(state, |key| write(span, key)),
        }
    }

    fn write(&self, span: &StartingSpan<'_>, text: &mut Excerpt) {
        match self {
            Self::SpanName => text.push(span.name().as_bytes()),
            Self::Attribute(name) => match value(span, name) {
                None => text.push(b"(none)"),
                Some(value) => {
                    let mut key = KeyWriter {
                        target: Target::Text(text),
                    };
                    // What does not fit is cut off without an error.
                    let _ = fmt::Write::write_fmt(&mut key, format_args!("{value}"));
                }
            },
            Self::Written(write) => write(
                span,
                &mut KeyWriter {
                    target: Target::Text(text),
                },
            ),
        }
    }
}

fn value<'a>(span: &StartingSpan<'a>, name: &Name) -> Option<&'a Value> {
    let attribute = span.attributes().iter().find(|attribute| attribute.key == *name);
    attribute.map(|attribute| &attribute.value)
}

fn hash_written(state: u64, write: impl FnOnce(&mut KeyWriter<'_>)) -> u64 {
    let mut blocks = Blocks {
        state,
        block: [0; BLOCK],
        filled: 0,
        len: 0,
    };
    write(&mut KeyWriter {
        target: Target::Hash(&mut blocks),
    });
    blocks.finish()
}

/// Without a copy, and equal to what [`Blocks`] makes of it.
fn hash_bytes(bytes: &[u8], mut state: u64) -> u64 {
    let mut rest = bytes;
    while rest.len() > BLOCK {
        let (block, after) = rest.split_at(BLOCK);
        state = full_block(block, state);
        rest = after;
    }
    last_block(rest, bytes.len(), state)
}

fn full_block(block: &[u8], state: u64) -> u64 {
    let mut hasher = FixedState::with_seed(state).build_hasher();
    hasher.write(block);
    hasher.finish()
}

fn last_block(block: &[u8], len: usize, state: u64) -> u64 {
    let mut hasher = FixedState::with_seed(state).build_hasher();
    hasher.write(block);
    hasher.write_usize(len);
    hasher.finish()
}

impl Blocks {
    fn push(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            if self.filled == BLOCK {
                self.state = full_block(&self.block, self.state);
                self.filled = 0;
            }
            let room = &mut self.block[self.filled..];
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            self.filled += len;
            bytes = &bytes[len..];
        }
    }

    fn finish(&self) -> u64 {
        last_block(&self.block[..self.filled], self.len, self.state)
    }
}

impl fmt::Write for KeyWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl Hasher for KeyWriter<'_> {
    /// Bytes that are no text are seen in hexadecimal.
    fn write(&mut self, bytes: &[u8]) {
        match &mut self.target {
            Target::Hash(blocks) => blocks.push(bytes),
            // The mark that `str` ends with when it is hashed.
            Target::Text(_) if bytes == [0xff] => {}
            Target::Text(excerpt) => {
                let is_text = |text: &str| !text.contains(|c: char| c.is_control());
                if std::str::from_utf8(bytes).is_ok_and(is_text) {
                    excerpt.push(bytes);
                    return;
                }
                for byte in bytes {
                    let digit = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
                    excerpt.push(&[digit(byte >> 4), digit(byte & 15)]);
                }
            }
        }
    }

    fn finish(&self) -> u64 {
        match &self.target {
            Target::Hash(blocks) => blocks.finish(),
            Target::Text(_) => 0,
        }
    }
}

/// As the sampler's description has it.
impl fmt::Display for SpanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_str("+")?;
            }
            match part {
                Part::SpanName => f.write_str("span_name")?,
                Part::Attribute(name) => f.write_str(name.as_str())?,
                Part::Written(_) => f.write_str("written")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SpanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::hash::Hash;

    use opentelemetry::trace::SpanKind;
    use opentelemetry::{Array, KeyValue, TraceId};

    use super::*;

    fn of(key: &SpanKey, name: &str, attributes: &[KeyValue]) -> (u64, String) {
        let span = StartingSpan::new(None, TraceId::from(1), name, &SpanKind::Server).with_details(attributes, &[]);
        (key.hash(&span, 5), key.text(&span).as_lossy().into_owned())
    }

    #[test]
    fn a_value_and_its_text_are_one_key_and_no_value_is_another_than_an_empty_one() {
        let key = SpanKey::attribute("k");
        let hash = |value: Value| of(&key, "", &[KeyValue::new("other", 1), KeyValue::new("k", value)]);
        for (value, text) in [
            (Value::I64(-12), "-12"),
            (Value::Bool(true), "true"),
            (Value::F64(0.5), "0.5"),
            (Value::Array(Array::I64(vec![1, 2])), "[1,2]"),
        ] {
            assert_eq!(hash(value), hash(text.into()), "{text}");
            assert_eq!(hash(text.into()).1, text);
        }
        assert_ne!(of(&key, "", &[]).0, hash("".into()).0);
        assert_eq!(of(&key, "", &[]).1, "(none)");
    }

    #[test]
    fn where_the_parts_of_a_key_end_makes_a_difference_and_where_pieces_of_a_text_end_does_not() {
        let both = SpanKey::span_name().and(SpanKey::attribute("k"));
        let hash = |name, value| of(&both, name, &[KeyValue::new("k", value)]).0;
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
        assert_ne!(hash("", "abc"), hash("abc", ""));
        for len in [0, 1, 63, 64, 65, 128, 129, 1000] {
            let name = "x".repeat(len);
            let pieces = SpanKey::written(|span, key| {
                let (first, second) = span.name().split_at(span.name().len() / 3);
                second.chars().rev().for_each(|c| _ = key.write_char(c));
                key.push(first);
            });
            assert_eq!(
                of(&pieces, &name, &[]).0,
                of(&SpanKey::span_name(), &name, &[]).0,
                "{len}"
            );
        }
    }

    #[test]
    fn what_is_hashed_can_be_read_as_well_as_may_be() {
        let key = SpanKey::written(|span, key| {
            span.name().hash(key);
            7_u16.to_be_bytes().iter().for_each(|byte| key.write(&[*byte]));
        });
        assert_eq!(of(&key, "abc", &[]).1, "abc0007");
        assert_ne!(of(&key, "abc", &[]).0, of(&key, "abd", &[]).0);
        assert_eq!(both_descriptions(), "span_name+http.route");
    }

    fn both_descriptions() -> String {
        SpanKey::span_name().and(SpanKey::attribute("http.route")).to_string()
    }

    #[test]
    fn hashes_have_no_pattern_in_any_bit() {
        let mut ones = [0_u32; 64];
        let keys = 20_000;
        for index in 0..keys {
            let hash = of(&SpanKey::span_name(), &format!("GET /orders/{index}"), &[]).0;
            (0..64).for_each(|bit| ones[bit] += (hash >> bit & 1) as u32);
        }
        for (bit, ones) in ones.into_iter().enumerate() {
            let z = (f64::from(ones) - keys as f64 / 2.0) / (keys as f64 / 4.0).sqrt();
            assert!(z.abs() < 4.75, "bit {bit}: {z}");
        }
    }
}
