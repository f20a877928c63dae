//! Servers and a proxy that others have written, as they refuse, delay and close connections: everything arrives nevertheless.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use serde_json::Value;

use super::{
    environment::Environment,
    envoy::{self, Envoy},
    program::build_example,
};
use crate::{Failure, cargo::Workspace, deadline::Deadline, process::Process};

const EXAMPLE: &str = "faults";
const SPANS: usize = 2_000;
const START_TIMEOUT: Duration = Duration::from_secs(30);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Who makes the trouble, and which.
#[derive(Clone, Copy)]
enum Trouble {
    Envoy(envoy::Fault),
    /// `faulty.py`, with the script of this name.
    Grpcio(&'static str),
}

const CHECKS: &[(&str, Trouble)] = &[
    ("UNAVAILABLE for 30 %", Trouble::Envoy(envoy::Fault::Aborts)),
    ("200 ms more for 50 %", Trouble::Envoy(envoy::Fault::Delays)),
    (
        "max_connection_duration 0.5 s",
        Trouble::Envoy(envoy::Fault::ShortConnections),
    ),
    ("RESOURCE_EXHAUSTED, RetryInfo", Trouble::Grpcio("exhausted")),
    ("UNAVAILABLE", Trouble::Grpcio("unavailable")),
    ("100 ms for each", Trouble::Grpcio("slow")),
    ("max_connection_age 0.5 s", Trouble::Grpcio("goaway")),
];

/// Runs every check and prints one line for each.
pub(super) fn run(workspace: &Workspace, environment: &Environment) -> Result<(), Failure> {
    let lab = Lab {
        environment,
        program: build_example(workspace, EXAMPLE)?,
        note: workspace
            .target
            .join("interop")
            .join(format!("envoy-{}", std::process::id())),
    };
    println!(
        "\n{:<8} {:<30} {:>6} {:>9} {:>7} result",
        "trouble", "", "spans", "requests", "faults"
    );
    let mut failed = 0;
    for (name, trouble) in CHECKS {
        let outcome = lab.check(*trouble);
        let who = match trouble {
            Trouble::Envoy(_) => "envoy",
            Trouble::Grpcio(_) => "grpcio",
        };
        match outcome {
            Ok(Outcome { requests, faults }) => {
                println!("{who:<8} {name:<30} {SPANS:>6} {requests:>9} {faults:>7} all arrived")
            }
            Err(failure) => {
                failed += 1;
                println!("{who:<8} {name:<30} {SPANS:>6} {:>9} {:>7} {failure}", "", "");
            }
        }
    }
    _ = fs::remove_file(lab.note);
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {} checks under faults failed", CHECKS.len()).into()),
    }
}

struct Lab<'a> {
    environment: &'a Environment,
    /// Ours, which exports.
    program: PathBuf,
    /// A file for Envoy.
    note: PathBuf,
}

/// What a check has shown, beside that everything arrived.
struct Outcome {
    /// That reached the receiver.
    requests: u64,
    /// How often there was trouble.
    faults: u64,
}

impl Lab<'_> {
    fn check(&self, trouble: Trouble) -> Result<Outcome, Failure> {
        let script = match trouble {
            Trouble::Envoy(_) => "none",
            Trouble::Grpcio(script) => script,
        };
        let mut receiver = Process::start("faulty.py", self.environment.script("faulty.py").arg(script))?;
        let line = receiver.line(Deadline::within(START_TIMEOUT)).unwrap_or_default();
        let Ok(port) = line.parse::<u16>() else {
            return Err(receiver.failure(&format!("says `{line}`, which is no port")));
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let (sent, faults) = match trouble {
            Trouble::Envoy(fault) => {
                let envoy = Envoy::start(self.environment, fault, address, &self.note)?;
                (self.export(envoy.address)?, Some(envoy.faults(fault)?))
            }
            Trouble::Grpcio(_) => (self.export(address)?, None),
        };
        let lines = receiver.finish(Deadline::within(STOP_TIMEOUT))?;
        let arrived: Value = serde_json::from_str(lines.last().ok_or("faulty.py does not say what arrived")?)?;
        compare(&sent, &arrived)?;
        let number = |name: &str| arrived[name].as_u64().unwrap_or_default();
        let faults = faults.unwrap_or(number("faults"));
        if faults == 0 {
            return Err("nothing went wrong, so that nothing is shown".into());
        }
        Ok(Outcome {
            requests: number("requests"),
            faults,
        })
    }

    fn export(&self, address: SocketAddr) -> Result<Value, Failure> {
        let mut command = Command::new(&self.program);
        command.args([
            "--endpoint",
            &format!("http://{address}"),
            "--spans",
            &SPANS.to_string(),
        ]);
        let lines = Process::start("our program", &mut command)?.finish(Deadline::within(EXPORT_TIMEOUT))?;
        Ok(serde_json::from_str(&lines.join("\n"))?)
    }
}

/// Every span of ours is there, and our ledger says so.
fn compare(sent: &Value, arrived: &Value) -> Result<(), Failure> {
    let ids = |document: &Value| -> BTreeSet<String> {
        let ids = document["span_ids"].as_array().into_iter().flatten();
        ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let (sent_ids, arrived_ids) = (ids(sent), ids(arrived));
    if sent_ids.len() != SPANS || sent["ended"] != SPANS {
        return Err(format!("our program has made {} spans, not {SPANS}", sent["ended"]).into());
    }
    let missing = sent_ids.difference(&arrived_ids).count();
    let foreign = arrived_ids.difference(&sent_ids).count();
    if missing + foreign > 0 {
        return Err(format!("{missing} spans did not arrive, {foreign} are of somebody else").into());
    }
    if sent["exported"] != SPANS {
        let figures = ["exported", "rejected", "lost", "pending"].map(|name| format!("{name} {}", sent[name]));
        return Err(format!("all arrived, but the ledger says: {}", figures.join(", ")).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_span_that_is_missing_and_a_ledger_that_is_wrong_are_seen() {
        let ids: Vec<_> = (0..SPANS).map(|id| id.to_string()).collect();
        let sent = |exported: usize| json!({"ended": SPANS, "exported": exported, "span_ids": ids});
        let arrived = json!({"span_ids": ids});
        assert!(compare(&sent(SPANS), &arrived).is_ok());
        assert!(compare(&sent(SPANS - 1), &arrived).is_err());
        let fewer = json!({"span_ids": ids[1..]});
        let failure = compare(&sent(SPANS), &fewer).expect_err("one is missing");
        assert!(failure.to_string().starts_with("1 spans did not arrive"), "{failure}");
    }
}
