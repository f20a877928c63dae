//! What settings may be.

use spanwright_core::BuildError;

/// A finite number above 0, if any.
pub(super) fn rate(field: &'static str, rate: Option<f64>) -> Result<Option<f64>, BuildError> {
    let accepted = "a finite number above 0";
    check(field, rate, |rate| rate > 0.0 && rate.is_finite(), accepted)
}

/// Above 0, up to 1, if any.
pub(super) fn ratio(field: &'static str, ratio: Option<f64>) -> Result<Option<f64>, BuildError> {
    check(
        field,
        ratio,
        |ratio| ratio > 0.0 && ratio <= 1.0,
        "a number above 0, up to 1",
    )
}

/// 1 or more, if any, and only with a rate.
pub(super) fn burst(times: Option<f64>, per_second: Option<f64>) -> Result<Option<f64>, BuildError> {
    if let (Some(times), None) = (times, per_second) {
        return Err(BuildError::new("max_burst", times, "a number beside a rate per second"));
    }
    let accepted = "a finite number, 1 or more";
    check("max_burst", times, |times| times >= 1.0 && times.is_finite(), accepted)
}

fn check(
    field: &'static str,
    value: Option<f64>,
    is_accepted: impl Fn(f64) -> bool,
    accepted: &'static str,
) -> Result<Option<f64>, BuildError> {
    match value {
        Some(value) if !is_accepted(value) => Err(BuildError::new(field, value, accepted)),
        value => Ok(value),
    }
}
