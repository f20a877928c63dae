//! Dependencies point down only.

use super::{manifest::Manifest, report::Report, tree::Tree};
use crate::cargo::{Dependency, Member};

/// The crates by layer, also those still to come. A crate may use those of a lower layer, and none of its own.
const LAYERS: &[&[&str]] = &[
    &[CORE],
    &[
        "spanwright-attributes",
        "spanwright-batching",
        "spanwright-propagation",
        "spanwright-resilience",
        "spanwright-sampling",
    ],
    &[
        "spanwright-monitoring",
        "spanwright-otlp",
        "spanwright-profiling",
        "spanwright-spool",
    ],
    &["spanwright-pipeline"],
    &[FACADE],
];

/// Never published, and used by others in their tests at most.
const OUTSIDE: &[&str] = &["spanwright-benches", "spanwright-demo", TESTING, "xtask"];

const CORE: &str = "spanwright-core";
/// Re-exports the others behind features, and has nothing of its own.
pub(super) const FACADE: &str = "spanwright";
const TESTING: &str = "spanwright-testing";

/// All that the bottom layer stands on.
const BELOW_CORE: &[&str] = &["bytes", "tower-service"];

/// The layer of a crate, from 0; `None` for those outside of the layers.
pub(super) fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Whether docs/ARCHITECTURE.md has a section for it: the layers and what tests them.
pub(super) fn is_described(name: &str) -> bool {
    layer_of(name).is_some() || name == TESTING
}

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for member in &tree.members {
        let manifest = Manifest::new(tree.texts.get(&member.manifest).map_or("", String::as_str));
        let outside = OUTSIDE.contains(&member.name.as_str());
        if layer_of(&member.name).is_none() && !outside {
            let name = &member.name;
            report.finding(
                &member.manifest,
                1,
                format!(
                    "`{name}` has no layer: put it in the table of xtask/src/tidy/layers.rs and of docs/ARCHITECTURE.md"
                ),
            );
        }
        if outside && member.published {
            report.finding(
                &member.manifest,
                1,
                format!("`{}` is for ourselves: set `publish = false`", member.name),
            );
        }
        for dependency in member.dependencies.iter().filter(|dependency| !dependency.dev) {
            if let Some(complaint) = complaint(tree, member, dependency) {
                report.finding(
                    &member.manifest,
                    manifest.line_of_dependency(&dependency.name, false),
                    complaint,
                );
            }
        }
    }
}

/// What is wrong with an edge that users of the crate get too.
fn complaint(tree: &Tree, member: &Member, dependency: &Dependency) -> Option<String> {
    let (from, to) = (member.name.as_str(), dependency.name.as_str());
    if from == CORE && !BELOW_CORE.contains(&to) {
        let allowed = BELOW_CORE.join("` and `");
        return Some(format!(
            "`{CORE}` stands on `{allowed}` alone: move what needs `{to}` up a layer"
        ));
    }
    let other = tree.member(to)?;
    let from_layer = layer_of(from)?;
    match layer_of(to) {
        None if !other.published => Some(format!(
            "`{to}` is never published: `{from}` may use it under [dev-dependencies] only"
        )),
        Some(to_layer) if to_layer == from_layer => Some(format!(
            "`{from}` and `{to}` are both of layer {to_layer}: move what they share down to a lower layer, or join them in `spanwright-pipeline`"
        )),
        Some(to_layer) if to_layer > from_layer => Some(format!(
            "`{from}` (layer {from_layer}) looks up to `{to}` (layer {to_layer}): let `{to}` pass it in, through a trait of `{CORE}`"
        )),
        _ => None,
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

    fn says(members: Vec<Member>) -> String {
        said(check, &tree(members, &[])).join("\n")
    }

    #[test]
    fn edges_that_point_down_are_right() {
        let core = member("spanwright-core").depends_on("bytes");
        let batching = member("spanwright-batching")
            .depends_on("spanwright-core")
            .depends_on("tokio");
        let pipeline = member("spanwright-pipeline")
            .depends_on("spanwright-core")
            .depends_on("spanwright-batching");
        assert_eq!(says(vec![core, batching, pipeline]), "");
    }

    #[test]
    fn an_edge_that_points_up_is_found_on_its_line() {
        let otlp = member("spanwright-otlp").depends_on("spanwright-pipeline");
        let manifest = "[dependencies]\nspanwright-pipeline.workspace = true\n";
        let tree = tree(
            vec![otlp, member("spanwright-pipeline")],
            &[("crates/spanwright-otlp/Cargo.toml", manifest)],
        );
        let said = said(check, &tree);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("crates/spanwright-otlp/Cargo.toml:2: `spanwright-otlp` (layer 2) looks up"),
            "{said:?}"
        );
    }

    #[test]
    fn an_edge_within_a_layer_is_found() {
        let otlp = member("spanwright-otlp").depends_on("spanwright-spool");
        assert!(says(vec![otlp, member("spanwright-spool")]).contains("both of layer 2"));
    }

    #[test]
    fn core_stands_on_two_crates_alone() {
        assert!(says(vec![member("spanwright-core").depends_on("tokio")]).contains("move what needs `tokio` up"));
    }

    #[test]
    fn what_is_never_published_is_for_tests_only() {
        let testing = || member("spanwright-testing").unpublished();
        let otlp = || member("spanwright-otlp");
        assert_eq!(says(vec![otlp().tests_with("spanwright-testing"), testing()]), "");
        let said = says(vec![otlp().depends_on("spanwright-testing"), testing()]);
        assert!(said.contains("under [dev-dependencies] only"), "{said}");
        assert!(says(vec![member("spanwright-testing")]).contains("set `publish = false`"));
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert!(says(vec![member("spanwright-surprise")]).contains("has no layer"));
    }
}
