//! A process with a pipeline that ends spans at a steady pace, and tells how many, until it is killed.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::Tracer;
use spanwright_core::{Clock, Env, SystemClock};
use spanwright_pipeline::{Mode, Pipeline, SpoolConfig};

/// The attribute with a span's number.
pub(crate) const NUMBER: &str = "n";

const DIRECTORY: &str = "PIPELINE_CHILD_DIRECTORY";
const ENDPOINT: &str = "PIPELINE_CHILD_ENDPOINT";
const FIRST: &str = "PIPELINE_CHILD_FIRST";

/// 2 000 spans a second.
const SPANS_OF_A_TICK: u64 = 10;
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// What a child does. It is a test so that the program has it; without the variables it does nothing.
#[test]
fn child() {
    let env = Env::process();
    let (Some(directory), Some(endpoint), Some(first)) = (
        env.string(DIRECTORY),
        env.string(ENDPOINT),
        env.integer(FIRST, 0..=u64::MAX),
    ) else {
        return;
    };
    let config = SpoolConfig::new(directory)
        .with_mode(Mode::Wal)
        .with_segment_bytes(256 << 10)
        .with_adopt_interval(Duration::from_millis(20));
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(endpoint)
        .with_spool_config(config)
        .build()
        .expect("a pipeline");
    let tracer = pipeline.tracer("kill");
    let (clock, mut number) = (SystemClock, first);
    let (mut next, end_of_parent) = (clock.now(), end_of_parent());
    loop {
        for _ in 0..SPANS_OF_A_TICK {
            let attributes = [KeyValue::new(NUMBER, number as i64)];
            drop(tracer.span_builder("work").with_attributes(attributes).start(&tracer));
            number += 1;
        }
        let spool = pipeline.stats().spools[0].1;
        say(number - first, spool.written, spool.pending);
        next += TICK;
        let pause = next.saturating_duration_since(clock.now());
        if end_of_parent.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Says when nobody holds the other end of standard input any more: no child outlives its parent.
fn end_of_parent() -> Receiver<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        _ = sender.send(());
    });
    receiver
}

/// Tells the parent, in one system call, how many spans have ended by now, and how many of them the spool has taken, and how
/// many, of earlier processes among them, have not been answered.
fn say(ended: u64, written: u64, pending: u64) {
    let now = SystemClock.system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format!("\ntick {ended} {written} {pending} {}\n", now.as_micros());
    if std::io::stdout().write_all(line.as_bytes()).is_err() {
        // Nobody listens any more.
        std::process::exit(0);
    }
}

/// One line of what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    /// Its spans that have ended.
    pub(crate) ended: u64,
    /// Those of them, the first ones, that its spool has written.
    pub(crate) written: u64,
    /// Spans that its spool has for the receiver, of earlier processes among them.
    pub(crate) pending: u64,
    /// When that was so.
    pub(crate) at: SystemTime,
}

impl Tick {
    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.strip_prefix("tick ")?.split(' ').map(|number| number.parse().ok());
        let mut number = || numbers.next().flatten();
        Some(Self {
            ended: number()?,
            written: number()?,
            pending: number()?,
            at: UNIX_EPOCH + Duration::from_micros(number()?),
        })
    }
}

/// A child as its parent sees it.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn spawn(directory: &Path, endpoint: &str, first: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(ENDPOINT, endpoint)
            .env(FIRST, first.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing that it says; none when it has ended.
    pub(crate) fn hear(&mut self) -> Option<Tick> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Tick::parse(&line))
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
