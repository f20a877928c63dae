//! Names of metrics are constants, and nothing names the machine it was written on.

use super::{report::Report, tree::Tree};

/// The namespaces that `semconv.rs` owns.
const NAMESPACES: &[&str] = &["otel.sdk.", "spanwright."];
const SEMCONV: &str = "semconv.rs";

/// Where people's directories are, on each kind of system.
const HOMES: &[&str] = &["Users", "home", "root"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    check_names(tree, report);
    check_paths(tree, report);
}

fn check_names(tree: &Tree, report: &mut Report) {
    for (path, source) in &tree.sources {
        if !path.starts_with("crates") || path.ends_with(SEMCONV) {
            continue;
        }
        for (line, text) in &source.strings {
            if NAMESPACES.iter().any(|namespace| text.starts_with(namespace)) {
                report.finding(
                    path,
                    *line,
                    format!("\"{text}\" is written out: use its constant in `spanwright_core::semconv`"),
                );
            }
        }
    }
}

fn check_paths(tree: &Tree, report: &mut Report) {
    for (path, text) in &tree.texts {
        for (index, line) in text.lines().enumerate() {
            if HOMES.iter().any(|home| has_path(line, &format!("/{home}/"))) {
                report.finding(
                    path,
                    index + 1,
                    "names a directory of one machine: make it relative to the workspace",
                );
            }
        }
    }
}

/// Whether `start` begins a path in `line`; behind another part of a path it does not.
fn has_path(line: &str, start: &str) -> bool {
    let goes_on = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "-_.})]".contains(c));
    line.match_indices(start).any(|(at, _)| !goes_on(&line[..at]))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{report::said, tree::fixture::tree},
        *,
    };

    fn says(path: &str, text: &str) -> String {
        said(check, &tree(vec![], &[(path, text)])).join("\n")
    }

    #[test]
    fn a_metric_name_that_is_written_out_is_found() {
        let said = says("crates/a/src/x.rs", "f();\ng(\"otel.sdk.span.live\");\n");
        assert!(
            said.starts_with("crates/a/src/x.rs:2: \"otel.sdk.span.live\" is written out"),
            "{said}"
        );
        assert!(says("crates/a/tests/x.rs", "g(\"spanwright.lost\");\n").contains("\"spanwright.lost\""));
        assert_eq!(says("crates/a/src/semconv.rs", "g(\"spanwright.lost\");\n"), "");
        assert_eq!(
            says("crates/a/src/x.rs", "//! \"spanwright.lost\"\ng(\"spanwright\");\n"),
            ""
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for home in HOMES {
            let said = says("docs/x.md", &format!("see\n`/{home}/ann/x`\n"));
            assert!(
                said.starts_with("docs/x.md:2: names a directory of one machine"),
                "{said}"
            );
            assert_eq!(
                says("docs/x.md", &format!("https://example.org/{home}/ann, src/{home}/x")),
                ""
            );
        }
    }
}
