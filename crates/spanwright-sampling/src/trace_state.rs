//! The `ot` member of a trace state, where probability and randomness travel.
//!
//! # Source
//!
//! [TraceState: OpenTelemetry's member](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/).

use std::fmt::{self, Write};

use opentelemetry::trace::TraceState;

use crate::probability::{Randomness, Threshold};

/// The key of OpenTelemetry's own member.
pub(crate) const KEY: &str = "ot";

/// The most characters that its value may have.
const MAX_LEN: usize = 256;

/// The most members that a trace state has: one that comes in front pushes the last one out.
const MAX_MEMBERS: usize = 32;

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
}

/// The value of an `ot` member is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MalformedTraceState(());

impl<'a> OtelTraceState<'a> {
    /// Reads the value of an `ot` member.
    ///
    /// # Errors
    ///
    /// Longer than 256 characters, a member that is not `key:value`, a key that is there twice, or a `th` or `rv` that is none.
    pub fn parse(value: &'a str) -> Result<Self, MalformedTraceState> {
        const MALFORMED: MalformedTraceState = MalformedTraceState(());
        if value.is_empty() || value.len() > MAX_LEN {
            return Err(MALFORMED);
        }
        let mut state = Self {
            value,
            ..Self::default()
        };
        for (index, member) in value.split(';').enumerate() {
            let (key, content) = member.split_once(':').ok_or(MALFORMED)?;
            if !is_key(key) || !content.bytes().all(is_content) {
                return Err(MALFORMED);
            }
            let earlier = value.split(';').take(index).filter_map(|member| member.split_once(':'));
            if earlier.into_iter().any(|(earlier, _)| earlier == key) {
                return Err(MALFORMED);
            }
            match key {
                "th" => state.threshold = Some(Threshold::parse(content).ok_or(MALFORMED)?),
                "rv" => state.randomness = Some(Randomness::parse(content).ok_or(MALFORMED)?),
                _ => {}
            }
        }
        Ok(state)
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
        self.threshold.is_none() && self.randomness.is_none() && self.others().next().is_none()
    }
}

/// As the value of the member: `th`, `rv`, then the others in their order.
impl fmt::Display for OtelTraceState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut next = || std::mem::replace(&mut separator, ";");
        if let Some(threshold) = self.threshold {
            write!(f, "{}th:{threshold}", next())?;
        }
        if let Some(randomness) = self.randomness {
            write!(f, "{}rv:{randomness}", next())?;
        }
        self.others().try_for_each(|other| write!(f, "{}{other}", next()))
    }
}

/// `trace_state` with `ot` as its OpenTelemetry member: written first if it changed, left where it is if not, removed if empty.
///
/// `None` if the value would be longer than a trace state allows.
pub(crate) fn with_ot(trace_state: Option<&TraceState>, ot: OtelTraceState<'_>) -> Option<TraceState> {
    let old = trace_state.and_then(|trace_state| trace_state.get(KEY));
    let mut value = String::new();
    if !ot.is_empty() {
        value.reserve_exact(ot.value.len() + "th:;rv:;".len() + 28);
        write!(value, "{ot}").ok()?;
        if value.len() > MAX_LEN {
            return None;
        }
    }
    let trace_state = trace_state.unwrap_or(&TraceState::NONE);
    match old {
        None if value.is_empty() => Some(trace_state.clone()),
        Some(old) if old == value => Some(trace_state.clone()),
        Some(_) if value.is_empty() => trace_state.delete(KEY).ok(),
        _ => trace_state.insert(KEY, value).ok(),
    }
}

/// The value of a member in the header's form of a trace state: `key=value,key=value`.
pub(crate) fn member<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let mut members = header.split(',').filter_map(|member| member.split_once('='));
    members.find_map(|(known, value)| (known == key).then_some(value))
}

/// As [`with_ot`], from the header's form to the header's form. False, and `out` is empty, if the value would be too long.
pub(crate) fn header_with_ot(header: &str, ot: OtelTraceState<'_>, out: &mut String) -> bool {
    out.clear();
    let old = member(header, KEY);
    if !ot.is_empty() {
        // A `String` takes whatever is written to it.
        let _ = write!(out, "{KEY}={ot}");
        let len = out.len() - KEY.len() - 1;
        if len > MAX_LEN {
            out.clear();
            return false;
        }
    }
    let is_same = match old {
        Some(old) => out.get(KEY.len() + 1..) == Some(old),
        None => out.is_empty(),
    };
    if is_same {
        out.clear();
        out.push_str(header);
        return true;
    }
    let mut is_old_left_out = false;
    let others = header.split(',').filter(|member| {
        let is_old = !is_old_left_out && member.split_once('=').is_some_and(|(key, _)| key == KEY);
        is_old_left_out |= is_old;
        !member.is_empty() && !is_old
    });
    let room = if out.is_empty() { MAX_MEMBERS } else { MAX_MEMBERS - 1 };
    for other in others.take(room) {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(other);
    }
    true
}

fn is_key(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
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
