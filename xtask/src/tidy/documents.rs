//! The documents that a newcomer reads know every crate.

use std::path::Path;

use super::{layers::is_described, report::Report, tree::Tree};

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const CHANGELOG: &str = "CHANGELOG.md";
const README: &str = "README.md";

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let described = tree.members.iter().filter(|member| is_described(&member.name));
    let published = tree.members.iter().filter(|member| member.published);
    check_lines(
        tree,
        report,
        ARCHITECTURE,
        described,
        |line, name| line.starts_with('#') && names(line, name),
        |name| {
            format!(
                "`{name}` has no section: add a heading with its name, what it is and what it is not, and its invariants"
            )
        },
    );
    check_lines(
        tree,
        report,
        README,
        published,
        |line, name| line.starts_with('|') && names(line, name),
        |name| format!("`{name}` is not in the table of crates: add its row"),
    );
    check_lines(tree, report, CHANGELOG, [], |_, _| true, |_| String::new());
}

/// Complains about each crate that no line of the document is about, or about the missing document.
fn check_lines<'a>(
    tree: &Tree,
    report: &mut Report,
    document: &str,
    members: impl IntoIterator<Item = &'a crate::cargo::Member>,
    is_about: impl Fn(&str, &str) -> bool,
    complaint: impl Fn(&str) -> String,
) {
    let Some(text) = tree.texts.get(Path::new(document)) else {
        report.finding(document, 1, "is missing: write it");
        return;
    };
    for member in members {
        if !text.lines().any(|line| is_about(line, &member.name)) {
            report.finding(document, 1, complaint(&member.name));
        }
    }
}

/// Whether the line has the crate's whole name in it: `spanwright` is not named by `spanwright-core`.
fn names(line: &str, name: &str) -> bool {
    line.split(|character: char| !(character.is_alphanumeric() || character == '-'))
        .any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            report::said,
            tree::fixture::{member, tree},
        },
        *,
    };

    fn says(architecture: &str, readme: &str) -> String {
        let members = vec![
            member("spanwright"),
            member("spanwright-core"),
            member("spanwright-testing").unpublished(),
        ];
        let files = [
            ("docs/ARCHITECTURE.md", architecture),
            ("README.md", readme),
            ("CHANGELOG.md", ""),
        ];
        said(check, &tree(members, &files)).join("\n")
    }

    const ARCHITECTURE_TEXT: &str = "# Map\n## spanwright\n## `spanwright-core`: words\n### L0 `spanwright-testing`\n";
    const README_TEXT: &str = "| L4 | [`spanwright`](x) |\n| L0 | `spanwright-core` |\n";

    #[test]
    fn every_crate_has_a_section_and_every_published_one_a_row() {
        assert_eq!(says(ARCHITECTURE_TEXT, README_TEXT), "");
        let said = says(&ARCHITECTURE_TEXT.replace("### L0", "L0"), README_TEXT);
        assert!(
            said.starts_with("docs/ARCHITECTURE.md:1: `spanwright-testing` has no section"),
            "{said}"
        );
        let said = says(ARCHITECTURE_TEXT, "| `spanwright-core` |\nspanwright\n");
        assert!(
            said.starts_with("README.md:1: `spanwright` is not in the table of crates"),
            "{said}"
        );
    }

    #[test]
    fn a_missing_document_is_found() {
        let said = said(check, &tree(vec![], &[("README.md", "")])).join("\n");
        assert_eq!(
            said,
            "CHANGELOG.md:1: is missing: write it\ndocs/ARCHITECTURE.md:1: is missing: write it"
        );
    }
}
