//! How the tests call the program and read what it printed.

use std::process::{Command, Output};

use serde_json::Value;

/// The program, without the settings of the person who runs this.
pub(crate) fn demo(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanwright-demo"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("SPANWRIGHT_") {
            command.env_remove(&name);
        }
    }
    command.args(arguments.split_whitespace());
    command
}

pub(crate) fn run(arguments: &str) -> Output {
    demo(arguments).output().expect("the program starts")
}

/// A short and light run, and the document that it printed.
pub(crate) fn run_json(arguments: &str) -> (Value, Option<i32>) {
    let output = run(&format!("--json --rate 200 --duration 1 --no-calibrate {arguments}"));
    (document(&output.stdout), output.status.code())
}

/// All of standard output must be the document, or this fails.
pub(crate) fn document(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(stdout)))
}

pub(crate) fn count(document: &Value, name: &str) -> u64 {
    document[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no count `{name}` in {document:#}"))
}

pub(crate) fn lost(document: &Value) -> u64 {
    let lost = document["lost"].as_object().expect("an object of reasons");
    lost.values().filter_map(Value::as_u64).sum()
}

#[track_caller]
pub(crate) fn assert_law(document: &Value) {
    let columns = ["exported", "rejected", "pending"].map(|name| count(document, name));
    let accounted = columns.iter().sum::<u64>() + lost(document);
    assert_eq!(count(document, "ended"), accounted, "{document:#}");
}
