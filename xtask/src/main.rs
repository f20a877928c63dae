//! Maintenance of the Spanwright workspace: `cargo xtask <command>`.
//!
//! It **is** what the continuous integration runs beside the compiler and the tests, each command in a file of its own. It
//! **is not** needed to build or use any of the crates.
#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod deadline;
mod features;
mod interop;
mod process;
mod soak;
mod tidy;

use std::{env, error::Error, process::ExitCode};

/// A command: its name, what it does in one line, and what runs it with the arguments that follow its name.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<(), Failure>);

/// Why a command did not succeed, in words for the person at the terminal.
type Failure = Box<dyn Error>;

const COMMANDS: &[Command] = &[
    ("bench", "measure what ours costs beside the stock pipeline", bench::run),
    (
        "features",
        "check each crate alone: default features, none, and each one by itself",
        features::run,
    ),
    (
        "interop",
        "compare what we export with what receivers written by others understand",
        interop::run,
    ),
    (
        "soak",
        "go through outages, kills and slow receivers for as long as it takes",
        soak::run,
    ),
    (
        "tidy",
        "hold the architecture of docs/ARCHITECTURE.md against the sources",
        tidy::run,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{}", usage());
        return ExitCode::FAILURE;
    };
    let Some((_, _, command)) = COMMANDS.iter().find(|(known, ..)| known == name) else {
        eprint!("no such command: {name}\n\n{}", usage());
        return ExitCode::FAILURE;
    };
    match command(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo xtask {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask <command>\n\n");
    for (name, about, _) in COMMANDS {
        text.push_str(&format!("  {name:<10} {about}\n"));
    }
    text
}
