//! Trace states as a whole: w3c/trace-context `test_tracestate.py` and `test.py`, collector-contrib
//! `pkg/sampling/w3ctracestate_test.go`, dotnet-contrib `OtelTraceStateTests`.
//!
//! What is a header and what is none is the API's to say. What is ours is that whatever it takes goes on, but for our own member.

use opentelemetry::trace::TraceState;
use spanwright_sampling::{AlwaysOff, AlwaysOn, CompositeSampler};

use crate::support::{decide, parent, trace};

/// A header, and what it goes on as with `th:8` decided, and without.
const HEADERS: &[(&str, &str, &str)] = &[
    ("", "ot=th:0", ""),
    (",,,", "ot=th:0", ""),
    ("foo=1", "ot=th:0,foo=1", "foo=1"),
    ("foo=1,bar=2,baz=3", "ot=th:0,foo=1,bar=2,baz=3", "foo=1,bar=2,baz=3"),
    ("foo=1, \t bar=2", "ot=th:0,foo=1,bar=2", "foo=1,bar=2"),
    ("foo=1,\t \tbar=2", "ot=th:0,foo=1,bar=2", "foo=1,bar=2"),
    (" ot=th:1 ", "ot=th:0", ""),
    (" , ot=th:1, , other=value ", "ot=th:0,other=value", "other=value"),
    (
        "ot=th:100;rv:abcdabcdabcdff",
        "ot=th:0;rv:abcdabcdabcdff",
        "ot=rv:abcdabcdabcdff",
    ),
    (
        "ot=rv:ffffffffffffff,unknown=value,other=something",
        "ot=th:0;rv:ffffffffffffff,unknown=value,other=something",
        "ot=rv:ffffffffffffff,unknown=value,other=something",
    ),
    (
        "tenant@system=value,ot@system=th:8",
        "ot=th:0,tenant@system=value,ot@system=th:8",
        "tenant@system=value,ot@system=th:8",
    ),
    (
        "0tenant@system=value,a_-*/=1",
        "ot=th:0,0tenant@system=value,a_-*/=1",
        "0tenant@system=value,a_-*/=1",
    ),
    (
        "malformed=,vendor=value",
        "ot=th:0,malformed=,vendor=value",
        "malformed=,vendor=value",
    ),
    // Twice is not allowed, and which of them is meant nobody can know.
    ("ot=th:8,vendor=value,ot=th:c", "ot=th:0,vendor=value", "vendor=value"),
    // Our own member has not changed, so it stays where it is.
    ("vendor=value,ot=th:0", "vendor=value,ot=th:0", "vendor=value"),
    ("vendor=value,ot=x:1", "ot=th:0;x:1,vendor=value", "vendor=value,ot=x:1"),
];

fn goes_on(header: &str, is_kept: bool) -> String {
    let trace_id = trace(0xff_ffff_ffff_ffff);
    let parent = parent(trace_id, true, header);
    let decision = if is_kept {
        decide(&CompositeSampler::new(AlwaysOn), Some(&parent), trace_id)
    } else {
        decide(&CompositeSampler::new(AlwaysOff), Some(&parent), trace_id)
    };
    decision.trace_state.header()
}

#[test]
fn the_members_of_others_go_on_in_their_order() {
    for (header, kept, dropped) in HEADERS {
        assert_eq!(goes_on(header, true), *kept, "{header:?}");
        assert_eq!(goes_on(header, false), *dropped, "{header:?}");
    }
}

#[test]
fn every_character_that_may_be_in_a_value_goes_on() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a";
    let characters: String = (' '..='~').filter(|letter| !",=".contains(*letter)).collect();
    let state = TraceState::from_key_value([(key, characters.trim())]).expect("as the vectors have it");
    let header = state.header();
    assert_eq!(goes_on(&header, false), header);
    assert_eq!(goes_on(&header, true), format!("ot=th:0,{header}"));
}

#[test]
fn of_32_members_the_last_gives_way_and_of_more_the_first_32_are_taken() {
    let vendors = |count: usize| {
        (0..count)
            .map(|n| format!("vendor{n}=value"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(goes_on(&vendors(32), true), format!("ot=th:0,{}", vendors(31)));
    assert_eq!(goes_on(&vendors(32), false), vendors(32));
    assert_eq!(goes_on(&vendors(3200), false), vendors(32));
    assert_eq!(
        goes_on(&format!("{},ot=th:8", vendors(31)), true),
        format!("ot=th:0,{}", vendors(31))
    );

    let sampler = CompositeSampler::new(AlwaysOn);
    let trace_id = trace(1);
    for count in [31, 32] {
        _ = decide(&sampler, Some(&parent(trace_id, true, &vendors(count))), trace_id);
    }
    assert_eq!(sampler.stats().displaced_members, 1);
}
