//! Nothing half done stays behind, and no test sleeps.

use std::path::Path;

use super::{
    report::Report,
    rust_source::{RustSource, has, is_identifier},
    tree::Tree,
};

/// What must not stay in code, and what to do instead.
const LEFTOVERS: &[(&str, &str)] = &[
    ("#[ignore", "is a test that does not run: repair it or take it out"),
    ("dbg!", "is for the moment only: take it out"),
    ("todo!", "is a hole: fill it, or leave out what leads to it"),
    ("unimplemented!", "is a hole: fill it, or leave out what leads to it"),
];

const REMINDERS: &[&str] = &["FIXME", "TODO"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, source) in &tree.sources {
        check_code(path, source, report);
        check_comments(path, source, report);
    }
    for member in tree
        .members
        .iter()
        .filter(|member| member.manifest.starts_with("crates"))
    {
        for (path, source) in tree.sources_of(member, "") {
            check_sleep(path, source, report);
        }
    }
}

fn check_code(path: &Path, source: &RustSource, report: &mut Report) {
    for (line, code) in source.all_lines() {
        for (phrase, advice) in LEFTOVERS {
            if has(code, phrase) {
                report.finding(path, line, format!("`{phrase}` {advice}"));
            }
        }
    }
}

fn check_comments(path: &Path, source: &RustSource, report: &mut Report) {
    for (line, comment) in &source.comments {
        let reminder = REMINDERS.iter().find(|word| has(comment, word));
        if let Some(word) = reminder
            && !names_issue(comment)
        {
            report.finding(
                path,
                *line,
                format!("`{word}` without an issue: write one and name it, as in `{word}(#12)`"),
            );
        }
    }
}

/// Whether there is a `#12` in it.
fn names_issue(comment: &str) -> bool {
    comment
        .split('#')
        .skip(1)
        .any(|rest| rest.starts_with(|character: char| character.is_ascii_digit()))
}

fn check_sleep(path: &Path, source: &RustSource, report: &mut Report) {
    for (line, code) in source.test_lines().filter(|(_, code)| calls_sleep(code)) {
        let call = code.trim();
        report.finding(
            path,
            line,
            format!("sleeps (`{call}`): wait for the event itself, or move a clock"),
        );
    }
}

/// Whether a free function `sleep` is called, by any path; methods and definitions of that name are others.
fn calls_sleep(code: &str) -> bool {
    code.match_indices("sleep(").any(|(at, _)| {
        let before = &code[..at];
        !before.ends_with('.') && !before.ends_with(is_identifier) && !before.ends_with("fn ")
    })
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

    fn says(path: &str, text: &str) -> String {
        said(check, &tree(vec![member("spanwright-otlp")], &[(path, text)])).join("\n")
    }

    #[test]
    fn each_leftover_is_found_in_code_and_in_tests() {
        for (phrase, advice) in LEFTOVERS {
            let said = says("a.rs", &format!("#[cfg(test)]\nmod tests {{\n    {phrase}\n}}\n"));
            assert_eq!(said, format!("a.rs:3: `{phrase}` {advice}"));
            assert_eq!(says("a.rs", &format!("f(\"{phrase}\"); // {phrase}\n")), "");
        }
    }

    #[test]
    fn a_reminder_needs_an_issue() {
        for word in REMINDERS {
            assert!(says("a.rs", &format!("f(); // {word}: more\n")).contains("without an issue"));
            assert!(says("a.rs", &format!("//! {word} # later\n")).contains("without an issue"));
            assert_eq!(says("a.rs", &format!("// {word}(#12): more\n")), "");
            assert_eq!(says("a.rs", &format!("f(\"{word}\");\n")), "");
        }
    }

    #[test]
    fn no_test_of_a_crate_sleeps() {
        let path = "crates/spanwright-otlp/tests/t.rs";
        for call in [
            "std::thread::sleep(d);",
            "tokio::time::sleep(d).await;",
            "sleep(d).await;",
        ] {
            assert!(
                says(path, call).contains(&format!("t.rs:1: sleeps (`{call}`)")),
                "{call}"
            );
            assert_eq!(says("crates/spanwright-otlp/src/a.rs", call), "", "not a test");
            assert_eq!(says("xtask/tests/t.rs", call), "", "not of a crate");
        }
        assert_eq!(says(path, "clock.sleep(d); fn sleep(d: D) {} no_sleep(d);"), "");
    }
}
