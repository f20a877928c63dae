//! What the rules found.

use std::{
    fmt::{self, Display},
    path::{Path, PathBuf},
};

/// Findings, which must be repaired, and hints, which are worth a thought.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    hints: Vec<Finding>,
}

/// One place and what is to be done about it.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Finding {
    path: PathBuf,
    line: usize,
    message: String,
}

impl Report {
    /// Something that must change. The message says what is wrong and how to repair it; `line` counts from 1.
    pub(crate) fn finding(&mut self, path: impl AsRef<Path>, line: usize, message: impl Into<String>) {
        self.findings.push(Finding {
            path: path.as_ref().to_owned(),
            line,
            message: message.into(),
        });
    }

    /// Something that may be right as it is.
    pub(crate) fn hint(&mut self, path: impl AsRef<Path>, line: usize, message: impl Into<String>) {
        self.hints.push(Finding {
            path: path.as_ref().to_owned(),
            line,
            message: message.into(),
        });
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, list) in [("hint: ", &self.hints), ("", &self.findings)] {
            let mut sorted: Vec<_> = list.iter().collect();
            sorted.sort();
            for Finding { path, line, message } in sorted {
                writeln!(f, "{}:{line}: {label}{message}", path.display())?;
            }
        }
        Ok(())
    }
}

/// What a rule says about a tree, one string for each finding and hint: for the tests of the rules.
#[cfg(test)]
pub(crate) fn said(rule: fn(&super::Tree, &mut Report), tree: &super::Tree) -> Vec<String> {
    let mut report = Report::default();
    rule(tree, &mut report);
    report.to_string().lines().map(str::to_owned).collect()
}
