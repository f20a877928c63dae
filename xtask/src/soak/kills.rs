//! Processes that are killed, and modelled machines that lose their power.

use std::time::Duration;

use super::{finding::Finding, lab::Lab};
use crate::Failure;

const PIPELINE: &str = "a_killed_process_loses_nothing_older_than_a_tenth_of_a_second_and_repeats_what_was_in_flight";
const SPOOL: &str = "kill::a_killed_process_loses_nothing_that_it_wrote_and_repeats_nothing_that_it_acknowledged";
const CRASHES: &str = "log::tests::model::after_any_crash_what_was_durable_is_there_and_every_loss_is_counted";

/// With a pipeline, and with a spool alone.
pub(super) fn kills(lab: &Lab) -> Result<Vec<Finding>, Failure> {
    let kills = lab.size(1_000, 50);
    let limit = lab.size(Duration::from_secs(1_800), Duration::from_secs(120));
    let lines = lab.test("kill", PIPELINE, ("SPANWRIGHT_PIPELINE_KILLS", kills), limit)?;
    let mut findings = vec![Finding::new("pipeline killed", kills, "nothing promised lost", true)];
    let summary = lines
        .iter()
        .find_map(|line| line.split_once(": ").filter(|(start, _)| start.contains("seed")));
    if let Some((_, summary)) = summary {
        findings.extend(
            summary
                .split(", ")
                .map(|part| Finding::told("the spans of its processes", part)),
        );
    }
    lab.test("process", SPOOL, ("SPANWRIGHT_SPOOL_KILLS", kills), limit)?;
    findings.push(Finding::new("spool killed", kills, "nothing written lost", true));
    Ok(findings)
}

/// Of the spool's model: what was durable is there after each, and every loss is counted.
pub(super) fn crashes(lab: &Lab) -> Result<Vec<Finding>, Failure> {
    let crashes = lab.size(100_000, 10_000);
    let limit = lab.size(Duration::from_secs(3_600), Duration::from_secs(600));
    lab.test(
        "spanwright_spool",
        CRASHES,
        ("SPANWRIGHT_SPOOL_CRASHES", crashes),
        limit,
    )?;
    Ok(vec![Finding::new("power lost", crashes, "nothing durable lost", true)])
}
