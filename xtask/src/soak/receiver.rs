//! A slow receiver, and the limit of concurrent requests that finds out how many it serves at once.

use std::time::Duration;

use super::{finding::Finding, lab::Lab};
use crate::Failure;

const CAPACITY: f64 = 24.0;
const BATCH: u64 = 64;
/// A third more than the receiver takes: 24 requests of 64 spans ten times a second.
const RATE: u64 = 20_000;
/// How often the limit was looked at.
const LOOKS_PER_SECOND: f64 = 10.0;
/// For so many looks, five seconds, a limit that has settled stays where it is.
const STAYS: usize = 50;
/// How far the limit may be off what the receiver serves: "within 1.2x".
const NEAR: f64 = 1.2;
const CONVERGED_WITHIN: f64 = 30.0;
const BACK_WITHIN: f64 = 15.0;
/// Between the highest and the lowest limit once it has settled, as a part of the middle one.
const WIDEST_SWING: f64 = 0.3;
const LEAST_FASTER: f64 = 10.0;
const MARGIN: Duration = Duration::from_secs(60);

/// Whole, then with half of its capacity; and the stock pipeline in front of the whole one.
pub(super) fn run(lab: &Lab) -> Result<Vec<Finding>, Failure> {
    let [whole, half, stock] = lab.size([60, 60, 30], [35, 20, 10]).map(Duration::from_secs);
    let take = |side: &str, whole: Duration, half: Duration| {
        let settings = [
            ("--side", side.to_owned()),
            ("--rate", RATE.to_string()),
            ("--capacity", CAPACITY.to_string()),
            ("--max-export-batch-size", BATCH.to_string()),
            ("--before-ms", whole.as_millis().to_string()),
            ("--outage-ms", half.as_millis().to_string()),
        ];
        lab.soak("receiver", &settings, whole + half + MARGIN)
    };
    let ours = take("ours", whole, half)?;
    let stock = take("stock", stock, Duration::ZERO)?;
    let (whole, half) = (ours.numbers("limits_whole")?, ours.numbers("limits_half")?);
    let (per_second, stock) = (ours.number("per_second_whole")?, stock.number("per_second_whole")?);
    let faster = per_second / stock;
    Ok(vec![
        converged("limit for 24 within 1.2x after", &whole, CAPACITY, CONVERGED_WITHIN),
        swing("swing from then on", &whole, CAPACITY),
        converged("limit for 12 within 1.2x after", &half, CAPACITY / 2.0, BACK_WITHIN),
        swing("swing from then on", &half, CAPACITY / 2.0),
        Finding::told("limits, each second of the first", each_second(&whole)),
        Finding::told("limits, each second of the second", each_second(&half)),
        Finding::new(
            "throughput",
            format!("{per_second:.0}/s, {faster:.1}x of stock"),
            format!(">= {LEAST_FASTER}x"),
            faster >= LEAST_FASTER,
        ),
        Finding::told(
            "the part of what is served",
            format!("{:.2}", per_second / (CAPACITY * BATCH as f64 * 10.0)),
        ),
    ])
}

fn converged(what: &'static str, limits: &[f64], target: f64, within: f64) -> Finding {
    let seconds = settled(limits, target).map(|at| at as f64 / LOOKS_PER_SECOND);
    let figure = seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s"));
    let is_reached = seconds.is_some_and(|seconds| seconds <= within);
    Finding::new(what, figure, format!("<= {within:.0} s"), is_reached)
}

/// From when on the limit stays near the target for some time.
fn settled(limits: &[f64], target: f64) -> Option<usize> {
    let is_near = |limit: &f64| *limit <= target * NEAR && *limit >= target / NEAR;
    limits.windows(STAYS).position(|window| window.iter().all(is_near))
}

fn swing(what: &'static str, limits: &[f64], target: f64) -> Finding {
    let mut after = limits[settled(limits, target).unwrap_or_default()..].to_vec();
    after.sort_by(f64::total_cmp);
    let (lowest, middle, highest) = match &after[..] {
        [] => (0.0, 1.0, 0.0),
        all => (all[0], all[all.len() / 2], all[all.len() - 1]),
    };
    // How far it ever is from its middle.
    let swing = (highest - middle).max(middle - lowest) / middle;
    let figure = format!("{:.0} %: {lowest} to {highest}, middle {middle}", swing * 100.0);
    Finding::new(
        what,
        figure,
        format!("<= {:.0} %", WIDEST_SWING * 100.0),
        swing <= WIDEST_SWING,
    )
}

fn each_second(limits: &[f64]) -> String {
    let seconds = limits.iter().step_by(LOOKS_PER_SECOND as usize);
    seconds.map(f64::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_settled_when_it_is_near_its_target() {
        let limits = [&[16.0, 20.0, 30.0][..], &[24.0; STAYS]].concat();
        assert_eq!(settled(&limits, 24.0), Some(3));
        assert_eq!(settled(&limits[..STAYS], 24.0), None);
        assert_eq!(settled(&limits, 12.0), None);
    }

    #[test]
    fn a_swing_is_counted_from_the_middle_on_both_sides() {
        let narrow = swing("", &[&[16.0, 20.0, 26.0][..], &[24.0; STAYS]].concat(), 24.0);
        assert!(
            format!("{narrow:?}").contains("17 %: 20 to 26, middle 24"),
            "{narrow:?}"
        );
        let wide = swing("", &[&[24.0; STAYS][..], &[12.0]].concat(), 24.0);
        assert!(format!("{wide:?}").contains("50 %"), "{wide:?}");
    }
}
