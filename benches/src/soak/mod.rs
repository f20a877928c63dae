//! Outages and slow receivers in real time, for `cargo xtask soak`.

mod arrivals;
mod memory;
mod outage;
mod progress;
mod receiver;
mod served;
mod settings;

use std::process::ExitCode;

use crate::command::Failure;
use crate::sample::Sample;
use settings::Settings;

type Scenario = (&'static str, fn(&Settings) -> Result<Sample, Failure>);

const SCENARIOS: &[Scenario] = &[
    ("memory", memory::run),
    ("outage", outage::run),
    ("receiver", receiver::run),
];

/// `spanwright-soak`: goes through the scenario that the first argument names. Prints a line `# ..` about every second on standard
/// output, and then what it has shown, as one line of JSON.
pub fn soak(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let name = arguments.next().unwrap_or_default();
    let Some((_, scenario)) = SCENARIOS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: spanwright-soak {} [--name value ..]", names.join("|"));
        return ExitCode::from(2);
    };
    match Settings::parse(arguments).and_then(|settings| scenario(&settings)) {
        Ok(sample) => {
            println!("{sample}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("spanwright-soak {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}
