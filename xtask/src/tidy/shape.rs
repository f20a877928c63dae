//! The shape of files: `lib.rs` shows and does not do, a file is one noun, names are re-exported one by one.

use std::path::Path;

use super::{
    report::Report,
    rust_source::{RustSource, has},
    tree::Tree,
};

const MOST_LINES_OF_LIB: usize = 150;
const MOST_LINES: usize = 600;
const MANY_LINES: usize = 400;

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, source) in &tree.sources {
        check_size(path, source, report);
        check_globs(path, source, report);
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            check_mod(path, source, report);
        }
    }
    for root in tree.members.iter().flat_map(|member| &member.roots) {
        if let Some(source) = tree.sources.get(root)
            && root.ends_with("src/lib.rs")
        {
            check_lib(root, source, report);
        }
    }
}

fn check_size(path: &Path, source: &RustSource, report: &mut Report) {
    let lines = source.code_lines().count();
    if lines > MOST_LINES {
        report.finding(
            path,
            1,
            format!(
                "has {lines} lines of code beside tests, {MOST_LINES} at most: find the second noun and give it a file"
            ),
        );
    } else if lines > MANY_LINES {
        report.hint(
            path,
            1,
            format!("has {lines} lines of code beside tests: is there a second noun in it?"),
        );
    }
}

fn check_globs(path: &Path, source: &RustSource, report: &mut Report) {
    for (line, code) in source.all_lines() {
        if has(code, "pub use") && code.contains("::*") {
            report.finding(path, line, "re-exports everything: name what is public, one by one");
        }
    }
}

fn check_mod(path: &Path, source: &RustSource, report: &mut Report) {
    // `#[cfg(test)] mod tests;` only says where they are.
    if let Some((line, _)) = source
        .test_lines()
        .find(|(_, code)| code.contains("#[test]") || code.contains("::test]"))
    {
        report.finding(
            path,
            line,
            "hosts tests: move them to tests.rs beside it, or into the files they test",
        );
    }
}

fn check_lib(path: &Path, source: &RustSource, report: &mut Report) {
    let lines = source.code_lines().count();
    if lines > MOST_LINES_OF_LIB {
        report.finding(
            path,
            1,
            format!("has {lines} lines beside docs, {MOST_LINES_OF_LIB} at most: move items to files of their own"),
        );
    }
    for (line, code) in source.code_lines() {
        if has(code, "fn ") {
            report.finding(
                path,
                line,
                "has a function: lib.rs shows what there is, move it to a file of its own",
            );
        }
    }
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

    const LIB: &str = "crates/spanwright-otlp/src/lib.rs";

    fn says(path: &str, text: &str) -> String {
        said(check, &tree(vec![member("spanwright-otlp")], &[(path, text)])).join("\n")
    }

    #[test]
    fn lib_is_short_and_has_no_functions() {
        assert_eq!(
            says(
                LIB,
                "//! Essay.\n//! fn main() {}\nmod a;\npub use self::a::{A, B};\n#[cfg(test)]\nfn t() {}\n"
            ),
            ""
        );
        assert_eq!(says(LIB, &"//! docs\nmod a;\n".repeat(150)), "");
        assert!(says(LIB, &"mod a;\n".repeat(151)).contains("has 151 lines beside docs"));
        assert!(says(LIB, "mod a;\npub fn f() {}\n").contains("lib.rs:2: has a function"));
        assert_eq!(says("crates/spanwright-otlp/src/a.rs", "pub fn f() {}\n"), "");
    }

    #[test]
    fn nothing_is_re_exported_wholesale() {
        assert!(says(LIB, "pub use self::a::*;\n").contains("lib.rs:1: re-exports everything"));
        assert!(says("x.rs", "    pub use a::{b::*, c};\n").contains("re-exports everything"));
        assert_eq!(says("x.rs", "use super::*;\n"), "");
    }

    #[test]
    fn long_files_are_a_hint_and_longer_ones_a_finding() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "f();\n".repeat(700));
        assert_eq!(says("x.rs", &format!("{}{tests}", "f();\n\n".repeat(400))), "");
        assert!(says("x.rs", &"f();\n".repeat(401)).contains("hint: has 401 lines"));
        assert!(says("x.rs", &"f();\n".repeat(600)).contains("hint: "));
        assert!(says("x.rs", &"f();\n".repeat(601)).contains("x.rs:1: has 601 lines"));
    }

    #[test]
    fn mod_rs_hosts_no_tests() {
        let tests = "#[cfg(test)]\nmod tests {\n    #[tokio::test]\n    async fn t() {}\n}\n";
        assert!(says("a/src/b/mod.rs", tests).contains("mod.rs:3: hosts tests"));
        assert!(says("a/tests/mod.rs", "#[test]\nfn t() {}\n").contains("mod.rs:1: hosts tests"));
        assert_eq!(says("a/src/b/mod.rs", "#[cfg(test)]\nmod tests;\n"), "");
        assert_eq!(says("a/src/b/c.rs", tests), "");
    }
}
