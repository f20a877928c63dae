//! The programs of the stages, and how they are watched.

use std::{
    cell::{Cell, OnceCell},
    collections::BTreeMap,
    env, fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    Failure,
    cargo::{Workspace, cargo, executables},
    deadline::Deadline,
    process::Process,
};

const SOAK: &str = "spanwright-soak";
/// What a program puts in front of a line that only says how it goes.
const PROGRESS: &str = "# ";
/// How often that is shown where it cannot be shown in place.
const SHOWN_EVERY: Duration = Duration::from_secs(10);
const COLUMNS: usize = 120;

/// Builds programs when they are needed, and runs them.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) quick: bool,
    root: PathBuf,
    /// For the files that a stage leaves behind.
    scratch: PathBuf,
    tests: OnceCell<BTreeMap<String, PathBuf>>,
    soak: OnceCell<BTreeMap<String, PathBuf>>,
    next_shown: Cell<Option<Deadline>>,
}

/// What a scenario has shown: named values.
#[derive(Debug)]
pub(super) struct Sample(Value);

impl Lab {
    pub(super) fn prepare(workspace: &Workspace, quick: bool) -> Result<Self, Failure> {
        let scratch = workspace.target.join("soak");
        fs::create_dir_all(&scratch)?;
        Ok(Self {
            quick,
            root: workspace.root.clone(),
            scratch,
            tests: OnceCell::new(),
            soak: OnceCell::new(),
            next_shown: Cell::new(None),
        })
    }

    /// `full`, or `quick`.
    pub(super) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Runs one test, with a variable that says how much of it there is. Answers what it printed.
    pub(super) fn test(
        &self,
        program: &str,
        name: &str,
        variable: (&str, u64),
        limit: Duration,
    ) -> Result<Vec<String>, Failure> {
        let arguments = [
            "test",
            "--no-run",
            "--all-features",
            "--lib",
            "--test",
            "kill",
            "--test",
            "process",
            "-p",
            "spanwright-pipeline",
            "-p",
            "spanwright-spool",
        ];
        let mut command = Command::new(self.program(&self.tests, &arguments, program)?);
        command
            .args(["--exact", name, "--nocapture"])
            .env(variable.0, variable.1.to_string());
        let lines = self.watch(&format!("{program} {name}"), &mut command, limit)?;
        // A name that no test has is a success, too.
        if lines.iter().any(|line| line.starts_with("test result: ok. 1 passed")) {
            Ok(lines)
        } else {
            Err(format!("{program} has no test `{name}`").into())
        }
    }

    /// Goes through a scenario of `spanwright-soak`.
    pub(super) fn soak(&self, scenario: &str, settings: &[(&str, String)], limit: Duration) -> Result<Sample, Failure> {
        let arguments = ["build", "--release", "-p", "spanwright-benches", "--bin", SOAK];
        let mut command = Command::new(self.program(&self.soak, &arguments, SOAK)?);
        command.arg(scenario);
        for (name, value) in settings {
            command.args([*name, value.as_str()]);
        }
        let name = format!("{SOAK} {scenario}");
        let lines = self.watch(&name, &mut command, limit)?;
        let sample = lines.last().and_then(|line| serde_json::from_str(line).ok());
        sample
            .map(Sample)
            .ok_or_else(|| format!("{name} says no sample: {lines:?}").into())
    }

    /// A directory for a stage, empty.
    pub(super) fn scratch(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.scratch.join(name);
        // Of a run that was broken off.
        _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub(super) fn clear_progress(&self) {
        if io::stderr().is_terminal() {
            eprint!("\r{:COLUMNS$}\r", "");
        }
        self.next_shown.set(None);
    }

    fn program<'a>(
        &self,
        built: &'a OnceCell<BTreeMap<String, PathBuf>>,
        arguments: &[&str],
        name: &str,
    ) -> Result<&'a Path, Failure> {
        if built.get().is_none() {
            let output = cargo()
                .current_dir(&self.root)
                .args(arguments)
                .arg("--message-format=json-render-diagnostics")
                .stderr(Stdio::inherit())
                .output()?;
            if !output.status.success() {
                return Err("the programs cannot be built, see above".into());
            }
            _ = built.set(executables(&String::from_utf8_lossy(&output.stdout)));
        }
        let program = built.get().and_then(|programs| programs.get(name));
        let program = program.ok_or_else(|| format!("cargo has not built `{name}`"))?;
        Ok(program)
    }

    /// Runs a program to its end, showing how it goes. Answers the other lines.
    fn watch(&self, name: &str, command: &mut Command, limit: Duration) -> Result<Vec<String>, Failure> {
        // Settings of the person who runs this.
        for (variable, _) in env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(variable);
        }
        let deadline = Deadline::within(limit);
        let mut process = Process::start(name, command)?;
        let mut lines = Vec::new();
        while let Some(line) = process.line(deadline) {
            match line.split_once(PROGRESS) {
                Some((_, progress)) => self.show(progress),
                None => lines.push(line),
            }
        }
        lines.extend(process.finish(deadline)?);
        Ok(lines)
    }

    fn show(&self, progress: &str) {
        if io::stderr().is_terminal() {
            eprint!("\r{progress:COLUMNS$.COLUMNS$}");
        } else if self.next_shown.get().is_none_or(|next| next.left().is_zero()) {
            eprintln!("  {progress}");
            self.next_shown.set(Some(Deadline::within(SHOWN_EVERY)));
        }
    }
}

impl Sample {
    pub(super) fn number(&self, name: &str) -> Result<f64, Failure> {
        let number = self.0[name].as_f64();
        number.ok_or_else(|| format!("the sample has no `{name}`").into())
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, Failure> {
        let numbers = self.0[name]
            .as_array()
            .map(|values| values.iter().filter_map(Value::as_f64).collect());
        numbers.ok_or_else(|| format!("the sample has no `{name}`").into())
    }

    /// In seconds.
    pub(super) fn seconds(&self, name: &str) -> Result<f64, Failure> {
        Ok(self.number(name)? / 1e9)
    }

    /// Whether the sample says so.
    pub(super) fn is(&self, name: &str) -> bool {
        self.0[name] == true
    }
}
