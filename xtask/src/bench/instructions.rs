//! Instructions per span: the same from run to run, whatever else the machine does.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    figures::{Round, samples, series, with_generous_queue},
    lab::{Lab, Run, Sample, Side},
    outcome::Findings,
};
use crate::Failure;

const SIDES: [Side; 3] = [Side::Noop, Side::Ours, Side::Stock];

/// Of the application's thread in `on_end`.
pub(super) fn on_end(lab: &Lab) -> Result<Findings, Failure> {
    count(lab, "end_batch", |side| {
        with_generous_queue(Run::new("on_end", side).with("--rate", 0).with("--batches", 300))
    })
}

/// Of encoding.
pub(super) fn encode(lab: &Lab) -> Result<Findings, Failure> {
    count(lab, "encode_batch", |side| {
        Run::new("encode", side).with("--batches", 20)
    })
}

/// Runs each side once, counting only what happens in `function`.
fn count(lab: &Lab, function: &str, run: impl Fn(Side) -> Run) -> Result<Findings, Failure> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    valgrind.map_err(|error| format!("instructions are counted by valgrind, which does not start: {error}"))?;
    fs::create_dir_all(&lab.scratch)?;
    let mut round = Round::new();
    for side in SIDES {
        let file = lab.scratch.join("callgrind.out");
        let mut sample = lab.sample(&run(side).under(callgrind(function, &file)))?;
        let instructions = collected(&fs::read_to_string(&file)?)
            .filter(|instructions| *instructions > 0)
            .ok_or_else(|| format!("valgrind has counted nothing in `{function}`"))?;
        sample.0["instructions"] = instructions.into();
        round.insert(side, sample);
    }
    let rounds = [round];
    let per_span = |side| {
        move |round: &BTreeMap<Side, Sample>| {
            let sample: &Sample = &round[&side];
            Ok(sample.number("instructions")? / sample.number("measured")?)
        }
    };
    Ok(Findings {
        ours: series(&rounds, per_span(Side::Ours))?,
        stock: series(&rounds, per_span(Side::Stock))?,
        noop: Some(series(&rounds, per_span(Side::Noop))?),
        failings: vec![],
        notes: vec![format!(
            "{:.0} of them are the noop's: dropping the span",
            series(&rounds, per_span(Side::Noop))?.median()
        )],
        samples: samples(&rounds),
    })
}

fn callgrind(function: &str, file: &Path) -> Vec<OsString> {
    let mut out = OsString::from("--callgrind-out-file=");
    out.push(file);
    vec![
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        format!("--toggle-collect=*{function}*").into(),
        out,
    ]
}

/// The sum in a file of callgrind's.
fn collected(file: &str) -> Option<u64> {
    let mut lines = file.lines();
    lines
        .find_map(|line| line.strip_prefix("summary: "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_read_from_the_file() {
        assert_eq!(
            collected("version: 1\nevents: Ir\nsummary: 16825096\n\nfn=(1)\n"),
            Some(16_825_096)
        );
        assert_eq!(collected("version: 1\n"), None);
    }
}
