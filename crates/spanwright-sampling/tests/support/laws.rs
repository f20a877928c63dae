//! What holds of every value of an `ot` member, and of every decision.
//!
//! The fuzz target uses these too, so they need nothing but the crate and the API.

use opentelemetry::TraceId;
use opentelemetry::trace::{SpanContext, TraceState};
use spanwright_sampling::{Decision, OtelTraceState, Outcome, Randomness, Threshold};

/// The most members that a trace state has.
const MAX_MEMBERS: usize = 32;

/// What a reader without any hurry makes of a value.
struct Read<'a> {
    threshold: Option<Threshold>,
    randomness: Option<Randomness>,
    others: Vec<&'a str>,
    /// Whether `th` or `rv` was there and was none.
    is_damaged: bool,
}

fn read(value: &str) -> Option<Read<'_>> {
    let mut read = Read {
        threshold: None,
        randomness: None,
        others: Vec::new(),
        is_damaged: false,
    };
    let mut keys = Vec::new();
    for member in value.split(';') {
        let (key, content) = member.split_once(':')?;
        let mut letters = key.chars();
        let is_key = letters.next()?.is_ascii_lowercase()
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        let is_content = content
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter));
        if !is_key || !is_content || keys.contains(&key) {
            return None;
        }
        keys.push(key);
        match key {
            "th" => {
                read.threshold = threshold(content);
                read.is_damaged |= read.threshold.is_none();
            }
            "rv" => {
                read.randomness = (content.len() == 14)
                    .then(|| hex(content))
                    .flatten()
                    .map(Randomness::new);
                read.is_damaged |= read.randomness.is_none();
            }
            _ => read.others.push(member),
        }
    }
    (value.len() <= 256).then_some(read)
}

fn threshold(content: &str) -> Option<Threshold> {
    if content.is_empty() || content.len() > 14 {
        return None;
    }
    Threshold::from_bits(hex(&format!("{content:0<14}"))?)
}

fn hex(digits: &str) -> Option<u64> {
    let is_lower = digits.chars().all(|digit| "0123456789abcdef".contains(digit));
    u64::from_str_radix(digits, 16).ok().filter(|_| is_lower)
}

/// Reading says what the grammar says, and what is written says the same when it is read.
pub(crate) fn assert_reads_by_the_grammar(value: &str) {
    let expected = read(value).filter(|read| !read.is_damaged);
    let Ok(state) = OtelTraceState::parse(value) else {
        assert!(expected.is_none(), "{value:?} is refused");
        return;
    };
    let expected = expected.unwrap_or_else(|| panic!("{value:?} is taken"));
    assert_eq!(state.threshold, expected.threshold, "{value:?}");
    assert_eq!(state.randomness, expected.randomness, "{value:?}");
    assert_eq!(state.others().collect::<Vec<_>>(), expected.others, "{value:?}");

    let written = state.to_string();
    assert!(written.len() <= value.len(), "{value:?} grew to {written:?}");
    let again = OtelTraceState::parse(&written).unwrap_or_else(|_| panic!("{written:?} is refused"));
    assert_eq!(again.threshold, state.threshold, "{value:?}");
    assert_eq!(again.randomness, state.randomness, "{value:?}");
    assert!(again.others().eq(state.others()), "{value:?} became {written:?}");
    assert_eq!(again.to_string(), written, "what is canonical stays");
}

/// No decision loses what is not its own, and none says of a span what is not so.
pub(crate) fn assert_lawful(parent: Option<&SpanContext>, trace_id: TraceId, decision: &Decision) {
    let came = parent.map(SpanContext::trace_state).unwrap_or(&TraceState::NONE);
    let goes = &decision.trace_state;
    let what = format!("{parent:?} -> {decision:?}");
    assert_members_of_others(came, goes, &what);

    let own: Vec<&str> = members(goes, true).map(|(_, value)| value).collect();
    assert!(own.len() <= members(came, true).count().max(1), "{what}");
    let own = own
        .first()
        .map(|value| read(value).unwrap_or_else(|| panic!("not readable: {what}")));
    let ot = came_with(came);
    let threshold = own.as_ref().and_then(|own| own.threshold);
    let randomness = own.as_ref().and_then(|own| own.randomness);
    assert!(own.as_ref().is_none_or(|own| !own.is_damaged), "{what}");

    if let Some(ot) = &ot {
        let others = own.as_ref().map(|own| own.others.clone()).unwrap_or_default();
        assert_eq!(others, ot.others, "members that are not known: {what}");
        assert!(
            ot.randomness.is_none() || ot.randomness == randomness,
            "`rv` changed: {what}"
        );
    }
    let of_trace = randomness.unwrap_or_else(|| Randomness::of_trace_id(trace_id));
    match decision.outcome {
        Outcome::RecordAndSample => {
            assert!(
                threshold.is_none_or(|threshold| threshold.keeps(of_trace)),
                "inconsistent: {what}"
            );
        }
        Outcome::RecordOnly | Outcome::Drop => assert_eq!(threshold, None, "{what}"),
    }
    let mut keys: Vec<&str> = decision
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    keys.sort_unstable();
    assert!(
        keys.windows(2).all(|pair| pair[0] != pair[1]),
        "an attribute twice: {what}"
    );
}

/// The readable one of a trace state.
fn came_with(trace_state: &TraceState) -> Option<Read<'_>> {
    let values: Vec<&str> = members(trace_state, true).map(|(_, value)| value).collect();
    match values.as_slice() {
        [value] => read(value),
        _ => None,
    }
}

/// They stay, in their order, but for the last one of 32 that an `ot` member comes to.
fn assert_members_of_others(came: &TraceState, goes: &TraceState, what: &str) {
    let came: Vec<_> = members(came, false).collect();
    let others: Vec<_> = members(goes, false).collect();
    let is_displaced = came.len() == MAX_MEMBERS && members(goes, true).count() == 1;
    let expected = &came[..came.len() - usize::from(is_displaced)];
    assert_eq!(others, expected, "{what}");
}

fn members(trace_state: &TraceState, is_own: bool) -> impl Iterator<Item = (&str, &str)> {
    trace_state.into_iter().filter(move |(key, _)| (*key == "ot") == is_own)
}
