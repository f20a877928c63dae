//! What the disk costs.

use super::{
    figures::{Round, in_turns, samples, series},
    lab::{Lab, Run, Sample, Side},
    outcome::Findings,
};
use crate::Failure;

/// Requests of 512 spans in a gibibyte.
const GIBIBYTE: usize = (1 << 30) / (512 * 372);

/// Spans written per second, beside the same bytes in a plain file; and the allocations of a write in a pass of their own.
pub(super) fn write(lab: &Lab) -> Result<Findings, Failure> {
    let batches = if lab.quick { 1_000 } else { 4_000 };
    let rounds = in_turns(lab, &[Side::Ours, Side::Stock], |side| {
        Run::new("spool_write", side).with("--batches", batches)
    })?;
    let per_second = |side| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            Ok(sample.number("measured")? / sample.number("wall_ns")? * 1e9)
        }
    };
    let run = Run::new("spool_write", Side::Ours).with("--batches", 200);
    let sample = lab.sample(&run.counting_allocations())?;
    let allocations = sample.number("allocations")? / sample.number("measured")?;
    Ok(Findings {
        ours: series(&rounds, per_second(Side::Ours))?,
        stock: series(&rounds, per_second(Side::Stock))?,
        noop: None,
        // A segment is begun every forty requests.
        failings: (allocations > 0.01)
            .then(|| format!("{allocations:.3} allocations for a span, 0 are allowed"))
            .into_iter()
            .collect(),
        notes: vec![format!("allocations for a span: {allocations:.4}")],
        samples: samples(&rounds),
    })
}

/// Time from the start until everything in a gibibyte of segments is known, beside reading the files.
pub(super) fn recover(lab: &Lab) -> Result<Findings, Failure> {
    let rounds = in_turns(lab, &[Side::Ours, Side::Stock], |side| {
        Run::new("spool_recover", side).with("--batches", GIBIBYTE)
    })?;
    let took = |side| move |round: &Round| round[&side].number("wall_ns");
    Ok(Findings {
        ours: series(&rounds, took(Side::Ours))?,
        stock: series(&rounds, took(Side::Stock))?,
        noop: None,
        failings: vec![],
        notes: vec![],
        samples: samples(&rounds),
    })
}
