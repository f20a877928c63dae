//! What cargo knows about the workspace, and running it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::Failure;

/// The workspace as `cargo metadata` describes it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The directory of the root manifest.
    pub(crate) root: PathBuf,
    /// Where build products go.
    pub(crate) target: PathBuf,
    /// The packages of the workspace, by name.
    pub(crate) members: Vec<Member>,
}

/// One package of the workspace. Paths are relative to its root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) published: bool,
    pub(crate) dependencies: Vec<Dependency>,
    /// What each feature switches on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The root files of its library and binaries.
    pub(crate) roots: Vec<PathBuf>,
}

/// A dependency of a member, under the name of its package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Used by tests, benches and examples only.
    pub(crate) dev: bool,
    pub(crate) default_features: bool,
}

impl Workspace {
    /// Asks cargo. Needs no network: dependencies are not resolved.
    pub(crate) fn load() -> Result<Self, Failure> {
        // xtask lies in the workspace, wherever the command is started from.
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let output = cargo()
            .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
            .arg(manifest)
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err("`cargo metadata` failed, see above".into());
        }
        Self::parse(&serde_json::from_slice(&output.stdout)?)
            .ok_or_else(|| "`cargo metadata` says something new".into())
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let packages = metadata["packages"].as_array()?;
        let mut members = packages
            .iter()
            .map(|package| Member::parse(package, &root))
            .collect::<Option<Vec<_>>>()?;
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Some(Self {
            target: PathBuf::from(metadata["target_directory"].as_str()?),
            root,
            members,
        })
    }
}

impl Member {
    fn parse(package: &Value, root: &Path) -> Option<Self> {
        let relative = |path: &Value| {
            let path = Path::new(path.as_str()?);
            Some(path.strip_prefix(root).unwrap_or(path).to_owned())
        };
        let is_root = |target: &&Value| {
            let kinds = target["kind"].as_array().into_iter().flatten();
            kinds
                .filter_map(Value::as_str)
                .any(|kind| matches!(kind, "lib" | "proc-macro" | "bin"))
        };
        let features = package["features"].as_object()?.iter().map(|(name, parts)| {
            let parts = parts
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            Some((name.clone(), parts))
        });
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            manifest: relative(&package["manifest_path"])?,
            // Absent means any registry, an empty list means none.
            published: package["publish"]
                .as_array()
                .is_none_or(|registries| !registries.is_empty()),
            dependencies: package["dependencies"]
                .as_array()?
                .iter()
                .map(Dependency::parse)
                .collect::<Option<_>>()?,
            features: features.collect::<Option<_>>()?,
            roots: package["targets"]
                .as_array()?
                .iter()
                .filter(is_root)
                .map(|target| relative(&target["src_path"]))
                .collect::<Option<_>>()?,
        })
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Option<Self> {
        Some(Self {
            name: dependency["name"].as_str()?.to_owned(),
            dev: dependency["kind"] == "dev",
            default_features: dependency["uses_default_features"].as_bool()?,
        })
    }
}

/// The cargo that built this program.
pub(crate) fn cargo() -> Command {
    Command::new(env!("CARGO"))
}

/// Where cargo's messages say that the programs are, by their names.
pub(crate) fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = messages.filter_map(|message| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_becomes_members_with_paths_relative_to_the_root() {
        let metadata = json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": [
                {
                    "name": "b", "manifest_path": "/w/crates/b/Cargo.toml", "publish": null,
                    "features": {"default": [], "x": ["dep:y"]},
                    "dependencies": [
                        {"name": "y", "kind": null, "uses_default_features": false},
                        {"name": "z", "kind": "dev", "uses_default_features": true},
                    ],
                    "targets": [
                        {"kind": ["lib"], "src_path": "/w/crates/b/src/lib.rs"},
                        {"kind": ["test"], "src_path": "/w/crates/b/tests/t.rs"},
                    ],
                },
                {
                    "name": "a", "manifest_path": "/w/a/Cargo.toml", "publish": [], "features": {}, "dependencies": [],
                    "targets": [{"kind": ["bin"], "src_path": "/w/a/src/main.rs"}],
                },
            ],
        });
        let workspace = Workspace::parse(&metadata).expect("well-formed");
        let [a, b] = &workspace.members[..] else {
            panic!("{:?}", workspace.members)
        };
        assert!(!a.published && b.published);
        assert_eq!(b.manifest, Path::new("crates/b/Cargo.toml"));
        assert_eq!(b.roots, [Path::new("crates/b/src/lib.rs")]);
        assert_eq!(
            b.dependencies,
            [
                Dependency {
                    name: "y".into(),
                    dev: false,
                    default_features: false
                },
                Dependency {
                    name: "z".into(),
                    dev: true,
                    default_features: true
                },
            ]
        );
        assert_eq!(b.features["x"], ["dep:y"]);
    }

    #[test]
    fn programs_are_found_among_the_messages() {
        let messages = concat!(
            r#"{"target":{"name":"spanwright_benches"},"executable":null}"#,
            "\n",
            r#"{"target":{"name":"otlp-receiver"},"executable":"/t/release/otlp-receiver"}"#,
            "\n{\"reason\":\"build-finished\"}\n",
        );
        let expected = [("otlp-receiver".to_owned(), PathBuf::from("/t/release/otlp-receiver"))];
        assert_eq!(executables(messages), expected.into());
    }
}
