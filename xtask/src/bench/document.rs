//! The figures in `docs/performance.md`.

use std::{fs, path::PathBuf};

use super::{record::Record, table};
use crate::{Failure, cargo::Workspace};

const DOCUMENT: &str = "docs/performance.md";

/// A part of the document that is written by this command, between two markers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Counts,
    Figures,
}

/// Replaces the section by the record; the document's path.
pub(super) fn write(workspace: &Workspace, section: Section, record: &Record) -> Result<PathBuf, Failure> {
    let path = workspace.root.join(DOCUMENT);
    let text = fs::read_to_string(&path).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    let text = replace(&text, section, &body(record))
        .ok_or_else(|| format!("{DOCUMENT} has no `{}` and `{}`", section.start(), section.end()))?;
    fs::write(&path, text)?;
    Ok(path)
}

impl Section {
    const fn start(self) -> &'static str {
        match self {
            Self::Counts => "<!-- counts -->",
            Self::Figures => "<!-- figures -->",
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Counts => "<!-- end of counts -->",
            Self::Figures => "<!-- end of figures -->",
        }
    }
}

fn replace(text: &str, section: Section, body: &str) -> Option<String> {
    let (before, rest) = text.split_once(section.start())?;
    let (_, after) = rest.split_once(section.end())?;
    Some(format!("{before}{}\n{body}{}{after}", section.start(), section.end()))
}

fn body(record: &Record) -> String {
    let machine = &record.machine;
    let dirty = if machine.dirty { ", with changes" } else { "" };
    let quick = if record.quick { ", quick" } else { "" };
    let mut text = format!(
        "{} cores of {}, Linux {}, {}; commit {} of {}{dirty}; {} rounds{quick}; load at the start {}.\n\n{}",
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.rustc,
        machine.commit,
        machine.date,
        record.rounds,
        machine.load,
        table::markdown(record),
    );
    let remarks: Vec<String> = record
        .outcomes
        .iter()
        .flat_map(|outcome| {
            let remarks = outcome.findings.failings.iter().chain(&outcome.findings.notes);
            remarks.map(|remark| format!("- `{}`: {remark}\n", outcome.id))
        })
        .collect();
    if !remarks.is_empty() {
        text.push('\n');
        text.extend(remarks);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        super::{outcome::fixture::outcome, record::fixture::record},
        *,
    };

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let text = "# Head\n<!-- figures -->\nold\n<!-- end of figures -->\ntail\n";
        assert_eq!(
            replace(text, Section::Figures, "new\n").as_deref(),
            Some("# Head\n<!-- figures -->\nnew\n<!-- end of figures -->\ntail\n")
        );
        assert_eq!(replace(text, Section::Counts, "new\n"), None);
    }

    #[test]
    fn the_figures_come_with_the_machine_and_the_commit() {
        let mut figure = outcome("a", &[50.0], &[100.0]);
        figure.findings.notes.push("stock lost 3 %".into());
        let text = body(&record(vec![figure]));
        assert!(text.starts_with("2 cores of A CPU, Linux "), "{text}");
        assert!(text.contains("commit abc of 2026-01-02; 3 rounds"), "{text}");
        assert!(text.ends_with("yes |\n\n- `a`: stock lost 3 %\n"), "{text}");
    }
}
