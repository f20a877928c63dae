//! What the member says.

use std::fmt;

use super::MAX_LEN;
use super::text::{LONG, Text};
use crate::probability::{Randomness, Threshold};

/// What the `ot` member of a trace state says: `th`, `rv`, and what others put there.
///
/// Borrowed from the trace state: reading it allocates nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OtelTraceState<'a> {
    /// `th`: what the randomness was held against.
    pub threshold: Option<Threshold>,
    /// `rv`: the trace's randomness, where its id is not random.
    pub randomness: Option<Randomness>,
    /// The value as it came, for the members that we do not know.
    value: &'a str,
    /// Whether there are such members.
    has_others: bool,
}

/// The value of an `ot` member is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MalformedTraceState(());

/// How far what came is what we would have written.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Form {
    /// It can stay as it is. The order of its members means nothing.
    #[default]
    Sound,
    /// Nothing is wrong with it, but its `th` ends in zeros.
    Padded,
    /// Some of it, or all, cannot be read.
    Malformed,
}

impl<'a> OtelTraceState<'a> {
    /// Reads the value of an `ot` member.
    ///
    /// # Errors
    ///
    /// Longer than 256 characters, a member that is not `key:value`, a key that is there twice, or a `th` or `rv` that is none.
    pub fn parse(value: &'a str) -> Result<Self, MalformedTraceState> {
        match Self::scan(value)? {
            (_, Form::Malformed) => Err(MalformedTraceState(())),
            (state, Form::Sound | Form::Padded) => Ok(state),
        }
    }

    /// Reads what can be read. A `th` that is none does not take the `rv` with it, or the services of a trace would not agree on
    /// its randomness any more; where the members themselves cannot be told apart, nothing is certain, and all of it is lost.
    pub(super) fn scan(value: &'a str) -> Result<(Self, Form), MalformedTraceState> {
        if value.len() > MAX_LEN {
            return Err(MalformedTraceState(()));
        }
        let mut state = Self {
            value,
            ..Self::default()
        };
        // What nearly all have: a threshold and nothing else.
        if let Some(content) = value.strip_prefix("th:") {
            state.threshold = Threshold::parse(content);
            if state.threshold.is_some() {
                return Ok((state, form_of_threshold(state.threshold, content)));
            }
        }
        let mut form = Form::Sound;
        let mut start = 0;
        // After the last member, `start` is where a separator would be followed by another one.
        while start <= value.len() {
            let (key, content) = member_at(value, start).ok_or(MalformedTraceState(()))?;
            if is_taken(&value[..start], key) {
                return Err(MalformedTraceState(()));
            }
            match key {
                "th" => {
                    state.threshold = Threshold::parse(content);
                    form = form.max(form_of_threshold(state.threshold, content));
                }
                "rv" => {
                    state.randomness = Randomness::parse(content);
                    if state.randomness.is_none() {
                        form = Form::Malformed;
                    }
                }
                _ => state.has_others = true,
            }
            start += key.len() + ":".len() + content.len() + ";".len();
        }
        Ok((state, form))
    }

    /// The same with another threshold, or none.
    #[must_use]
    pub fn with_threshold(self, threshold: Option<Threshold>) -> Self {
        Self { threshold, ..self }
    }

    /// The same with another randomness. For a trace that begins here; what somebody else wrote must not be overwritten.
    #[must_use]
    pub fn with_randomness(self, randomness: Option<Randomness>) -> Self {
        Self { randomness, ..self }
    }

    /// The members besides `th` and `rv`, in their order.
    pub fn others(self) -> impl Iterator<Item = &'a str> {
        let members = self.value.split(';').filter(|member| !member.is_empty());
        members.filter(|member| !member.starts_with("th:") && !member.starts_with("rv:"))
    }

    /// Whether there is nothing in it, so that the member must not be there either.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.threshold.is_none() && self.randomness.is_none() && !self.has_others
    }

    pub(super) fn has_others(self) -> bool {
        self.has_others
    }
}

/// As the value of the member: `th`, `rv`, then the others in their order.
impl fmt::Display for OtelTraceState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::<LONG>::of(*self).as_str())
    }
}

/// The key and the content of the member that begins at `start` and ends with the value or at a separator.
fn member_at(value: &str, start: usize) -> Option<(&str, &str)> {
    let bytes = value.as_bytes();
    let colon = start + count_while(&bytes[start..], is_key);
    let content = colon + ":".len();
    if bytes.get(colon) != Some(&b':') || !bytes[start].is_ascii_lowercase() {
        return None;
    }
    let end = content + count_while(&bytes[content..], is_content);
    let is_whole = bytes.get(end).is_none_or(|next| *next == b';');
    is_whole.then(|| (&value[start..colon], &value[content..end]))
}

fn count_while(bytes: &[u8], is_wanted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_wanted(**byte)).count()
}

/// Whether one of the members that came before has this key.
fn is_taken(earlier: &str, key: &str) -> bool {
    let mut members = earlier.split_terminator(';');
    members.any(|member| member.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}

fn form_of_threshold(threshold: Option<Threshold>, content: &str) -> Form {
    match threshold {
        None => Form::Malformed,
        Some(_) if content.len() > 1 && content.ends_with('0') => Form::Padded,
        Some(_) => Form::Sound,
    }
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_content(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl fmt::Display for MalformedTraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a value of the `ot` member of a trace state")
    }
}

impl std::error::Error for MalformedTraceState {}
