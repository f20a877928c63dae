//! A process that uses a spool and tells what it did, until it is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use spanwright_core::Env;
use spanwright_spool::{Mode, Spool, SpoolConfig};

use crate::support::{batch, id_of};

const DIRECTORY: &str = "SPOOL_CHILD_DIRECTORY";
const FIRST: &str = "SPOOL_CHILD_FIRST";

/// What a child does. It is a test so that the program has it; without the variables it does nothing.
#[test]
fn child() {
    let env = Env::process();
    let (Some(directory), Some(first)) = (env.string(DIRECTORY), env.integer(FIRST, 0..=u64::MAX)) else {
        return;
    };
    let config = SpoolConfig::new(directory)
        .with_mode(Mode::Wal)
        .with_segment_bytes(64 << 10)
        .with_sync_interval(Duration::from_millis(5))
        .with_adopt_interval(Duration::from_millis(20));
    let spool = Spool::builder("").with_config(config).spawn().expect("a spool");
    let mut claims = Vec::new();
    for id in first.. {
        spool.write(batch(id)).expect("a healthy disk");
        say('w', id);
        if id % 3 == 0 {
            claims.extend(spool.claim());
        }
        if id % 4 == 0 && !claims.is_empty() {
            // Not in order.
            let claim = claims.swap_remove(id as usize % claims.len());
            let id = id_of(claim.batch());
            claim.ack();
            say('a', id);
        }
        if id % 50 == 0 {
            claims.clear();
        }
    }
}

/// Tells the parent, in one system call, what is done.
fn say(what: char, id: u64) {
    let line = format!("\n{what} {id}\n");
    if std::io::stdout().write_all(line.as_bytes()).is_err() {
        // Nobody listens any more.
        std::process::exit(0);
    }
}

/// A child as its parent sees it.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) written: BTreeSet<u64>,
    pub(crate) acked: BTreeSet<u64>,
}

impl Process {
    pub(crate) fn spawn(directory: &Path, first: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            written: BTreeSet::new(),
            acked: BTreeSet::new(),
        }
    }

    /// Hears the next thing that the child did.
    pub(crate) fn hear(&mut self) -> bool {
        loop {
            let Some(Ok(line)) = self.lines.next() else {
                return false;
            };
            let Some((what, id)) = line.split_once(' ') else {
                continue;
            };
            let Ok(id) = id.parse() else { continue };
            match what {
                "w" => drop(self.written.insert(id)),
                "a" => drop(self.acked.insert(id)),
                _ => continue,
            }
            return true;
        }
    }

    /// `kill -9`, and whatever it had still said.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        while self.hear() {}
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
