//! The project's main job, live: `cargo demo`.
//!
//! It **is** a real HTTP service under real load, whose spans go through a pipeline to a receiver, and an account of where every
//! span is and what it cost. It **is not** a benchmark: for figures to rely on there are the benches.
//!
//! | file | noun |
//! |---|---|
//! | `args`, `help` | what is asked for |
//! | `service` | the shop that makes the spans |
//! | `load` | who visits it |
//! | `pipelines` | what the spans go through: ours, the stock one, none |
//! | `measure` | what it costs |
//! | `run` | all of them together, once |
//! | `progress`, `report`, `table` | what people and programs see of it |
#![forbid(unsafe_code)]

mod account;
mod args;
mod dice;
mod failure;
mod help;
mod interrupt;
mod load;
mod measure;
mod pipelines;
mod progress;
mod report;
mod run;
mod sampling;
mod service;
mod table;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use self::args::{Args, Command};
use self::failure::Failure;
use self::run::{Outcome, Runner};

const INCOMPLETE: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match Args::parse(env::args().skip(1)) {
        Ok(command) => command,
        Err(failure) => return complain(&failure, USAGE),
    };
    let done = match command {
        Command::Help => print(help::HELP).map(|()| true),
        Command::Run(args) => demo(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(INCOMPLETE),
        Err(failure) if failure::is_usage(&*failure) => complain(&failure, USAGE),
        Err(failure) => complain(&failure, INCOMPLETE),
    }
}

/// Runs what was asked for and reports it. Says whether every span has arrived.
fn demo(args: &Args) -> Result<bool, Failure> {
    let runner = Runner::new(args)?;
    let baseline = if args.calibrates { runner.calibrate()? } else { None };
    let outcomes = args.kinds.iter().map(|kind| runner.run(*kind, baseline));
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
    let report = if args.is_json {
        report::json(&outcomes)
    } else {
        report::table(&outcomes, args)
    };
    print(&report)?;
    Ok(outcomes.iter().all(Outcome::is_complete))
}

/// Unlike `print!`, which panics when nobody reads any more.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

fn complain(failure: &Failure, code: u8) -> ExitCode {
    eprintln!("cargo demo: {}", failure::chain(&**failure));
    ExitCode::from(code)
}
