//! The program of ours that exports: the pipeline's example `interop`, or another that takes the same arguments.

use std::{
    env,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{Protocol, document, wire::Encoding};
use crate::{
    Failure,
    cargo::{Workspace, cargo},
    deadline::Deadline,
    process::Process,
};

const EXAMPLE: &str = "interop";
const EXPORT_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Program(PathBuf);

impl Program {
    pub(super) fn at(path: &str) -> Self {
        Self(path.into())
    }

    pub(super) fn build(workspace: &Workspace) -> Result<Self, Failure> {
        build_example(workspace, EXAMPLE).map(Self)
    }

    /// Lets it export to `address`, and takes its word on what it sent.
    pub(super) fn export(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        compression: Encoding,
    ) -> Result<Vec<Value>, Failure> {
        let mut command = Command::new(&self.0);
        command
            .args(["--endpoint", &format!("http://{address}")])
            .args(["--protocol", protocol.name()])
            .args(["--compression", &compression.to_string()]);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name); // settings of the person who runs this
        }
        let lines = Process::start("our program", &mut command)?.finish(Deadline::within(EXPORT_TIMEOUT))?;
        document::parse(&lines.join("\n"))
    }
}

/// Builds an example with the features that the whole workspace has together, as the tests do: it is then built already.
pub(super) fn build_example(workspace: &Workspace, name: &str) -> Result<PathBuf, Failure> {
    let output = cargo()
        .current_dir(&workspace.root)
        .args(["build", "--workspace", "--all-features", "--example", name])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the example `{name}` cannot be built, see above").into());
    }
    executable(&String::from_utf8_lossy(&output.stdout), name)
        .ok_or_else(|| format!("cargo has not built the example `{name}`").into())
}

/// Where cargo's messages say that the example is.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut examples = messages.filter(|message| message["target"]["name"] == name);
    examples.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_found_among_the_messages() {
        let messages = concat!(
            r#"{"target":{"name":"build-script"},"executable":"/t/build"}"#,
            "\n",
            r#"{"target":{"name":"interop"},"executable":"/t/examples/interop"}"#,
            "\n{\"reason\":\"build-finished\"}\n",
        );
        assert_eq!(executable(messages, "interop"), Some("/t/examples/interop".into()));
    }
}
