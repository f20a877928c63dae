//! Where samples are taken: the programs, and a receiver for each sample.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    env,
    ffi::OsString,
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

const BENCH: &str = "spanwright-bench";
const ALLOCATIONS: &str = "spanwright-bench-allocations";
const LIBDD: &str = "spanwright-bench-libdd";
const RECEIVER: &str = "otlp-receiver";

/// Longer than any sample takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// The built programs, and how thoroughly they are used.
#[derive(Debug)]
pub(super) struct Lab {
    programs: BTreeMap<String, PathBuf>,
    /// Those of other projects are built when one is needed: what they stand on is nobody else's concern.
    neighbours: OnceCell<BTreeMap<String, PathBuf>>,
    root: PathBuf,
    target: PathBuf,
    pub(super) rounds: usize,
    pub(super) quick: bool,
    /// For files that a measurement leaves behind.
    pub(super) scratch: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Side {
    Noop,
    Ours,
    Stock,
    Libdd,
}

/// One sample to be taken.
#[derive(Clone, Debug)]
pub(super) struct Run {
    program: &'static str,
    scenario: &'static str,
    side: Side,
    settings: Vec<(&'static str, String)>,
    receiver: Option<Duration>,
    around: Vec<OsString>,
}

/// What a sample has shown: named values.
#[derive(Clone, Debug)]
pub(super) struct Sample(pub(super) Value);

impl Lab {
    /// Builds what is measured as it is released, and the receiver.
    pub(super) fn prepare(workspace: &Workspace, rounds: usize, quick: bool) -> Result<Self, Failure> {
        let packages = ["-p", "spanwright-benches", "-p", "spanwright-testing"];
        Ok(Self {
            programs: build(&workspace.root, &packages)?,
            neighbours: OnceCell::new(),
            root: workspace.root.clone(),
            target: workspace.target.clone(),
            rounds,
            quick,
            scratch: workspace.target.join("bench"),
        })
    }

    /// How long load is made: `full`, or `quick`.
    pub(super) fn time(&self, full: Duration, quick: Duration) -> Duration {
        if self.quick { quick } else { full }
    }

    /// Takes the sample. A receiver, if it needs one, is started for it alone, so that no sample finds what another has left.
    pub(super) fn sample(&self, run: &Run) -> Result<Sample, Failure> {
        let receiver = run.receiver.map(|latency| self.receiver(latency)).transpose()?;
        let program = self.program(run.program)?;
        let mut command = match run.around.split_first() {
            Some((around, arguments)) => {
                let mut command = Command::new(around);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg(run.scenario).args(["--side", run.side.name()]);
        for (name, value) in &run.settings {
            command.args([*name, value.as_str()]);
        }
        if let Some((_, endpoint)) = &receiver {
            command.args(["--endpoint", endpoint]);
        }
        without_settings_of_the_environment(&mut command);
        let name = format!("{} {} ({})", run.program, run.scenario, run.side.name());
        let lines = Process::start(name.as_str(), &mut command)?.finish(Deadline::within(PATIENCE))?;
        let mut sample = Sample::parse(&lines).ok_or_else(|| format!("{name} says no sample: {lines:?}"))?;
        if let Some((receiver, _)) = receiver {
            let counts = receiver.finish(Deadline::within(PATIENCE))?;
            let counts = Sample::parse(&counts).ok_or_else(|| format!("the receiver says no counts: {counts:?}"))?;
            sample
                .arrived(&counts)
                .map_err(|failure| format!("{name}: {failure}"))?;
        }
        Ok(sample)
    }

    fn neighbours(&self) -> Result<&BTreeMap<String, PathBuf>, Failure> {
        if self.neighbours.get().is_none() {
            let target = self.target.join("neighbours");
            let target = target.to_str().ok_or("the target directory has no name in UTF-8")?;
            let manifest = [
                "--manifest-path",
                "benches/neighbours/Cargo.toml",
                "--target-dir",
                target,
            ];
            let _ = self.neighbours.set(build(&self.root, &manifest)?);
        }
        self.neighbours.get().ok_or_else(|| "cannot be, it was set".into())
    }

    fn receiver(&self, latency: Duration) -> Result<(Process, String), Failure> {
        let mut command = Command::new(self.program(RECEIVER)?);
        command.args(["--mode", "count", "--latency-ms", &latency.as_millis().to_string()]);
        let mut receiver = Process::start(RECEIVER, &mut command)?;
        let line = receiver.line(Deadline::within(PATIENCE)).unwrap_or_default();
        let endpoint = Sample::parse(&[line]).and_then(|said| said.0["grpc"].as_str().map(str::to_owned));
        match endpoint {
            Some(endpoint) => Ok((receiver, endpoint)),
            None => Err(receiver.failure("does not say where it listens")),
        }
    }

    fn program(&self, name: &str) -> Result<&Path, Failure> {
        let programs = if name == LIBDD {
            self.neighbours()?
        } else {
            &self.programs
        };
        let program = programs.get(name).map(PathBuf::as_path);
        program.ok_or_else(|| format!("cargo has not built `{name}`").into())
    }
}

/// Builds programs as they are released.
fn build(root: &Path, arguments: &[&str]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let output = cargo()
        .current_dir(root)
        .args([
            "build",
            "--release",
            "--bins",
            "--message-format=json-render-diagnostics",
        ])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the programs cannot be built, see above".into());
    }
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Ours => "ours",
            Self::Stock => "stock",
            Self::Libdd => "libdd",
        }
    }
}

impl Run {
    /// A sample of this scenario, without a receiver.
    pub(super) fn new(scenario: &'static str, side: Side) -> Self {
        Self {
            program: if side == Side::Libdd { LIBDD } else { BENCH },
            scenario,
            side,
            settings: vec![],
            receiver: None,
            around: vec![],
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Counts allocations instead of the time.
    pub(super) fn counting_allocations(mut self) -> Self {
        self.program = ALLOCATIONS;
        self
    }

    /// Starts a receiver that takes so long for every answer.
    pub(super) fn with_receiver(mut self, latency: Duration) -> Self {
        self.receiver = Some(latency);
        self
    }

    /// Runs the program by another one.
    pub(super) fn under(mut self, around: Vec<OsString>) -> Self {
        self.around = around;
        self
    }
}

impl Sample {
    /// The last line is the sample.
    fn parse(lines: &[String]) -> Option<Self> {
        let value: Value = serde_json::from_str(lines.last()?).ok()?;
        value.is_object().then_some(Self(value))
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, Failure> {
        let number = self.0[name].as_f64();
        number.ok_or_else(|| format!("the sample has no `{name}`: {}", self.0).into())
    }

    /// The part of what was offered that was lost: 0 where a side has nothing to lose.
    pub(super) fn lost_share(&self) -> f64 {
        let number = |name: &str| self.0[name].as_f64().unwrap_or_default();
        number("lost") / number("offered").max(1.0)
    }

    pub(super) fn is_pace_kept(&self) -> bool {
        self.0["is_pace_kept"] != false
    }

    /// Adds what the receiver counted, and believes no side that claims more.
    fn arrived(&mut self, counts: &Self) -> Result<(), Failure> {
        let accepted = counts.number("accepted_spans")?;
        if let Some(exported) = self.0["exported"].as_f64()
            && accepted < exported
        {
            return Err(format!("{exported} spans are said to be exported, but {accepted} arrived").into());
        }
        self.0["receiver"] = counts.0.clone();
        Ok(())
    }
}

/// Settings of the person who runs this are not a part of what is measured.
fn without_settings_of_the_environment(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sample_is_the_last_line_and_an_object() {
        let parse = |lines: &[&str]| Sample::parse(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        let sample = parse(&["a warning", r#"{"lost":25,"offered":100,"is_pace_kept":false}"#]).expect("a sample");
        assert_eq!(sample.lost_share(), 0.25);
        assert!(!sample.is_pace_kept());
        assert!(sample.number("cpu_ns").is_err());
        assert!(parse(&["3"]).is_none() && parse(&["no"]).is_none() && parse(&[]).is_none());
    }

    #[test]
    fn more_may_arrive_than_a_side_claims_but_not_less() {
        let arrived = |exported| Sample(json!({ "exported": exported })).arrived(&Sample(json!({"accepted_spans": 5})));
        assert!(arrived(4).is_ok() && arrived(5).is_ok());
        assert!(arrived(6).is_err());
    }

    #[test]
    fn what_drops_everything_claims_nothing() {
        let mut sample = Sample(json!({}));
        assert!(sample.arrived(&Sample(json!({"accepted_spans": 0}))).is_ok());
        assert_eq!(sample.lost_share(), 0.0);
    }
}
