//! A YAML document as a tree: one whose size is bounded, whatever the text says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use spanwright_core::BuildError;

use super::substitution::{REFERENCE, substitute};

/// A node of a document, with the variables that it refers to already in it.
#[derive(Clone, Debug)]
pub(super) struct Yaml {
    pub(super) content: Content,
    /// Counted from 1.
    pub(super) line: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
    /// Only a plain one can be a number, a truth or nothing; one in quotes is text.
    Scalar {
        text: String,
        is_plain: bool,
    },
}

/// Where in a document something is wrong: the source of its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line(pub(super) usize);

/// More than anybody writes by hand, and little enough to be read within one tick.
pub(crate) const MAX_LEN: usize = 1 << 20;
/// The specification's deepest is twelve; each level of ours that makes sense adds two.
const MAX_DEPTH: usize = 64;
/// With what aliases repeat: some thousands of rules.
const MAX_NODES: usize = 100_000;

impl Yaml {
    /// Reads the one document that `text` has.
    pub(super) fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, BuildError> {
        if text.len() > MAX_LEN {
            return Err(of_document(
                format_args!("{} bytes", text.len()),
                format!("at most {MAX_LEN} bytes"),
            ));
        }
        let mut loader = Loader {
            variable,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            root: None,
        };
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax(text, &error))?;
            loader.take(event, span)?;
        }
        loader
            .root
            .ok_or_else(|| of_document("", "one document, and not an empty one"))
    }

    /// Whether there is nothing: an absent value and an empty one are the same to the specification.
    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, is_plain: true } => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// Nodes, and levels.
    fn measure(&self) -> (usize, usize) {
        let children: &mut dyn Iterator<Item = &Self> = match &self.content {
            Content::Scalar { .. } => return (1, 1),
            Content::List(items) => &mut items.iter(),
            Content::Map(entries) => &mut entries.iter().map(|(_, value)| value),
        };
        let sum = children
            .map(Self::measure)
            .fold((1, 0), |sum, child| (sum.0 + child.0, sum.1.max(child.1)));
        (sum.0, sum.1 + 1)
    }
}

/// In few words, for an error.
impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Scalar { text, .. } => f.write_str(&beginning(text)),
            Content::List(items) => write!(f, "a list of {}", items.len()),
            Content::Map(entries) => {
                let keys = entries.iter().take(5).map(|(key, _)| shown_key(key));
                let keys = keys.collect::<Vec<_>>().join(", ");
                let more = if entries.len() > 5 { ", ..." } else { "" };
                write!(f, "{{{keys}{more}}}")
            }
        }
    }
}

/// What has begun and not yet ended.
struct Open {
    content: Content,
    /// The key whose value comes next.
    key: Option<String>,
    anchor: usize,
    line: usize,
}

struct Loader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Yaml>,
    nodes: usize,
    root: Option<Yaml>,
}

/// What the parser says of a node that is not an anchor: 0.
const NO_ANCHOR: usize = 0;

impl Loader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), BuildError> {
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(of_document("several documents", "one document").with_source(Line(line)))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !self.is_text(tag.as_deref(), line)?;
                if self.awaits_key() {
                    return self.begin_entry(text.into_owned(), line);
                }
                let text = substitute(&text, self.variable).map_err(|reference| {
                    BuildError::new(self.path(), reference.0, REFERENCE).with_source(Line(line))
                })?;
                let text = text.into_owned();
                self.place(
                    Yaml {
                        content: Content::Scalar { text, is_plain },
                        line,
                    },
                    anchor,
                )
            }
            Event::SequenceStart(anchor, tag) => self.begin(Content::List(Vec::new()), anchor, tag.as_deref(), line),
            Event::MappingStart(anchor, tag) => self.begin(Content::Map(Vec::new()), anchor, tag.as_deref(), line),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open {
                    content, anchor, line, ..
                }) = self.open.pop()
                else {
                    return Ok(());
                };
                self.place(Yaml { content, line }, anchor)
            }
            Event::Alias(anchor) => {
                // One that is not there yet stands inside its own anchor.
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    let accepted = "an alias of something that is complete";
                    return Err(BuildError::new(self.path(), "itself", accepted).with_source(Line(line)));
                };
                if self.awaits_key() {
                    return Err(self.bad_key(line));
                }
                let (nodes, depth) = node.measure();
                self.grow(nodes, depth, line)?;
                self.place(node, NO_ANCHOR)
            }
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, tag: Option<&Tag>, line: usize) -> Result<(), BuildError> {
        if self.is_text(tag, line)? || self.awaits_key() {
            return Err(self.bad_key(line));
        }
        self.open.push(Open {
            content,
            key: None,
            anchor,
            line,
        });
        self.grow(0, 0, line)
    }

    fn begin_entry(&mut self, key: String, line: usize) -> Result<(), BuildError> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        let is_known = matches!(&open.content, Content::Map(entries) if entries.iter().any(|(known, _)| *known == key));
        open.key = Some(key);
        if is_known {
            return Err(BuildError::new(self.path(), "twice", "each key once").with_source(Line(line)));
        }
        self.grow(1, 0, line)
    }

    /// Puts a node where it belongs.
    fn place(&mut self, node: Yaml, anchor: usize) -> Result<(), BuildError> {
        if anchor != NO_ANCHOR {
            let (nodes, _) = node.measure();
            self.grow(nodes, 0, node.line)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.grow(1, 0, node.line)?;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(open) => match &mut open.content {
                Content::List(items) => items.push(node),
                Content::Map(entries) => entries.push((open.key.take().unwrap_or_default(), node)),
                Content::Scalar { .. } => {}
            },
        }
        Ok(())
    }

    /// Accounts for nodes, and for levels below the one that is open.
    fn grow(&mut self, nodes: usize, depth: usize, line: usize) -> Result<(), BuildError> {
        self.nodes += nodes;
        let limit = |what: &str, most: usize| {
            let error = BuildError::new(
                self.path(),
                format_args!("more {what}"),
                format!("at most {most} {what}"),
            );
            Err(error.with_source(Line(line)))
        };
        if self.open.len() + depth > MAX_DEPTH {
            return limit("levels", MAX_DEPTH);
        }
        if self.nodes > MAX_NODES {
            return limit("nodes, aliases counted as what they stand for", MAX_NODES);
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        let open = self.open.last();
        open.is_some_and(|open| open.key.is_none() && matches!(open.content, Content::Map(_)))
    }

    /// Whether the tag says that this is text. Other tags of the core schema say what can be seen anyway.
    fn is_text(&self, tag: Option<&Tag>, line: usize) -> Result<bool, BuildError> {
        match tag {
            None => Ok(false),
            Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
            Some(tag) => {
                let accepted = "no tags but those of the core schema, such as !!str";
                Err(BuildError::new(self.path(), tag, accepted).with_source(Line(line)))
            }
        }
    }

    fn bad_key(&self, line: usize) -> BuildError {
        BuildError::new(self.path(), "a list or a map", "a key that is text").with_source(Line(line))
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match (&open.content, &open.key) {
                (Content::List(items), _) => path.push_str(&format!("[{}]", items.len())),
                (_, Some(key)) => {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(&format!("{dot}{}", shown_key(key)));
                }
                (_, None) => {}
            }
        }
        if path.is_empty() {
            path.push_str(DOCUMENT);
        }
        path
    }
}

/// A key as it stands in a path: as it is, unless there is nothing of it to see, or too much.
pub(super) fn shown_key(key: &str) -> Cow<'_, str> {
    if key.is_empty() || key.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
        return format!("{:?}", beginning(key)).into();
    }
    beginning(key)
}

/// Enough of a text to know it by.
fn beginning(text: &str) -> Cow<'_, str> {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

/// What the whole is called in errors.
pub(super) const DOCUMENT: &str = "document";

fn of_document(value: impl fmt::Display, accepted: impl Into<Cow<'static, str>>) -> BuildError {
    BuildError::new(DOCUMENT, value, accepted)
}

fn syntax(text: &str, error: &ScanError) -> BuildError {
    let line = error.marker().line();
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    of_document(beginning(shown.trim()), format!("YAML: {}", error.info())).with_source(Line(line))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in line {}", self.0)
    }
}

impl std::error::Error for Line {}
