//! What shows that it runs.

mod line;
mod rows;

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use crate::pipelines::Snapshot;
use crate::table::grouped;

/// A line each second on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    style: Style,
    /// Whether it is always the same line.
    is_overwritten: bool,
    /// How much of the terminal's line is written on.
    width: usize,
    last: Reading,
}

/// How much there is to see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// That it goes well: on a terminal always the same line.
    Line,
    /// What an outage does, second by second, under a head.
    Rows,
}

/// What a line is computed from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) elapsed: Duration,
    pub(crate) requests: u64,
    /// What the receiver does, where it is ours.
    pub(crate) receiver: Option<&'static str>,
    pub(crate) snapshot: Snapshot,
}

impl Progress {
    /// Begins with a line that says what is about to run.
    pub(crate) fn begin(title: &str, style: Style) -> Self {
        // A closed standard error is no reason not to run.
        let _ = writeln!(stderr(), "{title}");
        if style == Style::Rows {
            let _ = writeln!(stderr(), "{}", rows::head());
        }
        Self {
            style,
            is_overwritten: style == Style::Line && stderr().is_terminal(),
            width: 0,
            last: Reading::default(),
        }
    }

    pub(crate) fn show(&mut self, reading: Reading) {
        let text = match self.style {
            Style::Line => line::line(&self.last, &reading),
            Style::Rows => rows::row(&self.last, &reading),
        };
        self.last = reading;
        self.write(&text);
    }

    /// The line stays; what comes next begins a new one.
    pub(crate) fn finish(&mut self) {
        if self.is_overwritten && self.width > 0 {
            self.width = 0;
            let _ = writeln!(stderr());
        }
    }

    fn write(&mut self, text: &str) {
        // Nor to end.
        let _ = if self.is_overwritten {
            let width = self.width;
            self.width = text.chars().count();
            write!(stderr(), "\r{text:<width$}").and_then(|()| stderr().flush())
        } else {
            writeln!(stderr(), "{text}")
        };
    }
}

/// How many a second there were between two readings.
fn per_second(last: &Reading, now: &Reading, count: impl Fn(&Reading) -> u64) -> String {
    let seconds = (now.elapsed - last.elapsed).as_secs_f64();
    let rate = if seconds > 0.0 {
        count(now).saturating_sub(count(last)) as f64 / seconds
    } else {
        0.0
    };
    grouped(rate.round() as u64)
}
