//! `cargo xtask bench`: what ours costs, beside the stock pipeline.
//!
//! Every sample is taken by a fresh process (`spanwright-bench`), against a receiver in another one; ours, the stock pipeline
//! and one that drops everything take turns. `docs/performance.md` explains each figure. Figures inform and never fail a
//! build: only a run that breaks is a failure.

mod document;
mod figures;
mod instructions;
mod lab;
mod machine;
mod options;
mod outcome;
mod plan;
mod record;
mod sampling;
mod series;
mod spool;
mod table;
mod throughput;

use self::{
    document::Section,
    lab::Lab,
    machine::Machine,
    options::{Options, USAGE},
    outcome::Outcome,
    plan::Benchmark,
    record::Record,
};
use crate::{Failure, cargo::Workspace};

/// Takes the figures that the arguments ask for, and prints and stores them.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = Options::parse(arguments).map_err(|error| format!("{error}\n\n{USAGE}"))?;
    let selected = plan::select(options.counts, options.filter.as_deref());
    if selected.is_empty() {
        return Err("no figure has that in its id; `--list` names all".into());
    }
    if options.list {
        print!("{}", table::list(&selected));
        return Ok(());
    }
    let workspace = Workspace::load()?;
    let earlier = options
        .compare
        .as_deref()
        .map(|name| Record::load(&workspace, name))
        .transpose()?;
    let machine = Machine::here(&workspace)?;
    if let Some(warning) = machine.warning() {
        eprintln!("{warning}");
    }
    let lab = Lab::prepare(&workspace, options.rounds(), options.quick)?;
    let record = Record {
        machine,
        rounds: options.rounds(),
        quick: options.quick,
        outcomes: measure(&lab, &selected)?,
    };
    print!("{}", table::terminal(&record, earlier.as_ref()));
    let label = options.label();
    println!("\n{}", record.save(&workspace, &label)?.display());
    if options.write_docs {
        let section = if options.counts {
            Section::Counts
        } else {
            Section::Figures
        };
        println!("{}", document::write(&workspace, section, &record)?.display());
    }
    Ok(())
}

fn measure(lab: &Lab, selected: &[&Benchmark]) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    for (index, benchmark) in selected.iter().enumerate() {
        eprintln!("[{}/{}] {}", index + 1, selected.len(), benchmark.id);
        let findings = (benchmark.take)(lab).map_err(|failure| format!("{}: {failure}", benchmark.id))?;
        outcomes.push(Outcome {
            id: benchmark.id.into(),
            unit: benchmark.unit,
            requirement: benchmark.requirement,
            findings,
        });
    }
    Ok(outcomes)
}
