//! A program that we start, listen to, and end.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Failure, deadline::Deadline};

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts the program with all its streams in our hands.
    pub(crate) fn start(name: impl Into<String>, command: &mut Command) -> Result<Self, Failure> {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                lines
                    .map(|line| sender.send(line))
                    .take_while(Result::is_ok)
                    .for_each(drop);
            });
        }
        let errors = child.stderr.take().map(|mut stream| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // What could be read before an error is what there is to show.
                let _ = stream.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self {
            name,
            child,
            lines,
            errors,
        })
    }

    /// The next line of its output, or `None` when it has ended or the time is over.
    pub(crate) fn line(&mut self, deadline: Deadline) -> Option<String> {
        self.lines.recv_timeout(deadline.left()).ok()
    }

    /// Waits `duration` for the program to end, and says whether it did.
    pub(crate) fn ends_within(&mut self, duration: Duration) -> bool {
        let deadline = Deadline::within(duration);
        loop {
            match self.lines.recv_timeout(deadline.left()) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    /// Asks the program to end in its own way, by the signal that says so.
    pub(crate) fn terminate(&self) -> Result<(), Failure> {
        // The standard library only knows the signal that kills. A shell has the other one built in.
        let status = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} does not take a signal", self.name).into())
        }
    }

    /// Closes its input, reads the rest of its output, and fails unless it ends in time and with success.
    pub(crate) fn finish(mut self, deadline: Deadline) -> Result<Vec<String>, Failure> {
        drop(self.child.stdin.take());
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.left()) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(self.failure("does not end in time")),
            }
        }
        let status = self.child.wait()?;
        if status.success() {
            Ok(lines)
        } else {
            Err(self.failure(&format!("failed, {status}")))
        }
    }

    /// Ends the program, and tells what happened together with what it said on its error stream.
    pub(crate) fn failure(mut self, what: &str) -> Failure {
        self.kill();
        let errors = self
            .errors
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        format!("{} {what}\n{errors}", self.name).trim_end().into()
    }

    fn kill(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        Process::start("sh", Command::new("sh").args(["-c", script])).expect("starts")
    }

    #[test]
    fn the_output_of_a_program_is_read_to_its_end() {
        let mut process = shell("echo one; read line; echo two");
        assert_eq!(process.line(Deadline::within(SOON)).as_deref(), Some("one"));
        assert_eq!(
            process
                .finish(Deadline::within(SOON))
                .expect("ends when its input is closed"),
            ["two"]
        );
    }

    #[test]
    fn a_failure_shows_what_the_program_said() {
        let failure = shell("echo why >&2; exit 3")
            .finish(Deadline::within(SOON))
            .expect_err("exits with 3");
        assert_eq!(failure.to_string(), "sh failed, exit status: 3\nwhy");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_when_time_is_over() {
        let process = shell("exec tail -f /dev/null");
        let failure = process.finish(Deadline::within(Duration::ZERO)).expect_err("goes on");
        assert_eq!(failure.to_string(), "sh does not end in time");
    }

    #[test]
    fn a_program_may_end_in_its_own_way() {
        let mut process = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do read line; done");
        assert_eq!(process.line(Deadline::within(SOON)).as_deref(), Some("ready"));
        assert!(!process.ends_within(Duration::ZERO));
        process.terminate().expect("is there");
        drop(process.child.stdin.take()); // lets a shell that is reading see its signal
        assert_eq!(process.line(Deadline::within(SOON)).as_deref(), Some("bye"));
        assert!(process.ends_within(SOON));
    }
}
