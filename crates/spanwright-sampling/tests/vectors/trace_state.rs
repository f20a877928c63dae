//! The value of an `ot` member: what is one, and what is written for it.

use spanwright_sampling::{OtelTraceState, Threshold};

use crate::json::{float, number, rows, text};

fn parsed(value: &str) -> OtelTraceState<'_> {
    OtelTraceState::parse(value).unwrap_or_else(|_| panic!("{value:?} is refused"))
}

#[test]
fn the_collectors_good_and_bad_values() {
    for value in rows("E_ot_parse/ok") {
        let value = value.as_str().expect("as the vectors have it");
        let others = value
            .split(';')
            .filter(|member| !member.starts_with("th:") && !member.starts_with("rv:"));
        assert!(parsed(value).others().eq(others), "{value}");
    }
    for table in ["E_ot_parse/err_syntax", "E_ot_parse/err_size"] {
        for value in rows(table) {
            let value = value.as_str().expect("as the vectors have it");
            assert!(OtelTraceState::parse(value).is_err(), "{value:?}");
        }
    }
}

/// `pkg/sampling/oteltracestate_test.go`: those that the table above does not have. A value, `rv`, `th` as it is written, others.
const MORE_GOOD: &[(&str, &str, &str, &[&str])] = &[
    ("th:ab", "", "ab", &[]),
    ("th:1000", "", "1", &[]),
    ("e1:1;e2:2", "", "", &["e1:1", "e2:2"]),
    ("extra:stuff;th:2", "", "2", &["extra:stuff"]),
    ("th:1;e100:100;e101:101", "", "1", &["e100:100", "e101:101"]),
    ("x:1;u:V", "", "", &["x:1", "u:V"]),
    ("extra:stuff;rv:22222222222222", "22222222222222", "", &["extra:stuff"]),
    ("rv:ffffffffffffff", "ffffffffffffff", "", &[]),
    ("x:0X1FFF;y:.-_-.;z:", "", "", &["x:0X1FFF", "y:.-_-.", "z:"]),
    ("rv:10000000000000;th:3;a:b;c:d", "10000000000000", "3", &["a:b", "c:d"]),
    // `w3ctracestate_test.go`
    ("th:c;rv:d29d6a7215ced0;pn:abc", "d29d6a7215ced0", "c", &["pn:abc"]),
    ("th:100;rv:abcdabcdabcdff", "abcdabcdabcdff", "1", &[]),
];

const MORE_BAD: &[&str] = &[
    // `pkg/sampling/oteltracestate_test.go`
    "th:1;",
    "th:1;p:2=s:3",
    ":;p:2=s:3",
    ":",
    "th:$",
    "th:14.5",
    "th:100000000000000",
    "1:1;u:V",
    "rv:fffffffffffffffff",
    "x:1;",
    "rv:3;p:2",
    // dotnet-contrib `OtelTraceStateTests`, for which a bad value is one that is left out
    "th:",
    "th:g",
    "th:123456789012345",
    "th:FD70A4",
    "th:fd70A4",
    "rv:6e6d1a75832a2",
    "rv:6e6d1a75832a2ff",
    "rv:6e6d1a75832axf",
    "rv:6E6D1A75832A2F",
    "rv:6e6d1a75832A2f",
    ";th:8",
    "malformed;th:8",
    "th:8;",
    "th:8;th:c",
    "rv:ffffffffffffff;rv:00000000000000",
    "foo:one;foo:two",
    "TH:8",
    "th:8;foo:contains spaces",
    // java-contrib `OtelTraceStateTest`
    "a",
    "#",
    " ",
    // ours
    "é:1",
    "a:é",
    "é",
    "a1:1;b:2;a1:3",
];

#[test]
fn more_good_and_bad_values() {
    for (value, rv, th, others) in MORE_GOOD {
        let state = parsed(value);
        assert_eq!(
            state.randomness.map(|rv| rv.to_string()).unwrap_or_default(),
            *rv,
            "{value}"
        );
        assert_eq!(
            state.threshold.map(|th| th.to_string()).unwrap_or_default(),
            *th,
            "{value}"
        );
        assert!(state.others().eq(others.iter().copied()), "{value}");
    }
    for value in MORE_BAD {
        assert!(OtelTraceState::parse(value).is_err(), "{value:?}");
    }
}

/// opentelemetry-java `OtelTraceStateTest`, js `tracestate.test.ts`, python `test_tracestate.py`, java-contrib: what comes, and what
/// goes. Where nothing goes, the value is refused.
const ROUND_TRIPS: &[(&str, &str)] = &[
    ("", ""),
    (";", ""),
    ("animal:bear;food:pizza", "animal:bear;food:pizza"),
    ("rv:1234567890abcd", "rv:1234567890abcd"),
    ("rv:01020304050607", "rv:01020304050607"),
    ("rv:1234567890abcde", ""),
    ("th:1234567890abcd", "th:1234567890abcd"),
    ("th:01020304050607", "th:01020304050607"),
    ("th:10000000000000", "th:1"),
    ("th:1234500000000", "th:12345"),
    ("th:0", "th:0"),
    ("th:00", "th:0"),
    ("th:100000000000000", ""),
    ("th:1234567890abcde", ""),
    ("th:", ""),
    ("th:x", ""),
    ("th:1000000000000", "th:1"),
    ("th:100000000000", "th:1"),
    ("th:10000000000", "th:1"),
    ("th:1000000000", "th:1"),
    ("th:100000000", "th:1"),
    ("th:10000000", "th:1"),
    ("th:1000000", "th:1"),
    ("th:100000", "th:1"),
    ("th:10000", "th:1"),
    ("th:1000", "th:1"),
    ("th:100", "th:1"),
    ("th:10", "th:1"),
    ("th:1", "th:1"),
    ("th:10000000000001", "th:10000000000001"),
    ("th:10000000000010", "th:1000000000001"),
    ("rv:x", ""),
    ("rv:xxxxxxxxxxxxxx", ""),
    ("rv:100000000000000", ""),
    ("rv:10000000000000", "rv:10000000000000"),
    ("rv:1000000000000", ""),
    ("e100:100;th:8;e101:101", "th:8;e100:100;e101:101"),
    ("x:0X1FFF;y:.-_-.;z:", "x:0X1FFF;y:.-_-.;z:"),
    ("a:b;rv:12341234123412;th:1234", "th:1234;rv:12341234123412;a:b"),
    // Java, JavaScript and Python keep members that are none: `a`, `#`, `a;b`. The specification has no such members, .NET and
    // java-contrib leave the value out, and so do we.
    ("a", ""),
    ("#", ""),
    ("a;", ""),
    ("a;b;", ""),
];

#[test]
fn what_is_read_is_written_in_one_way() {
    for (value, expected) in ROUND_TRIPS {
        let written = OtelTraceState::parse(value).map(|state| state.to_string());
        assert_eq!(written.unwrap_or_default(), *expected, "{value:?}");
    }
    let long = |filler: usize| format!("a:{};rv:1234567890abcd;th:1234567890abcd;x:3", "X".repeat(filler));
    let fits = long(214);
    let expected = format!("th:1234567890abcd;rv:1234567890abcd;a:{};x:3", "X".repeat(214));
    assert_eq!(parsed(&fits).to_string(), expected);
    assert!(OtelTraceState::parse(&long(215)).is_err());
}

#[test]
fn the_threshold_comes_first() {
    for row in rows("E_ot_parse/serialize") {
        // We write as Java, JavaScript and .NET do, and take what the collector writes.
        let expected = text(&row, "out_java_js_dotnet");
        assert_eq!(parsed(text(&row, "out_collector")).to_string(), expected);
        assert_eq!(parsed(expected).to_string(), expected);
    }
}

#[test]
fn another_threshold_leaves_the_rest() {
    let third = Threshold::parse("3");
    assert_eq!(parsed("a:b").with_threshold(third).to_string(), "th:3;a:b");
    assert_eq!(
        parsed("rv:abcdefabcdefab").with_threshold(third).to_string(),
        "th:3;rv:abcdefabcdefab"
    );
    assert_eq!(
        parsed("th:8;rv:6e6d1a75832a2f").with_threshold(None).to_string(),
        "rv:6e6d1a75832a2f"
    );
    let bare = parsed("a:b;rv:12341234123412;th:1234")
        .with_threshold(None)
        .with_randomness(None);
    assert_eq!(bare.to_string(), "a:b");
    assert!(parsed("th:8").with_threshold(None).is_empty());
}

/// Thresholds rise or stay, as `UpdateTValueWithSampling` has it: what a later stage wants below the first one is an error there,
/// and has no effect here.
#[test]
fn a_threshold_only_rises() {
    for row in rows("E_ot_parse/update") {
        let ot = Some(text(&row, "ot")).filter(|value| !value.is_empty());
        let incoming = ot.and_then(|value| parsed(value).threshold);
        let wanted = Threshold::from_probability(number(text(&row, "p"))).expect("as the vectors have it");
        let outgoing = incoming.unwrap_or_default().max(wanted);
        assert_eq!(parsed(text(&row, "out")).threshold, Some(outgoing), "{row}");
        if let Some(count) = row["out_count"].as_f64() {
            assert_eq!(outgoing.adjusted_count(), count, "{row}");
        }
        if row["count"].as_f64().is_some_and(|count| count > 0.0) {
            assert_eq!(
                incoming.expect("as the vectors have it").adjusted_count(),
                float(&row, "count"),
                "{row}"
            );
        }
    }
}
