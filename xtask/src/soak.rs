//! `cargo xtask soak`: what takes long to show. Kills and modelled power losses by the thousand, an outage and a slow receiver in real
//! time.
//!
//! Each stage is bounded in time and says what it must reach; `docs/performance.md` has what was measured, under "Outages". A stage that
//! falls short fails the run, so that on a machine with other work a time may be missed for no fault of ours: the promises about what is
//! lost hold everywhere.

mod finding;
mod kills;
mod lab;
mod options;
mod outage;
mod receiver;

use self::{
    finding::{Finding, Verdict},
    lab::Lab,
    options::{Options, USAGE},
};
use crate::{Failure, cargo::Workspace};

/// One of the long runs.
struct Stage {
    name: &'static str,
    about: &'static str,
    /// How much of it there is, and how long that takes at most.
    full: &'static str,
    quick: &'static str,
    run: fn(&Lab) -> Result<Vec<Finding>, Failure>,
}

const STAGES: &[Stage] = &[
    Stage {
        name: "crashes",
        about: "power losses of the spool's model, with torn writes and failing syncs",
        full: "100 000 crashes",
        quick: "10 000 crashes",
        run: kills::crashes,
    },
    Stage {
        name: "kills",
        about: "processes killed at random moments: with a pipeline that writes ahead, and with a spool alone",
        full: "1 000 kills each",
        quick: "50 kills each",
        run: kills::kills,
    },
    Stage {
        name: "memory",
        about: "an outage that memory holds, ours beside the stock pipeline",
        full: "30 s at 2 000 spans/s",
        quick: "15 s at 2 000 spans/s",
        run: outage::memory,
    },
    Stage {
        name: "outage",
        about: "an outage that the spool holds, and the delivery of it beside live spans",
        full: "1 min, then 10 min away, then 5 min to drain, at 5 000 spans/s",
        quick: "10 s, then 60 s away, then 30 s to drain, at 5 000 spans/s",
        run: outage::spool,
    },
    Stage {
        name: "receiver",
        about: "a receiver that takes 100 ms for a request, 24 at once and then 12",
        full: "60 s and 60 s, and 30 s of the stock pipeline",
        quick: "35 s and 20 s, and 10 s of the stock pipeline",
        run: receiver::run,
    },
];

/// Goes through the stages that the arguments ask for, and prints a table of what they have shown.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = Options::parse(arguments).map_err(|error| format!("{error}\n\n{USAGE}"))?;
    if options.list {
        for stage in STAGES {
            println!("{:<10} {}", stage.name, stage.about);
            println!("{:<10} {}; quick: {}", "", stage.full, stage.quick);
        }
        return Ok(());
    }
    if let Some(unknown) = options
        .stages
        .iter()
        .find(|name| STAGES.iter().all(|stage| stage.name != *name))
    {
        return Err(format!("there is no stage `{unknown}`; `--list` names all").into());
    }
    let is_selected =
        |stage: &&Stage| options.stages.is_empty() || options.stages.iter().any(|name| name == stage.name);
    let lab = Lab::prepare(&Workspace::load()?, options.quick)?;
    let mut verdicts = Vec::new();
    for stage in STAGES.iter().filter(is_selected) {
        let size = if options.quick { stage.quick } else { stage.full };
        eprintln!("{}: {size}", stage.name);
        let outcome = (stage.run)(&lab);
        lab.clear_progress();
        verdicts.push(Verdict {
            stage: stage.name,
            outcome,
        });
    }
    println!("{}", finding::table(&verdicts));
    match verdicts.iter().filter(|verdict| !verdict.holds()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} stages fell short", verdicts.len()).into()),
    }
}
