//! The Python environment that the receivers and the other samplers run in: made once, kept under the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
    time::Duration,
};

use crate::{Failure, cargo::Workspace, deadline::Deadline, process::Process};

const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);

/// An environment with everything in it that `requirements.txt` names.
#[derive(Debug)]
pub(super) struct Environment {
    directory: PathBuf,
    /// `xtask/interop`, where the scripts are.
    scripts: PathBuf,
}

impl Environment {
    /// Finds the environment, or makes it: that needs python3 with venv and pip, and the package index.
    pub(super) fn prepare(workspace: &Workspace) -> Result<Self, Failure> {
        let scripts = workspace.root.join("xtask/interop");
        let requirements = scripts.join("requirements.txt");
        let version = run(Command::new("python3").arg("--version"))
            .map_err(|failure| format!("python3 is needed to run the receivers: {failure}"))?;
        let pins = fs::read_to_string(&requirements)?;
        let parent = workspace.target.join("interop");
        let directory = parent.join(format!("venv-{:016x}", fnv1a(format!("{version}\n{pins}").as_bytes())));
        if !directory.exists() {
            eprintln!("making a Python environment in {}", directory.display());
            fs::create_dir_all(&parent)?;
            // It gets its name when it is whole, so that what was broken off is never taken for an environment.
            let unfinished = parent.join(format!("unfinished-{}", process::id()));
            let made = make(&unfinished, &requirements);
            if made.is_err() || fs::rename(&unfinished, &directory).is_err() {
                // A second run at the same time may have been faster.
                fs::remove_dir_all(&unfinished).ok();
            }
            made?;
        }
        Ok(Self { directory, scripts })
    }

    /// Its interpreter, with one of our scripts to be run.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = self.python();
        command.arg(self.scripts.join(name));
        command
    }

    /// The rotel program.
    pub(super) fn rotel(&self) -> Result<Command, Failure> {
        self.program_of("rotel", "rotel-agent")
    }

    /// The Envoy program.
    pub(super) fn envoy(&self) -> Result<Command, Failure> {
        self.program_of("envoy", "_bin/envoy")
    }

    /// A program that lies beside a package's Python modules.
    fn program_of(&self, package: &str, path: &str) -> Result<Command, Failure> {
        let find = format!("import importlib.util as u; print(u.find_spec('{package}').submodule_search_locations[0])");
        let directory = run(self.python().args(["-c", &find]))?;
        Ok(Command::new(Path::new(directory.trim()).join(path)))
    }

    fn python(&self) -> Command {
        Command::new(self.directory.join("bin/python"))
    }
}

fn make(directory: &Path, requirements: &Path) -> Result<(), Failure> {
    run(Command::new("python3").args(["-m", "venv"]).arg(directory)).map_err(|failure| {
        format!("python3 cannot make an environment (on Debian: install python3-venv): {failure}")
    })?;
    run(Command::new(directory.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--requirement",
        ])
        .arg(requirements))
    .map_err(|failure| format!("the receivers cannot be installed: {failure}"))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(Process::start(name, command)?
        .finish(Deadline::within(INSTALL_TIMEOUT))?
        .join("\n"))
}

/// A hash that stays the same from one compiler to the next, for names of directories.
///
/// # Source
///
/// [FNV-1a](http://www.isthe.com/chongo/tech/comp/fnv/), 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let failure = run(&mut Command::new("no-such-python3")).expect_err("is not there");
        assert!(
            failure.to_string().starts_with("no-such-python3 does not start"),
            "{failure}"
        );
    }
}
