//! What the figures were taken on, and of what.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
};

use serde_json::{Value, json};

use crate::{Failure, cargo::Workspace};

/// Above this, others take part in the measurement.
const QUIET_LOAD: f64 = 0.5;

/// The machine, the compiler, and the state of the sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) cpu: String,
    pub(super) kernel: String,
    /// How many processes wanted to run during the minute before.
    pub(super) load: f64,
    pub(super) rustc: String,
    pub(super) commit: String,
    /// The day of the commit.
    pub(super) date: String,
    /// Whether the sources differ from the commit.
    pub(super) dirty: bool,
}

impl Machine {
    pub(super) fn here(workspace: &Workspace) -> Result<Self, Failure> {
        let git = |arguments: &[&str]| said(Command::new("git").current_dir(&workspace.root).args(arguments));
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg")
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok());
        Ok(Self {
            cores: thread::available_parallelism()?.get(),
            cpu: cpu_model(&read("/proc/cpuinfo")).unwrap_or("unknown").into(),
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            load: load.unwrap_or_default(),
            rustc: said(Command::new("rustc").arg("--version"))?,
            commit: git(&["rev-parse", "--short=10", "HEAD"])?,
            date: git(&["log", "-1", "--format=%cs"])?,
            dirty: !git(&["status", "--porcelain"])?.is_empty(),
        })
    }

    /// Why the figures may be wrong.
    pub(super) fn warning(&self) -> Option<String> {
        (self.load > QUIET_LOAD).then(|| {
            format!(
                "others are at work on this machine (load {}): times will be too high, and ratios uncertain",
                self.load
            )
        })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "cores": self.cores, "cpu": self.cpu, "kernel": self.kernel, "load": self.load,
            "rustc": self.rustc, "commit": self.commit, "date": self.date, "dirty": self.dirty,
        })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            cores: usize::try_from(value["cores"].as_u64()?).ok()?,
            cpu: text("cpu")?,
            kernel: text("kernel")?,
            load: value["load"].as_f64()?,
            rustc: text("rustc")?,
            commit: text("commit")?,
            date: text("date")?,
            dirty: value["dirty"].as_bool()?,
        })
    }
}

fn cpu_model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}

fn said(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{name} does not start: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{name} failed, {}", output.status).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_where_the_kernel_tells_it() {
        assert_eq!(
            cpu_model("processor\t: 0\nmodel name\t: A: B\nflags\t: x\n"),
            Some("A: B")
        );
        assert_eq!(cpu_model("processor\t: 0\n"), None);
    }

    #[test]
    fn json_brings_back_the_same() {
        let machine = Machine {
            cores: 2,
            load: 0.25,
            dirty: true,
            ..Machine::default()
        };
        assert_eq!(Machine::from_json(&machine.to_json()), Some(machine));
    }

    #[test]
    fn a_busy_machine_is_warned_of() {
        let machine = |load| Machine {
            load,
            ..Machine::default()
        };
        assert!(
            machine(1.5)
                .warning()
                .is_some_and(|warning| warning.contains("load 1.5"))
        );
        assert_eq!(machine(0.1).warning(), None);
    }
}
