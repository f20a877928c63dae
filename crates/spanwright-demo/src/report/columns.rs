//! A table with a column for each run.

use std::fmt;

use crate::choices::Kind;
use crate::run::Outcome;
use crate::table::{Table, grouped};

/// Rows of which each has a cell for each run.
pub(super) struct Columns<'a> {
    pub(super) outcomes: &'a [Outcome],
    table: Table,
}

impl<'a> Columns<'a> {
    pub(super) fn new(outcomes: &'a [Outcome]) -> Self {
        let table = Table::new(outcomes.iter().map(|outcome| outcome.kind.to_string()).collect());
        Self { outcomes, table }
    }

    pub(super) fn count(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> u64) {
        self.text(label, note, |outcome| grouped(of(outcome)));
    }

    pub(super) fn figure(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> Option<String>) {
        self.text(label, note, |outcome| {
            of(outcome).unwrap_or_else(|| "not known".to_owned())
        });
    }

    pub(super) fn text(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> String) {
        self.table.row(label, self.outcomes.iter().map(of), note);
    }

    /// Whether the receiver is ours to ask.
    pub(super) fn has_received(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.received.is_some())
    }

    /// A title over the rows to come.
    pub(super) fn title(&mut self, title: &'static str) {
        self.table.title(title);
    }

    /// A count that only Spanwright keeps.
    pub(super) fn own(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> u64) {
        self.text(label, note, |outcome| match outcome.kind {
            Kind::Spanwright => grouped(of(outcome)),
            Kind::Stock => "-".to_owned(),
        });
    }
}

impl fmt::Display for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}
