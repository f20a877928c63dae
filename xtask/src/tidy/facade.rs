//! Every feature of the facade is explained three times: beside itself, in the crate's front page, in the README.

use std::path::Path;

use super::{layers::FACADE, manifest::Manifest, report::Report, tree::Tree};

const README: &str = "README.md";

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let Some(facade) = tree.member(FACADE) else { return };
    let text = |path: &Path| tree.texts.get(path).map_or("", String::as_str);
    let manifest = Manifest::new(text(&facade.manifest));
    let front = facade.directory().join("src/lib.rs");
    let places = [
        (front.as_path(), "the feature table of the crate's docs"),
        (Path::new(README), "the feature table"),
    ];
    // `default` is a list of the others.
    let features: Vec<&str> = facade
        .features
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "default")
        .collect();
    for feature in &features {
        match manifest.table("features").find(|entry| entry.key == **feature) {
            Some(entry) if entry.has_comment => {}
            Some(entry) => report.finding(
                &facade.manifest,
                entry.line,
                format!("the feature `{feature}` has no comment: say behind it what it brings"),
            ),
            None => report.finding(
                &facade.manifest,
                manifest.line_of_dependency(feature, false),
                format!("the feature `{feature}` comes from an optional dependency by itself: name it under [features] with `dep:`"),
            ),
        }
    }
    for (path, place) in places {
        let rows = feature_rows(text(path));
        for feature in &features {
            if !rows.iter().any(|(_, name)| name == feature) {
                report.finding(
                    path,
                    1,
                    format!("the feature `{feature}` is missing: add a row \"| `{feature}` | ..\" to {place}"),
                );
            }
        }
        for (line, name) in rows {
            if !features.contains(&name) && name != "default" {
                report.finding(
                    path,
                    line,
                    format!("there is no feature `{name}`: take the row out of {place}"),
                );
            }
        }
    }
}

/// The rows that begin with a name in backticks below a heading about features, each with its line.
fn feature_rows(text: &str) -> Vec<(usize, &str)> {
    let mut below_heading = false;
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches("//!").trim();
        if line.starts_with('#') && !line.starts_with("#[") && !line.starts_with("#!") {
            below_heading = line.to_lowercase().contains("feature");
        } else if below_heading && let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
            rows.push((index + 1, name));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::{
        report::said,
        tree::fixture::{member, tree},
    };
    use super::*;

    const MANIFEST: &str = "[features]\ndefault = []\n# gRPC.\ngrpc = []\nhttp = [] # HTTP.\n";
    const LIB: &str =
        "//! # Features\n//!\n//! | feature | brings |\n//! |---|---|\n//! | `grpc` | gRPC |\n//! | `http` | HTTP |\n";
    const README_TEXT: &str = "## Features\n| `grpc` | gRPC |\n| `http` | HTTP |\n## Crates\n| `spanwright` | all |\n";

    fn says(manifest: &str, lib: &str, readme: &str) -> String {
        let facade = member("spanwright").with_features(&["default", "grpc", "http"]);
        let files = [
            ("crates/spanwright/Cargo.toml", manifest),
            ("crates/spanwright/src/lib.rs", lib),
            ("README.md", readme),
        ];
        said(check, &tree(vec![facade], &files)).join("\n")
    }

    #[test]
    fn a_feature_explained_three_times_is_right() {
        assert_eq!(says(MANIFEST, LIB, README_TEXT), "");
    }

    #[test]
    fn a_missing_explanation_is_found_in_each_place() {
        let said = says(&MANIFEST.replace("# HTTP.", ""), LIB, README_TEXT);
        assert!(
            said.starts_with("crates/spanwright/Cargo.toml:5: the feature `http` has no comment"),
            "{said}"
        );
        let said = says(MANIFEST, &LIB.replace("`http`", "http"), README_TEXT);
        assert!(
            said.starts_with("crates/spanwright/src/lib.rs:1: the feature `http` is missing"),
            "{said}"
        );
        let said = says(MANIFEST, LIB, &README_TEXT.replace("| `http`", "| http"));
        assert!(said.starts_with("README.md:1: the feature `http` is missing"), "{said}");
        assert!(says(MANIFEST, LIB, "## Features\n## Crates\n| `grpc` |\n| `http` |\n").contains("`grpc` is missing"));
    }

    #[test]
    fn a_row_without_a_feature_is_found() {
        let said = says(
            MANIFEST,
            LIB,
            &README_TEXT.replace("## Crates", "| `gone` | |\n## Crates"),
        );
        assert_eq!(
            said,
            "README.md:4: there is no feature `gone`: take the row out of the feature table"
        );
    }

    #[test]
    fn a_feature_of_an_optional_dependency_must_be_named() {
        let said = says(&MANIFEST.replace("http = [] # HTTP.", ""), LIB, README_TEXT);
        assert!(
            said.contains("`http` comes from an optional dependency by itself"),
            "{said}"
        );
    }
}
