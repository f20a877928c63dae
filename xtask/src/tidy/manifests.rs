//! Manifests inherit, and every dependency has its reason beside it.

use std::path::Path;

use super::{
    layers::{FACADE, layer_of},
    manifest::Manifest,
    report::Report,
    tree::Tree,
};
use crate::cargo::Member;

const ROOT: &str = "Cargo.toml";
const INHERITED: &[&str] = &["edition", "license", "rust-version", "version"];
const MOST_FEATURES: usize = 3;

pub(super) fn check(tree: &Tree, report: &mut Report) {
    check_root(tree, report);
    for member in &tree.members {
        let manifest = Manifest::new(tree.texts.get(&member.manifest).map_or("", String::as_str));
        check_inheritance(member, &manifest, report);
        check_dependencies(member, &manifest, report);
        if layer_of(&member.name).is_some() && member.name != FACADE {
            check_features(member, report);
        }
    }
}

fn check_root(tree: &Tree, report: &mut Report) {
    let manifest = Manifest::new(tree.texts.get(Path::new(ROOT)).map_or("", String::as_str));
    for entry in manifest.table("workspace.dependencies") {
        let name = entry.name();
        if !entry.has_setting("default-features = false") {
            report.finding(
                ROOT,
                entry.line,
                format!("`{name}` comes with default features: set `default-features = false`"),
            );
        }
        // What a crate of ours is for stands in its own manifest.
        if !entry.has_comment && tree.member(name).is_none() {
            report.finding(
                ROOT,
                entry.line,
                format!("`{name}` has no reason: say in a comment behind it why it is here"),
            );
        }
    }
}

fn check_inheritance(member: &Member, manifest: &Manifest, report: &mut Report) {
    for key in INHERITED {
        if !manifest
            .table("package")
            .any(|entry| entry.name() == *key && entry.is_inherited())
        {
            report.finding(
                &member.manifest,
                1,
                format!("has its own `{key}`: write `{key}.workspace = true` under [package]"),
            );
        }
    }
    if !manifest
        .table("lints")
        .any(|entry| entry.key == "workspace" && entry.value == "true")
    {
        report.finding(
            &member.manifest,
            1,
            "does not take part in the lints: write `workspace = true` under [lints]",
        );
    }
}

fn check_dependencies(member: &Member, manifest: &Manifest, report: &mut Report) {
    for entry in manifest.dependencies() {
        let name = entry.name();
        if !entry.is_inherited() {
            report.finding(
                &member.manifest,
                entry.line,
                format!("`{name}` has a version of its own: write it into [workspace.dependencies] and `{name}.workspace = true` here"),
            );
        }
        if !entry.has_comment {
            report.finding(
                &member.manifest,
                entry.line,
                format!("`{name}` has no reason: say in a comment behind it what this crate uses it for"),
            );
        }
    }
    for dependency in member
        .dependencies
        .iter()
        .filter(|dependency| dependency.default_features)
    {
        let name = &dependency.name;
        report.finding(
            &member.manifest,
            manifest.line_of_dependency(name, dependency.dev),
            format!("`{name}` comes with default features: name those that are needed"),
        );
    }
}

fn check_features(member: &Member, report: &mut Report) {
    let public: Vec<&str> = member
        .features
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "default" && !name.starts_with('_'))
        .collect();
    if public.len() > MOST_FEATURES {
        let names = public.join(", ");
        report.finding(
            &member.manifest,
            1,
            format!(
                "has {} features ({names}), {MOST_FEATURES} at most: make it two crates, or do without a choice",
                public.len()
            ),
        );
    }
    if member.features.get("default").is_some_and(|parts| !parts.is_empty()) {
        report.finding(
            &member.manifest,
            1,
            "has default features: leave the choice to the facade and to the user",
        );
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
    use crate::cargo::Dependency;

    const PATH: &str = "crates/spanwright-otlp/Cargo.toml";
    const GOOD: &str = "\
[package]
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
[dependencies]
bytes.workspace = true # why
[lints]
workspace = true
";

    fn says(member: Member, manifest: &str) -> String {
        said(check, &tree(vec![member], &[(PATH, manifest)])).join("\n")
    }

    fn otlp() -> Member {
        member("spanwright-otlp")
    }

    #[test]
    fn a_manifest_that_inherits_and_gives_reasons_is_right() {
        assert_eq!(says(otlp(), GOOD), "");
    }

    #[test]
    fn what_is_not_inherited_is_found() {
        let said = says(otlp(), &GOOD.replace("edition.workspace = true", "edition = \"2024\""));
        assert!(said.contains("has its own `edition`"), "{said}");
        let said = says(otlp(), &GOOD.replace("[lints]\nworkspace = true", ""));
        assert!(said.contains("does not take part in the lints"), "{said}");
        let said = says(otlp(), &GOOD.replace("bytes.workspace = true", "bytes = \"1\""));
        assert!(
            said.starts_with(&format!("{PATH}:7: `bytes` has a version of its own")),
            "{said}"
        );
    }

    #[test]
    fn a_dependency_without_a_reason_or_with_default_features_is_found() {
        let said = says(otlp(), &GOOD.replace(" # why", ""));
        assert!(said.starts_with(&format!("{PATH}:7: `bytes` has no reason")), "{said}");
        let mut member = otlp();
        member.dependencies.push(Dependency {
            name: "bytes".into(),
            dev: false,
            default_features: true,
        });
        let said = says(member, GOOD);
        assert!(
            said.starts_with(&format!("{PATH}:7: `bytes` comes with default features")),
            "{said}"
        );
    }

    #[test]
    fn the_root_gives_reasons_and_no_default_features() {
        let root = "\
[workspace.dependencies]
a = { version = \"1\", default-features = false } # why
b = { version = \"1\" } # why
c = { version = \"1\", default-features = false }
spanwright-otlp = { path = \"x\", default-features = false }
";
        let said = said(check, &tree(vec![otlp()], &[(PATH, GOOD), (ROOT, root)]));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("Cargo.toml:3: `b` comes with default features"),
            "{said:?}"
        );
        assert!(said[1].starts_with("Cargo.toml:4: `c` has no reason"), "{said:?}");
    }

    #[test]
    fn three_features_are_the_most_and_none_is_default() {
        assert_eq!(says(otlp().with_features(&["a", "b", "c", "_d", "default"]), GOOD), "");
        assert!(says(otlp().with_features(&["a", "b", "c", "d"]), GOOD).contains("has 4 features (a, b, c, d)"));
        let mut member = otlp();
        member.features.insert("default".into(), vec!["a".into()]);
        assert!(says(member, GOOD).contains("has default features"));
    }
}
