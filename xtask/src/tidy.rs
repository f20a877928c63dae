//! `cargo xtask tidy`: what a reviewer would otherwise have to remember.
//!
//! The rules hold docs/ARCHITECTURE.md, the layers above all, against `cargo metadata` and the sources. They read text and
//! not syntax trees: a rule may be escaped on purpose, but not by accident. The same rules run as a test, so that
//! `cargo test --workspace` holds them.

mod documents;
mod facade;
mod layers;
mod leftovers;
mod literals;
mod manifest;
mod manifests;
mod report;
mod rust_source;
mod sdk;
mod shape;
mod tree;
mod unsafe_code;

use self::{report::Report, tree::Tree};
use crate::{Failure, cargo::Workspace};

/// Each rule reads the whole tree and reports what it finds.
const RULES: &[fn(&Tree, &mut Report)] = &[
    documents::check,
    facade::check,
    layers::check,
    leftovers::check,
    literals::check,
    manifests::check,
    sdk::check,
    shape::check,
    unsafe_code::check,
];

/// Applies every rule to the workspace, prints what they found, and fails if anything must change.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("takes no arguments, found `{unknown}`").into());
    }
    let report = report()?;
    print!("{report}");
    match report.findings().len() {
        0 => Ok(()),
        1 => Err("1 finding".into()),
        count => Err(format!("{count} findings").into()),
    }
}

fn report() -> Result<Report, Failure> {
    let tree = Tree::load(Workspace::load()?)?;
    let mut report = Report::default();
    for rule in RULES {
        rule(&tree, &mut report);
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let report = report().expect("the workspace can be read");
        assert!(report.findings().is_empty(), "\n{report}");
    }
}
