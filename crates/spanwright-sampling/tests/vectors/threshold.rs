//! Probabilities, thresholds, randomness.

use opentelemetry::TraceId;
use spanwright_sampling::{Precision, Probability, Randomness, Threshold};

use crate::json::{float, integer, number, rows, text};

fn exact(probability: f64) -> Threshold {
    Threshold::from_probability(probability).unwrap_or_else(|| panic!("no threshold of {probability}"))
}

fn rounded(probability: f64, digits: usize) -> String {
    let precision =
        Precision::new(u8::try_from(digits).expect("as the vectors have it")).expect("as the vectors have it");
    exact(probability).with_precision(precision).to_string()
}

fn close(value: f64, expected: f64) -> bool {
    (value / expected - 1.0).abs() < 1e-15
}

#[test]
fn one_in_n_is_as_in_the_specification() {
    for row in rows("A_spec_one_in_n/rows") {
        let digits = usize::try_from(integer(&row, "precision")).expect("as the vectors have it");
        let th = rounded(1.0 / float(&row, "n"), digits);
        assert_eq!(th, text(&row, "th"), "{row}");
        let threshold = Threshold::parse(&th).expect("as the vectors have it");
        assert!(close(threshold.probability(), float(&row, "actual_p")), "{row}");
        assert!(
            close(threshold.adjusted_count(), float(&row, "adjusted_count")),
            "{row}"
        );
    }
}

#[test]
fn every_digit_of_a_probability_counts() {
    for row in rows("B_full_precision/rows") {
        let threshold = exact(number(text(&row, "p")));
        assert_eq!(threshold.to_string(), text(&row, "th"), "{row}");
        assert_eq!(Threshold::parse(text(&row, "th")), Some(threshold), "{row}");
        assert!(
            row["threshold"].is_null() || integer(&row, "threshold") == threshold.bits(),
            "{row}"
        );
    }
}

#[test]
fn what_is_no_probability_has_no_threshold() {
    for p in rows("B_full_precision/rejected") {
        let p = p.as_str().expect("as the vectors have it");
        let probability = number(p);
        assert_eq!(Threshold::from_probability(probability), None, "{p}");
        // As a sampler's ratio, what is too small to have a threshold is no mistake, and wants no span.
        let is_small = (0.0..0.5).contains(&probability);
        assert_eq!(Probability::new(probability).is_ok(), is_small, "{p}");
    }
    assert!(Probability::new(1e-300).is_ok());
}

#[test]
fn the_smallest_probabilities_keep_their_digits() {
    for row in rows("B2_tiny_precision3/rows") {
        assert_eq!(
            rounded(float(&row, "k") * 2_f64.powi(-56), 3),
            text(&row, "th"),
            "{row}"
        );
    }
}

/// opentelemetry-collector-contrib `pkg/sampling/{encoding,probability}_test.go`: a probability, and what its threshold is rounded
/// to. As many digits are asked for as there are after the leading zeros.
const PRECISIONS: &[(&str, &str, &[&str])] = &[
    (
        "1-0x456789ap-28",
        "456789a",
        &["45678a", "45679", "4568", "456", "45", "4"],
    ),
    (
        "1-0x456789ap-40",
        "000456789a",
        &["00045678a", "00045679", "0004568", "000456", "00045", "0004"],
    ),
    (
        "1-0x789abcdefp-40",
        "0789abcdef",
        &[
            "0789abcdef",
            "0789abcdf",
            "0789abce",
            "0789abd",
            "0789ac",
            "0789b",
            "078a",
            "079",
            "08",
        ],
    ),
    (
        "1-0x12345678p-32",
        "12345678",
        &["1234568", "123456", "12345", "1234", "123", "12", "1"],
    ),
    ("1-0x80801p-28", "0080801", &["00808", "008"]),
    ("1/3", "aaaaaaaaaaaaac", &["aab"]),
    ("2/3", "55555555555558", &["555"]),
];

#[test]
fn digits_that_only_say_how_large_do_not_count() {
    for (p, th, all) in PRECISIONS {
        let probability = number(p);
        assert_eq!(exact(probability).to_string(), *th, "{p}");
        for short in *all {
            let digits = short.trim_start_matches('0').len();
            assert_eq!(rounded(probability, digits), *short, "{p}");
        }
    }
    assert_eq!(rounded(1.0, 1), "0");
}

/// dotnet-contrib `ConsistentProbabilityTests`: a probability, digits asked for, `th`.
const MORE_PRECISIONS: &[(&str, usize, &str)] = &[
    ("1/2", 3, "8"),
    ("1/4", 13, "c"),
    ("1/8", 4, "e"),
    ("1/16", 3, "f"),
    ("1/3", 14, "aaaaaaaaaaaaac"),
    ("1-0x1p-8", 4, "01"),
    ("1-0x54p-8", 14, "54"),
    ("1-0x1p-52", 14, "0000000000001"),
    ("0x100p-56", 14, "ffffffffffff"),
    // Between a digit that counts and one that only says how small it is.
    ("0x1.fffffffffffffp-4", 1, "e"),
    ("0x1.0000000000001p-4", 1, "f"),
    ("0x1.0000000000001p-8", 1, "ff"),
];

#[test]
fn rounding_carries_into_digits_that_do_not_count() {
    for (p, digits, th) in MORE_PRECISIONS {
        assert_eq!(rounded(number(p), *digits), *th, "{p}");
    }
}

#[test]
fn a_th_says_how_much_is_kept() {
    for row in rows("D_decision/th_to_p") {
        let threshold = Threshold::parse(text(&row, "th")).expect("as the vectors have it");
        assert!(close(threshold.probability(), float(&row, "p")), "{row}");
        assert!(
            close(threshold.adjusted_count(), float(&row, "adjusted_count")),
            "{row}"
        );
    }
    for row in rows("D_decision/greater") {
        let [greater, less] = [0, 1].map(|at| {
            Threshold::parse(row[at].as_str().expect("as the vectors have it")).expect("as the vectors have it")
        });
        assert!(greater > less, "{row}");
    }
    // java-contrib `ConsistentSamplingUtilTest`.
    let last = Threshold::from_bits((1 << 56) - 1).expect("as the vectors have it");
    assert_eq!(last.adjusted_count(), 2_f64.powi(56));
    assert_eq!(Threshold::from_bits(1 << 56), None);
}

#[test]
fn a_randomness_is_kept_from_the_threshold_upwards() {
    for row in rows("D_decision/sample") {
        let randomness = Randomness::parse(text(&row, "r")).expect("as the vectors have it");
        let threshold = Threshold::parse(text(&row, "th")).expect("as the vectors have it");
        assert_eq!(
            threshold.keeps(randomness),
            row["keep"].as_bool().expect("as the vectors have it"),
            "{row}"
        );
        if let Some(trace_id) = row["trace_id"].as_str() {
            let trace_id = TraceId::from_hex(trace_id).expect("as the vectors have it");
            assert_eq!(Randomness::of_trace_id(trace_id), randomness, "{row}");
        }
    }
}

#[test]
fn a_rv_has_14_digits_in_lower_case() {
    for row in rows("D_decision/rv") {
        let rv = text(&row, "rv");
        let randomness = Randomness::parse(rv);
        assert_eq!(randomness.is_some(), row["ok"] == true, "{row}");
        assert!(
            randomness.is_none_or(|randomness| randomness.to_string() == rv),
            "{row}"
        );
    }
}

/// libdatadog `libdd-sampling/src/datadog_sampler.rs`: the last 64 bits of a trace id, and `rv`.
const DATADOG_IDS: &[(u64, &str)] = &[
    (1, "f0948a54d43b8e"),
    (10, "65cd67504a538e"),
    (100, "fa060922e7438e"),
    (1000, "c43c5b5d08a38e"),
    (u64::MAX, "0f6b75ab2bc471"),
    (83, "0028d980cf4f1c"),
    (18_444_899_399_302_180_863, "ef284ace7a91e1"),
];

/// The same: a rate, and `th`.
const DATADOG_RATES: &[(f64, &str)] = &[
    (0.01, "fd70a3d70a3d71"),
    (0.1, "e6666666666666"),
    (0.2, "cccccccccccccd"),
    (0.5, "8"),
    (0.99, "028f5c28f5c28f"),
    (1.0, "0"),
];

#[test]
fn a_trace_and_a_rate_mean_what_they_mean_to_datadog() {
    for (low, rv) in DATADOG_IDS {
        // What stands before the last 64 bits means nothing.
        for high in [0, 7] {
            let trace_id = TraceId::from(high << 64 | u128::from(*low));
            assert_eq!(Randomness::of_datadog_trace_id(trace_id).to_string(), *rv, "{low}");
        }
    }
    for (rate, th) in DATADOG_RATES {
        assert_eq!(
            Threshold::of_datadog_rate(*rate)
                .expect("as the vectors have it")
                .to_string(),
            *th,
            "{rate}"
        );
    }
    for rate in [0.0, -0.1, 1.1, f64::NAN, 4e-7] {
        assert_eq!(Threshold::of_datadog_rate(rate), None, "{rate}");
    }
    assert!(Threshold::of_datadog_rate(5e-7).is_some());
}
