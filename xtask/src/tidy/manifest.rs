//! A Cargo.toml read by lines: tables, their entries, and the comments that `cargo metadata` does not keep.

/// The entries of a manifest in their order.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) entries: Vec<Entry>,
}

/// `key = value`, with the table it stands in.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// As in the header: `dependencies`, `workspace.lints.rust`, `target.'cfg(unix)'.dependencies`.
    pub(crate) table: String,
    /// As written: `bytes`, `bytes.workspace`.
    pub(crate) key: String,
    /// Without the comment; an array over several lines is joined.
    pub(crate) value: String,
    /// Behind the entry, or on the line right above it.
    pub(crate) has_comment: bool,
    /// Counts from 1.
    pub(crate) line: usize,
}

impl Manifest {
    pub(crate) fn new(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut table = String::new();
        let mut comment_above = false;
        let mut open = false; // inside an array that goes on
        for (index, line) in text.lines().enumerate() {
            let (content, comment) = split_comment(line);
            let content = content.trim();
            if open {
                if let Some(entry) = entries.last_mut() {
                    entry.value.push_str(content);
                    entry.has_comment |= comment;
                    open = is_open(&entry.value);
                }
            } else if content.starts_with('[') {
                table = content.trim_matches(['[', ']']).to_owned();
            } else if let Some((key, value)) = content.split_once('=') {
                let value = value.trim().to_owned();
                open = is_open(&value);
                entries.push(Entry {
                    table: table.clone(),
                    key: key.trim().trim_matches('"').to_owned(),
                    value,
                    has_comment: comment || comment_above,
                    line: index + 1,
                });
            }
            comment_above = content.is_empty() && comment;
        }
        Self { entries }
    }

    /// The entries of a table.
    pub(crate) fn table<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.table == table)
    }

    /// The dependency lines, of every kind and target.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| {
            let kind = entry.table.rsplit('.').next().unwrap_or_default();
            let of_workspace = entry.table.starts_with("workspace.");
            !of_workspace && matches!(kind, "dependencies" | "dev-dependencies" | "build-dependencies")
        })
    }

    /// The line of a dependency, or the first one if it is written in some other way.
    pub(crate) fn line_of_dependency(&self, name: &str, dev: bool) -> usize {
        let is_it = |entry: &&Entry| entry.name() == name && entry.table.ends_with("dev-dependencies") == dev;
        self.dependencies().find(is_it).map_or(1, |entry| entry.line)
    }
}

impl Entry {
    /// `bytes` of `bytes.workspace`.
    pub(crate) fn name(&self) -> &str {
        self.key.split('.').next().unwrap_or_default()
    }

    /// Whether it takes its setting from the workspace: `x.workspace = true` or `x = { workspace = true, .. }`.
    pub(crate) fn is_inherited(&self) -> bool {
        (self.key.ends_with(".workspace") && self.value == "true") || self.has_setting("workspace = true")
    }

    /// Whether the inline table has `setting` in it, however it is spaced.
    pub(crate) fn has_setting(&self, setting: &str) -> bool {
        let without_blanks = |text: &str| text.replace(' ', "");
        let settings = without_blanks(self.value.trim_start_matches('{').trim_end_matches('}'));
        settings.split(',').any(|part| part == without_blanks(setting))
    }
}

/// The line before its comment, and whether it has one that says something.
fn split_comment(line: &str) -> (&str, bool) {
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (character, quote) {
            ('#', None) => return (&line[..at], !line[at + 1..].trim().is_empty()),
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            _ => {}
        }
    }
    (line, false)
}

fn is_open(value: &str) -> bool {
    value.starts_with('[') && value.matches('[').count() > value.matches(']').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[package]
name = \"a\" # ours

[dependencies]
# why
b.workspace = true
c = { workspace = true, features = [\"x\"] } # why not
d = \"1 # 2\"
e.workspace = true #

[features]
full = [
    \"b\", # one
    \"c\",
]
# Another.
less = []

[target.'cfg(unix)'.dev-dependencies]
f.workspace = true
";

    #[test]
    fn entries_know_their_table_comment_and_line() {
        let manifest = Manifest::new(TEXT);
        let found: Vec<_> = manifest
            .entries
            .iter()
            .map(|entry| (entry.name(), entry.line, entry.has_comment))
            .collect();
        assert_eq!(
            found,
            [
                ("name", 2, true),
                ("b", 6, true),
                ("c", 7, true),
                ("d", 8, false),
                ("e", 9, false),
                ("full", 12, true),
                ("less", 17, true),
                ("f", 20, false),
            ]
        );
        assert_eq!(manifest.table("features").next().expect("first").value, r#"["b","c",]"#);
    }

    #[test]
    fn dependencies_of_every_kind_are_found() {
        let manifest = Manifest::new(TEXT);
        let names: Vec<_> = manifest.dependencies().map(Entry::name).collect();
        assert_eq!(names, ["b", "c", "d", "e", "f"]);
        assert_eq!(manifest.line_of_dependency("f", true), 20);
        assert_eq!(manifest.line_of_dependency("f", false), 1);
        let inherited: Vec<_> = manifest.dependencies().map(Entry::is_inherited).collect();
        assert_eq!(inherited, [true, true, false, true, true]);
    }
}
