//! The receiver is away: what memory and the spool keep, and what live spans pay for its delivery.

use std::{fs, time::Duration};

use super::{
    finding::Finding,
    lab::{Lab, Sample},
};
use crate::Failure;

const RATE: u64 = 5_000;
const MEMORY_RATE: u64 = 2_000;
/// How long the drain may take, as a part of the outage.
const DRAIN_PER_OUTAGE: f64 = 0.5;
/// What live spans may be late during the drain, as a multiple of what they were before.
const MOST_SLOWED: f64 = 2.0;
/// What starting, and the shutdown, may take on top.
const MARGIN: Duration = Duration::from_secs(150);

/// With a spool, for long.
pub(super) fn spool(lab: &Lab) -> Result<Vec<Finding>, Failure> {
    let [before, outage, drain] = lab.size([60, 600, 600], [10, 60, 120]).map(Duration::from_secs);
    let scratch = lab.scratch("outage")?;
    let settings = [
        ("--rate", RATE.to_string()),
        ("--before-ms", before.as_millis().to_string()),
        ("--outage-ms", outage.as_millis().to_string()),
        ("--drain-ms", drain.as_millis().to_string()),
        ("--directory", scratch.display().to_string()),
    ];
    let sample = lab.soak("outage", &settings, before + outage + drain + MARGIN)?;
    fs::remove_dir_all(scratch)?;
    let [drained, noticed] = ["drained_ns", "noticed_ns"].map(|name| sample.seconds(name));
    let [before, drain, from_return] =
        ["p95_before_ns", "p95_drain_ns", "p95_from_return_ns"].map(|name| sample.seconds(name));
    let (drained, before, drain) = (drained?, before?, drain?);
    let limit = outage.as_secs_f64() * DRAIN_PER_OUTAGE;
    let slowed = drain / before;
    Ok(vec![
        lost("lost", &sample)?,
        pace(&sample),
        Finding::told("most spans on disk", sample.number("most_spooled")?),
        Finding::told("arrived twice", sample.number("repeated")?),
        Finding::told("return noticed after", format!("{:.1} s", noticed?)),
        Finding::new(
            "drained after the return",
            format!("{drained:.1} s"),
            format!("<= {limit:.0} s"),
            sample.is("is_drained") && drained <= limit,
        ),
        Finding::told("P95 of the delay before", millis(before)),
        Finding::new(
            "P95 of live spans in the drain",
            format!("{}, {slowed:.2}x", millis(drain)),
            format!("<= {MOST_SLOWED}x"),
            slowed <= MOST_SLOWED,
        ),
        Finding::told("the same, from the return on", millis(from_return?)),
    ])
}

/// With what memory holds, for a short time.
pub(super) fn memory(lab: &Lab) -> Result<Vec<Finding>, Failure> {
    let [before, outage, after] = lab.size([5, 30, 10], [2, 15, 5]).map(Duration::from_secs);
    let take = |side: &str| {
        let settings = [
            ("--side", side.to_owned()),
            ("--rate", MEMORY_RATE.to_string()),
            ("--before-ms", before.as_millis().to_string()),
            ("--outage-ms", outage.as_millis().to_string()),
            ("--drain-ms", after.as_millis().to_string()),
        ];
        lab.soak("memory", &settings, before + outage + after + MARGIN)
    };
    let (ours, stock) = (take("ours")?, take("stock")?);
    let (stock_lost, stock_made) = (stock.number("lost")?, stock.number("made")?);
    Ok(vec![
        lost("lost", &ours)?,
        pace(&ours),
        Finding::told(
            "lost by the stock pipeline",
            format!("{stock_lost} of {stock_made}, {:.0} %", stock_lost / stock_made * 100.0),
        ),
    ])
}

/// Nothing, by the ledger and by what arrived.
fn lost(what: &'static str, sample: &Sample) -> Result<Finding, Failure> {
    let (made, arrived, lost) = (
        sample.number("made")?,
        sample.number("arrived")?,
        sample.number("lost")?,
    );
    let missing = (made - arrived).max(lost);
    Ok(Finding::new(what, format!("{missing} of {made}"), "0", missing == 0.0))
}

fn pace(sample: &Sample) -> Finding {
    let kept = if sample.is("is_pace_kept") {
        "yes"
    } else {
        "no, the machine is busy"
    };
    Finding::told("pace kept", kept)
}

fn millis(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1e3)
}
