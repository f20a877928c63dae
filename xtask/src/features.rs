//! `cargo xtask features`: each crate stands alone.
//!
//! In a workspace build one crate may live from the features that another one has switched on. So each member is checked by
//! itself, and a warning counts as an error.

use std::process::Stdio;

use serde_json::Value;

use crate::{
    Failure,
    cargo::{Member, Workspace, cargo},
};

/// Checks each member with its default features, with none, and with each of its features alone.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("takes no arguments, found `{unknown}`").into());
    }
    let workspace = Workspace::load()?;
    let mut failed = Vec::new();
    for member in &workspace.members {
        for selection in selections(member) {
            let what = format!("-p {} {}", member.name, selection.join(" "));
            println!("cargo check {what}");
            if let Err(why) = check(&workspace, &member.name, &selection) {
                println!("{why}");
                failed.push(what);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} of the checks failed:\n  cargo check {}",
        failed.len(),
        failed.join("\n  cargo check ")
    )
    .into())
}

/// The arguments that choose features, one list for each check.
fn selections(member: &Member) -> Vec<Vec<&str>> {
    let mut selections = vec![vec![]];
    if !member.features.is_empty() {
        selections.push(vec!["--no-default-features"]);
    }
    // `default` by itself is the first check, and a leading underscore says that a feature is only what others share.
    let is_public = |feature: &&String| *feature != "default" && !feature.starts_with('_');
    for feature in member.features.keys().filter(is_public) {
        selections.push(vec!["--no-default-features", "--features", feature]);
    }
    selections
}

/// Fails on warnings too, which `-D warnings` would do at the price of building every dependency once more.
fn check(workspace: &Workspace, package: &str, selection: &[&str]) -> Result<(), Failure> {
    let output = cargo()
        .current_dir(&workspace.root)
        .args(["check", "--quiet", "--message-format=json", "-p", package])
        .args(selection)
        .stderr(Stdio::inherit())
        .output()?;
    let diagnostics = diagnostics(&String::from_utf8_lossy(&output.stdout));
    if output.status.success() && diagnostics.is_empty() {
        Ok(())
    } else {
        Err(diagnostics.concat().into())
    }
}

/// The compiler's messages out of cargo's JSON lines, as it would have printed them.
fn diagnostics(stdout: &str) -> Vec<String> {
    let messages = stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| message["message"]["rendered"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_feature_is_checked_alone_and_default_only_once() {
        let names = ["_shared", "default", "grpc", "http"];
        let features = names.map(|name| (name.to_owned(), Vec::new())).into();
        let member = Member {
            name: "x".into(),
            features,
            ..Member::default()
        };
        let expected: [&[&str]; 4] = [
            &[],
            &["--no-default-features"],
            &["--no-default-features", "--features", "grpc"],
            &["--no-default-features", "--features", "http"],
        ];
        assert_eq!(selections(&member), expected);
    }

    #[test]
    fn a_crate_without_features_is_checked_once() {
        assert_eq!(selections(&Member::default()), [Vec::<&str>::new()]);
    }

    #[test]
    fn a_warning_is_found_among_the_messages() {
        let stdout = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"x"}}"#,
            "\n",
            r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: unused\n"}}"#,
            "\n",
        );
        assert_eq!(diagnostics(stdout), ["warning: unused\n"]);
    }
}
