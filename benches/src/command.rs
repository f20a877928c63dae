//! The two programs: a scenario by its name, a sample on standard output.

use std::error::Error;
use std::process::ExitCode;

use crate::sample::Sample;
use crate::settings::Settings;
use crate::{encode, end_to_end, feed, on_end, outage, sampling, spool, tail};

/// Why a sample could not be taken, in words.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

type Scenario = (&'static str, fn(&Settings) -> Result<Sample, Failure>);

const MEASUREMENTS: &[Scenario] = &[
    ("encode", encode::time),
    ("end_to_end", end_to_end::run),
    ("feed", feed::run),
    ("on_end", on_end::run),
    ("outage", outage::run),
    ("sample", sampling::time),
    ("spool_recover", spool::recover),
    ("spool_write", spool::write),
    ("tail", tail::run),
];

const ALLOCATIONS: &[Scenario] = &[
    ("encode", encode::allocations),
    ("sample", sampling::allocations),
    ("spool_write", spool::allocations),
];

/// `spanwright-bench`: takes a sample of the scenario that the first argument names.
pub fn measure(arguments: impl Iterator<Item = String>) -> ExitCode {
    run("spanwright-bench", MEASUREMENTS, arguments)
}

/// `spanwright-bench-allocations`: the same, counting allocations. To be called under the allocator that counts.
pub fn count_allocations(arguments: impl Iterator<Item = String>) -> ExitCode {
    run("spanwright-bench-allocations", ALLOCATIONS, arguments)
}

fn run(program: &str, scenarios: &[Scenario], mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let name = arguments.next().unwrap_or_default();
    let Some((_, scenario)) = scenarios.iter().find(|(known, _)| *known == name) else {
        let names: Vec<_> = scenarios.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "usage: {program} {} [--side ours|stock|noop] [--name value ..]",
            names.join("|")
        );
        return ExitCode::from(2);
    };
    let sample = Settings::parse(arguments).and_then(|settings| {
        let sample = scenario(&settings)?;
        Ok(sample
            .with("scenario", name.as_str())
            .with("side", settings.side.as_str()))
    });
    match sample {
        Ok(sample) => {
            println!("{sample}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{program} {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}
