//! The member among the others.

use opentelemetry::trace::TraceState;

use super::text::{LONG, SHORT, Text};
use super::{Form, KEY, MAX_LEN, MAX_MEMBERS, OtelTraceState};
use crate::probability::{Randomness, Threshold};

/// A trace state with another `ot` member.
#[derive(Debug, PartialEq)]
pub(crate) enum Written {
    /// All is in it.
    Whole(TraceState),
    /// It was full: the last one of the others had to go.
    Displacing(TraceState),
    /// Nothing was written, because the value would be longer than a trace state allows.
    TooLong,
}

/// What the `ot` member says; nothing if there is none. One that is there twice says nothing that is certain.
pub(crate) fn read(trace_state: &TraceState) -> (OtelTraceState<'_>, Form) {
    only(
        trace_state
            .into_iter()
            .filter(|(key, _)| *key == KEY)
            .map(|(_, value)| value),
    )
}

/// What the only one of these values of `ot` says.
pub(super) fn only<'a>(mut values: impl Iterator<Item = &'a str>) -> (OtelTraceState<'a>, Form) {
    let Some(value) = values.next() else {
        return (OtelTraceState::default(), Form::Sound);
    };
    let scanned = OtelTraceState::scan(value).ok().filter(|_| values.next().is_none());
    scanned.unwrap_or((OtelTraceState::default(), Form::Malformed))
}

/// `trace_state` with `ot` as its OpenTelemetry member. It goes first, as W3C wants it of what has changed, and stays where it is
/// if it is what was there. Where there is nothing in `ot`, there is no member either.
///
/// # Cost
///
/// As a clone of the trace state.
#[inline]
pub(crate) fn write(trace_state: Option<&TraceState>, ot: OtelTraceState<'_>) -> Written {
    if ot.has_others() {
        write_value(trace_state, Text::<LONG>::of(ot).as_str())
    } else {
        write_value(trace_state, Text::<SHORT>::of(ot).as_str())
    }
}

/// A trace state with nothing but this in it.
pub(crate) fn begin(threshold: Option<Threshold>, randomness: Option<Randomness>) -> TraceState {
    let ot = OtelTraceState::default()
        .with_threshold(threshold)
        .with_randomness(randomness);
    alone(Text::<SHORT>::of(ot).as_str())
}

/// `trace_state` with what `ot` says besides its threshold, which came with it: so there is always room.
pub(crate) fn without_threshold(trace_state: Option<&TraceState>, ot: OtelTraceState<'_>) -> TraceState {
    match write(trace_state, ot.with_threshold(None)) {
        Written::Whole(written) | Written::Displacing(written) => written,
        Written::TooLong => trace_state.cloned().unwrap_or_default(),
    }
}

/// A trace state with this member only, if there is anything in it.
#[inline]
fn alone(value: &str) -> TraceState {
    if value.is_empty() {
        return TraceState::NONE;
    }
    // What we write ourselves is always taken.
    TraceState::NONE.insert(KEY, value).unwrap_or_default()
}

#[inline]
fn write_value(trace_state: Option<&TraceState>, value: &str) -> Written {
    if value.len() > MAX_LEN {
        return Written::TooLong;
    }
    let Some(trace_state) = trace_state else {
        return Written::Whole(alone(value));
    };
    let member = (!value.is_empty()).then_some((KEY, value));
    let others = || trace_state.into_iter().filter(|(key, _)| *key != KEY);
    let members = || trace_state.into_iter().filter(|(key, _)| *key == KEY);
    if members().eq(member) {
        return Written::Whole(trace_state.clone());
    }
    let is_full = member.is_some() && others().count() >= MAX_MEMBERS;
    // What comes from a trace state is taken.
    let written = TraceState::from_key_value(member.into_iter().chain(others()));
    let written = written.unwrap_or_else(|_| trace_state.clone());
    if is_full {
        Written::Displacing(written)
    } else {
        Written::Whole(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace_state(header: &str) -> TraceState {
        header.parse().expect("a trace state")
    }

    fn written(header: &str, value: &str) -> String {
        let ot = if value.is_empty() {
            OtelTraceState::default()
        } else {
            OtelTraceState::parse(value).expect("a value")
        };
        match write(Some(&trace_state(header)), ot) {
            Written::Whole(trace_state) => trace_state.header(),
            Written::Displacing(trace_state) => format!("displacing {}", trace_state.header()),
            Written::TooLong => "too long".to_owned(),
        }
    }

    #[test]
    fn what_is_written_goes_first_and_the_others_keep_their_order() {
        assert_eq!(written("", "th:8"), "ot=th:8");
        assert_eq!(written("a=1,b=2", "th:8"), "ot=th:8,a=1,b=2");
        assert_eq!(written("a=1,ot=th:4,b=2", "x:1;th:8"), "ot=th:8;x:1,a=1,b=2");
    }

    #[test]
    fn where_nothing_is_left_no_member_is_left() {
        assert_eq!(written("a=1,ot=th:4,b=2", ""), "a=1,b=2");
        assert_eq!(written("ot=th:4", ""), "");
        assert_eq!(
            write(Some(&trace_state("ot=th:4")), OtelTraceState::default()),
            Written::Whole(TraceState::NONE)
        );
    }

    #[test]
    fn of_a_member_that_is_there_twice_nothing_is_taken_and_nothing_stays() {
        let twice = trace_state("ot=th:4,a=1,ot=th:8");
        assert_eq!(read(&twice), (OtelTraceState::default(), Form::Malformed));
        assert_eq!(written("ot=th:4,a=1,ot=th:8", ""), "a=1");
    }

    #[test]
    fn a_full_list_loses_its_last_member_to_a_new_one_and_none_to_a_changed_one() {
        let vendors = |count: usize| (0..count).map(|n| format!("v{n}=1")).collect::<Vec<_>>().join(",");
        let expected = format!("displacing ot=th:8,{}", vendors(31));
        assert_eq!(written(&vendors(32), "th:8"), expected);
        assert_eq!(written(&vendors(32), ""), vendors(32));
        assert_eq!(
            written(&format!("{},ot=th:4", vendors(31)), "th:8"),
            format!("ot=th:8,{}", vendors(31))
        );
    }

    #[test]
    fn a_value_may_have_256_characters() {
        let fits = format!("th:8;x:{}", "y".repeat(256 - 7));
        assert_eq!(written("", &fits), format!("ot={fits}"));
        let full = format!("x:{}", "y".repeat(254));
        let state = OtelTraceState::parse(&full).expect("a value");
        let longer = state.with_threshold(Threshold::parse("8"));
        assert_eq!(write(None, longer), Written::TooLong);
    }
}
