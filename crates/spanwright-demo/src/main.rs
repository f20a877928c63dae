//! The project's main job, live: `cargo demo`.
//!
//! It **is** a real HTTP service under real load, whose spans go through a pipeline to a receiver, and an account of where every
//! span is and what it cost. It **is not** a benchmark: for figures to rely on there are the benches.
//!
//! | file | noun |
//! |---|---|
//! | `args`, `choices`, `help` | what is asked for |
//! | `service` | the shop that makes the spans |
//! | `load` | who visits it |
//! | `pipelines`, `endpoint` | what the spans go through: ours, the stock one, none |
//! | `receiver`, `outage` | where they arrive, and when it is away |
//! | `account` | where every span is |
//! | `measure` | what it costs |
//! | `run` | all of them together, once |
//! | `progress`, `report`, `table` | what people and programs see of it |
#![forbid(unsafe_code)]

mod account;
mod args;
mod choices;
mod dice;
mod endpoint;
mod failure;
mod help;
mod interrupt;
mod load;
mod measure;
mod outage;
mod pipelines;
mod progress;
mod receiver;
mod report;
mod run;
mod sampling;
mod service;
mod table;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use self::account::Verdict;
use self::args::{Args, Command};
use self::failure::Failure;
use self::run::Runner;

const INCOMPLETE: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match arguments().and_then(Args::parse) {
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

/// What follows the program's name. (`std::env::args` panics where this is an error.)
fn arguments() -> Result<Vec<String>, Failure> {
    let arguments = env::args_os().skip(1).map(OsString::into_string);
    let arguments: Result<_, _> = arguments.collect();
    arguments.map_err(|argument| format!("{argument:?} is not UTF-8, which every argument has to be").into())
}

/// Runs what was asked for and reports it. Says whether every span has arrived, or is safe on disk.
fn demo(args: &Args) -> Result<bool, Failure> {
    let runner = Runner::new(args)?;
    let baseline = if args.calibrates { runner.calibrate()? } else { None };
    let outcomes = args.kinds.iter().map(|kind| runner.run(*kind, baseline));
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
    let report = if args.is_json {
        report::json(&outcomes, args)
    } else {
        report::table(&outcomes, args)
    };
    print(&report)?;
    Ok(outcomes.iter().all(|outcome| outcome.verdict() != Verdict::Missing))
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
