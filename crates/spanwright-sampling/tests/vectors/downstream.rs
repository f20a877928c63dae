//! A second stage: opentelemetry-collector-contrib `processor/probabilisticsamplerprocessor/tracesprocessor_test.go`.
//!
//! Without the rows for attributes by which a span has priority, and for percentages above 100, which are settings of theirs. The
//! rows with an `rv` in upper case are here in lower case: that processor takes both, the specification takes one.

use opentelemetry::TraceId;
use spanwright_sampling::{Downstream, DownstreamFault, Precision, Threshold};

use crate::json::number;

/// Sampled at 50 %, and not at 49 %.
const HALF: &str = "fefefefefefefefefe80000000000000";

/// Sampled at every probability.
const LAST: &str = "111111111111111111ffffffffffffff";

const FULL: u8 = 14;

/// A trace, a share, digits, what comes; and `th` of what goes, or nothing: equalizing, proportional.
type Row = (&'static str, &'static str, u8, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (HALF, "1", FULL, "", "0", "0"),
    (HALF, "0.5", FULL, "", "8", "8"),
    (HALF, "0.49", FULL, "", "", ""),
    ("ddddddddddddddddddc0000000000000", "0.25", FULL, "", "c", "c"),
    ("ddddddddddddddddddb0000000000000", "0.25", FULL, "", "", ""),
    (
        HALF,
        "0.01",
        FULL,
        "rv:fd70a3d70a3d71",
        "fd70a3d70a3d71",
        "fd70a3d70a3d71",
    ),
    (HALF, "0.01", 4, "rv:fd70a3d70a3d71", "fd70a", "fd70a"),
    (HALF, "0.01", 3, "rv:fd70a3d70a3d71", "", ""),
    (HALF, "0.01", FULL, "rv:fd70a3d70a3d70", "", ""),
    (
        HALF,
        "0.01",
        FULL,
        "rv:fd70b000000000",
        "fd70a3d70a3d71",
        "fd70a3d70a3d71",
    ),
    ("a0a0a0a0a0a0a0a0a0fe000000000000", "0.01", 4, "", "fd70a", "fd70a"),
    (HALF, "0.5", FULL, "rv:90000000000000;th:80000000000000", "8", ""),
    (HALF, "0.25", FULL, "th:8", "", ""),
    ("ffffffffffffffffffffffffffffffff", "0.25", FULL, "th:8", "c", "e"),
    (HALF, "0.5", FULL, "rv:c0000000000000;th:8", "8", "c"),
    (HALF, "0.4", 3, "rv:a0000000000000", "99a", "99a"),
    ("a0a0a0a0a0a0a0a0a0d0000000000000", "0.4", 6, "th:8", "99999a", "cccccd"),
    ("a0a0a0a0a0a0a0a0a0b0000000000000", "0.4", 3, "th:8", "99a", ""),
    ("a0a0a0a0a0a0a0a0a080000000000000", "0.4", 3, "th:8", "", ""),
    (LAST, "0x1p-14", FULL, "th:fffc", "fffc", "fffffff"),
    // Their share is a `float32`, this one.
    (LAST, "0.9999992370605468", 10, "", "00000cccccccd", "00000cccccccd"),
    // 2^-4 percent of 2^-53 is too little for proportion, and more than enough to equalize.
    (LAST, "0.000625", FULL, "th:fffffffffffff8", "fffffffffffff8", ""),
    // Nothing of anything.
    (LAST, "0", FULL, "", "", ""),
    // What comes is not lowered where a threshold is rounded down.
    (LAST, "1", 1, "th:12345", "12345", "12345"),
];

fn trace(id: &str) -> TraceId {
    TraceId::from_hex(id).expect("as the vectors have it")
}

#[test]
fn thresholds_rise_to_the_same_or_by_the_same() {
    for (id, share, digits, ot, equalized, proportional) in ROWS {
        let precision = Precision::new(*digits).expect("as the vectors have it");
        let share = number(share);
        let stages = [
            (
                Downstream::equalizing(share).expect("as the vectors have it"),
                equalized,
            ),
            (
                Downstream::proportional(share).expect("as the vectors have it"),
                proportional,
            ),
        ];
        for (stage, expected) in stages {
            let ot = Some(*ot).filter(|ot| !ot.is_empty());
            let decision = stage.with_precision(precision).decide(trace(id), ot);
            let what = format!("{id} {ot:?} {stage:?}");
            assert_eq!(
                decision.threshold.map(|th| th.to_string()).unwrap_or_default(),
                **expected,
                "{what}"
            );
            assert_eq!(decision.is_kept, !expected.is_empty(), "{what}");
            assert_eq!(decision.fault, None, "{what}");
        }
    }
}

/// What is wrong with it is told, and it does not pass.
#[test]
fn what_is_not_certain_does_not_pass() {
    use DownstreamFault::{InconsistentThreshold, MalformedTraceState, MissingRandomness};
    let rows = [
        (TraceId::INVALID, "", MissingRandomness),
        (trace(HALF), "rv:abababababababab", MalformedTraceState),
        (trace(HALF), "th:abababababababab", MalformedTraceState),
        (trace(HALF), "th:-1", MalformedTraceState),
        (trace("ffffffffffffffffff70000000000000"), "th:8", InconsistentThreshold),
        (trace(HALF), "th:8;rv:70000000000000", InconsistentThreshold),
        (trace(HALF), "rv:40000000000000;th:8", InconsistentThreshold),
    ];
    for (id, ot, fault) in rows {
        for stage in [
            Downstream::equalizing(1.0).expect("as the vectors have it"),
            Downstream::proportional(1.0).expect("as the vectors have it"),
        ] {
            let ot = Some(ot).filter(|ot| !ot.is_empty());
            let decision = stage.decide(id, ot);
            assert_eq!(
                (decision.is_kept, decision.threshold, decision.fault),
                (false, None, Some(fault)),
                "{ot:?}"
            );
            // Where it may pass, a threshold that is not so counts as none, and one that cannot be checked stays.
            let decision = stage.with_fail_closed(false).decide(id, ot);
            let expected = (fault == InconsistentThreshold).then_some(Threshold::ALWAYS);
            assert_eq!(
                (decision.is_kept, decision.threshold, decision.fault),
                (true, expected, Some(fault)),
                "{ot:?}"
            );
        }
    }
    let unchecked = Downstream::equalizing(0.5)
        .expect("as the vectors have it")
        .with_fail_closed(false);
    assert_eq!(
        unchecked.decide(TraceId::INVALID, Some("th:c")).threshold,
        Threshold::parse("c")
    );
    let unlikely = Downstream::equalizing(0.01)
        .expect("as the vectors have it")
        .with_fail_closed(false);
    assert!(!unlikely.decide(trace(HALF), Some("rv:40000000000000;th:8")).is_kept);
}

#[test]
fn a_share_is_a_share() {
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Downstream::equalizing(share).unwrap_err().field(), "ratio");
        assert_eq!(Downstream::proportional(share).unwrap_err().field(), "ratio");
    }
}
