//! What deciding costs.

use std::thread;

use super::{
    figures::{Round, in_turns, losses_of_ours, samples, series, with_generous_queue},
    lab::{Lab, Run, Sample, Side},
    outcome::Findings,
};
use crate::Failure;

/// What is decided about, and how often it may ask for memory.
#[derive(Debug)]
pub(super) struct Decision {
    case: &'static str,
    most_allocations: f64,
}

/// Those that Datadog's sampler can do as well.
const OF_LIBDD: &[&str] = &["probability", "adaptive", "rules"];

impl Decision {
    pub(super) const fn named(case: &'static str) -> Self {
        Self {
            case,
            most_allocations: 0.0,
        }
    }

    pub(super) const fn allocating(mut self, most: f64) -> Self {
        self.most_allocations = most;
        self
    }

    fn run(&self, lab: &Lab, side: Side, threads: usize) -> Run {
        let batches = if lab.quick { 4_000 } else { 20_000 };
        Run::new("sample", side)
            .with("--case", self.case)
            .with("--threads", threads)
            .with("--batches", batches)
    }
}

/// CPU time of one decision on one thread, and its allocations in a pass of their own.
pub(super) fn decision(lab: &Lab, decision: &Decision) -> Result<Findings, Failure> {
    let mut findings = on_threads(lab, decision, 1)?;
    let run = Run::new("sample", Side::Ours)
        .with("--case", decision.case)
        .with("--batches", 10);
    let sample = lab.sample(&run.counting_allocations())?;
    let allocations = sample.number("allocations")? / sample.number("measured")?;
    findings
        .notes
        .push(format!("allocations for a decision: {allocations:.2}"));
    if allocations > decision.most_allocations {
        let allowed = decision.most_allocations;
        findings.failings.push(format!(
            "{allocations:.2} allocations for a decision, {allowed} are allowed"
        ));
    }
    Ok(findings)
}

/// The same on as many threads as there are cores, which must not take more than twice as long.
pub(super) fn on_all_cores(lab: &Lab, decision: &Decision) -> Result<Findings, Failure> {
    let cores = thread::available_parallelism()?.get();
    let alone = on_threads(lab, decision, 1)?;
    let mut findings = on_threads(lab, decision, cores)?;
    let factor = findings.ours.median() / alone.ours.median();
    findings.notes.push(format!(
        "on {cores} threads a decision takes {factor:.2} times what it takes on one"
    ));
    if factor > 2.0 {
        findings
            .failings
            .push(format!("{factor:.2} times what it takes on one thread, 2 are allowed"));
    }
    Ok(findings)
}

fn on_threads(lab: &Lab, decision: &Decision, threads: usize) -> Result<Findings, Failure> {
    let mut sides = vec![Side::Noop, Side::Ours, Side::Stock];
    if OF_LIBDD.contains(&decision.case) {
        sides.push(Side::Libdd);
    }
    let rounds = in_turns(lab, &sides, |side| decision.run(lab, side, threads))?;
    let per_decision = |side| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            // The neighbour has no clock of CPU time; its threads do not wait either.
            let name = if side == Side::Libdd { "wall_ns" } else { "cpu_ns" };
            Ok(sample.number(name)? / sample.number("measured")?)
        }
    };
    let mut findings = Findings {
        ours: series(&rounds, per_decision(Side::Ours))?,
        stock: series(&rounds, per_decision(Side::Stock))?,
        noop: Some(series(&rounds, per_decision(Side::Noop))?),
        failings: vec![],
        notes: vec![],
        samples: samples(&rounds),
    };
    if sides.contains(&Side::Libdd) {
        let libdd = series(&rounds, per_decision(Side::Libdd))?;
        findings.notes.push(format!("libdd-sampling: {:.1} ns", libdd.median()));
    }
    let [noop, ours, stock] = [Side::Noop, Side::Ours, Side::Stock].map(|side| series(&rounds, per_decision(side)));
    let (noop, ours, stock) = (noop?.median(), ours?.median(), stock?.median());
    findings.notes.push(format!(
        "{noop:.1} ns of each are the call itself, by a sampler that does nothing; over it ours takes {:.1} ns, stock {:.1}",
        ours - noop,
        stock - noop
    ));
    Ok(findings)
}

/// CPU time of the application's thread for a span that is held until its trace has ended, less that of one that is not held.
pub(super) fn tail(lab: &Lab) -> Result<Findings, Failure> {
    let batches = if lab.quick { 1_000 } else { 5_000 };
    // Ours without a tail stands where the stock side would be: nobody else has one.
    let rounds = in_turns(lab, &[Side::Ours, Side::Stock], |side| {
        let run = Run::new("tail", Side::Ours)
            .with("--holds-traces", side == Side::Ours)
            .with("--batches", batches);
        with_generous_queue(run)
    })?;
    let per_span = |side| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            Ok(sample.number("cpu_ns")? / sample.number("measured")?)
        }
    };
    let held = series(&rounds, per_span(Side::Ours))?;
    Ok(Findings {
        ours: series(&rounds, |round| {
            Ok(per_span(Side::Ours)(round)? - per_span(Side::Stock)(round)?)
        })?,
        stock: series(&rounds, per_span(Side::Stock))?,
        noop: None,
        failings: losses_of_ours(&rounds),
        notes: vec![format!(
            "with its encoding and the end of its memory a held span takes {:.0} ns",
            held.median()
        )],
        samples: samples(&rounds),
    })
}
