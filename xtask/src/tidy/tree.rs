//! The workspace in memory: its members and its text files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::rust_source::RustSource;
use crate::{
    Failure,
    cargo::{Member, Workspace},
};

/// Directories that hold nothing written by people.
const SKIPPED_DIRECTORIES: &[&str] = &[".git", "target"];

/// What the rules read. Paths are relative to the workspace's root.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) members: Vec<Member>,
    /// Every text file.
    pub(crate) texts: BTreeMap<PathBuf, String>,
    /// Those of them that are Rust.
    pub(crate) sources: BTreeMap<PathBuf, RustSource>,
}

impl Tree {
    /// Reads the workspace.
    pub(crate) fn load(workspace: Workspace) -> Result<Self, Failure> {
        let mut texts = BTreeMap::new();
        read_directory(&workspace.root, Path::new(""), &mut texts)?;
        Ok(Self::new(workspace.members, texts))
    }

    fn new(members: Vec<Member>, texts: BTreeMap<PathBuf, String>) -> Self {
        let mut sources: BTreeMap<PathBuf, RustSource> = texts
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs"))
            .map(|(path, text)| (path.clone(), RustSource::new(text)))
            .collect();
        let test_files: Vec<PathBuf> = sources
            .iter()
            .flat_map(|(path, source)| out_of_line_tests(path, source))
            .chain(in_tests(&sources))
            .collect();
        for path in test_files {
            if let Some(source) = sources.get_mut(&path) {
                source.is_test();
            }
        }
        Self {
            members,
            texts,
            sources,
        }
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The Rust files below a directory of a member, such as `src`.
    pub(crate) fn sources_of<'a>(
        &'a self,
        member: &Member,
        directory: &str,
    ) -> impl Iterator<Item = (&'a Path, &'a RustSource)> + use<'a> {
        let below = member.directory().join(directory);
        self.sources
            .iter()
            .filter(move |(path, _)| path.starts_with(&below))
            .map(|(path, source)| (path.as_path(), source))
    }
}

impl Member {
    pub(crate) fn directory(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new(""))
    }
}

fn read_directory(root: &Path, relative: &Path, texts: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(relative))? {
        let entry = entry?;
        let path = relative.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let skipped = SKIPPED_DIRECTORIES.iter().any(|name| entry.file_name() == *name);
            if !skipped {
                read_directory(root, &path, texts)?;
            }
        } else if kind.is_file() {
            // A file that is not UTF-8 is not text.
            match fs::read_to_string(entry.path()) {
                Ok(text) => drop(texts.insert(path, text)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// The files that `#[cfg(test)] mod name;` in `path` stands for.
fn out_of_line_tests(path: &Path, source: &RustSource) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new(""));
    let owns_its_directory = ["lib", "main", "mod"].iter().any(|name| stem == *name);
    let directory = if owns_its_directory {
        parent.to_owned()
    } else {
        parent.join(stem)
    };
    let names = source.test_modules.iter();
    names
        .flat_map(|name| {
            [
                directory.join(format!("{name}.rs")),
                directory.join(name).join("mod.rs"),
            ]
        })
        .collect()
}

/// The files of the directories that cargo builds integration tests from.
fn in_tests(sources: &BTreeMap<PathBuf, RustSource>) -> impl Iterator<Item = PathBuf> {
    sources
        .keys()
        .filter(|path| path.iter().any(|part| part == "tests"))
        .cloned()
}

/// Trees in memory for the tests of the rules.
#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::cargo::Dependency;

    /// A tree of these members and files.
    pub(crate) fn tree(members: Vec<Member>, files: &[(&str, &str)]) -> Tree {
        let texts = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        Tree::new(members, texts)
    }

    /// A published member in `crates/` with one library.
    pub(crate) fn member(name: &str) -> Member {
        Member {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml").into(),
            published: true,
            roots: vec![format!("crates/{name}/src/lib.rs").into()],
            ..Member::default()
        }
    }

    impl Member {
        pub(crate) fn unpublished(mut self) -> Self {
            self.published = false;
            self
        }

        pub(crate) fn depends_on(mut self, name: &str) -> Self {
            self.dependencies.push(Dependency {
                name: name.to_owned(),
                dev: false,
                default_features: false,
            });
            self
        }

        pub(crate) fn tests_with(mut self, name: &str) -> Self {
            self.dependencies.push(Dependency {
                name: name.to_owned(),
                dev: true,
                default_features: false,
            });
            self
        }

        pub(crate) fn with_features(mut self, names: &[&str]) -> Self {
            self.features = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fixture::tree, *};

    #[test]
    fn files_of_test_modules_and_of_test_directories_are_tests() {
        let tree = tree(
            vec![],
            &[
                ("a/src/lib.rs", "mod x;\n#[cfg(test)]\nmod support;\n"),
                ("a/src/support.rs", "fn f() {}\n"),
                ("a/src/x.rs", "fn f() {}\n#[cfg(test)]\nmod tests;\n"),
                ("a/src/x/tests.rs", "fn f() {}\n"),
                ("a/tests/t.rs", "fn f() {}\n"),
            ],
        );
        let code_lines = |path: &str| tree.sources[Path::new(path)].code_lines().count();
        assert_eq!(code_lines("a/src/support.rs"), 0);
        assert_eq!(code_lines("a/src/x/tests.rs"), 0);
        assert_eq!(code_lines("a/tests/t.rs"), 0);
        assert_eq!(code_lines("a/src/x.rs"), 1);
    }
}
