//! A value of a document and where it stands, so that every error can say so.

use std::fmt;
use std::time::Duration;

use spanwright_core::BuildError;

use super::document::{Content, DOCUMENT, Line, Yaml, shown_key};
use super::nearest::nearest;

/// A value, and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    yaml: &'a Yaml,
    path: Path<'a>,
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

/// The fields of a map, each of which is known.
pub(super) struct Fields<'a> {
    of: &'a Field<'a>,
    entries: &'a [(String, Yaml)],
}

impl<'a> Field<'a> {
    pub(super) fn root(yaml: &'a Yaml) -> Self {
        Self { yaml, path: Path::Root }
    }

    pub(super) fn is_null(&self) -> bool {
        self.yaml.is_null()
    }

    /// The fields of a map without any but the `known` ones. Nothing at all is a map without fields.
    pub(super) fn fields(&'a self, known: &[&str]) -> Result<Fields<'a>, BuildError> {
        let fields = self.any_fields()?;
        match fields.entries.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, value)) => Err(fields.unknown(key, value, known)),
            None => Ok(fields),
        }
    }

    /// The fields of a map, whatever their names.
    pub(super) fn any_fields(&'a self) -> Result<Fields<'a>, BuildError> {
        let entries = match &self.yaml.content {
            Content::Map(entries) => entries.as_slice(),
            _ if self.is_null() => &[],
            _ => return Err(self.error("a map")),
        };
        Ok(Fields { of: self, entries })
    }

    /// The one field of a map that says by its name which of several things it is.
    pub(super) fn choice(&'a self, known: &[&str]) -> Result<(&'a str, Self), BuildError> {
        let fields = self.fields(known)?;
        match fields.entries {
            [(key, value)] => Ok((key, fields.of.at(key, value))),
            _ => Err(self.error(format!("exactly one of {}", listed(known)))),
        }
    }

    /// The items of a list that is not empty.
    pub(super) fn items(&'a self) -> Result<impl Iterator<Item = Self>, BuildError> {
        let Content::List(items) = &self.yaml.content else {
            return Err(self.error("a list"));
        };
        if items.is_empty() {
            return Err(self.error("a list with one item at least"));
        }
        let items = items.iter().enumerate();
        Ok(items.map(|(index, yaml)| Field {
            yaml,
            path: Path::Index(&self.path, index),
        }))
    }

    /// A list of texts.
    pub(super) fn texts(&self) -> Result<Vec<String>, BuildError> {
        self.items()?.map(|item| item.text()).collect()
    }

    /// A text. Numbers and truths are taken by their letters.
    pub(super) fn text(&self) -> Result<String, BuildError> {
        match &self.yaml.content {
            Content::Scalar { text, .. } if !self.is_null() => Ok(text.clone()),
            _ => Err(self.error("text")),
        }
    }

    /// A text that is not empty.
    pub(super) fn word(&self) -> Result<String, BuildError> {
        let text = self.text()?;
        if text.trim().is_empty() {
            return Err(self.error("text that is not empty"));
        }
        Ok(text)
    }

    /// One of several words.
    pub(super) fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, BuildError> {
        let found = match &self.yaml.content {
            Content::Scalar { text, .. } => words.iter().find(|(word, _)| word == text),
            _ => None,
        };
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.error(format!("one of {}", listed(&words)))
        })
    }

    /// A number that the schema's core types know: not text that looks like one.
    pub(super) fn number(&self, accepted: &str, is_accepted: impl Fn(f64) -> bool) -> Result<f64, BuildError> {
        let number = match &self.yaml.content {
            Content::Scalar { text, is_plain: true } => parse_number(text),
            _ => None,
        };
        number
            .filter(|number| is_accepted(*number))
            .ok_or_else(|| self.error(accepted.to_owned()))
    }

    /// Any number; what is a good one is somebody else's to say.
    pub(super) fn any_number(&self) -> Result<f64, BuildError> {
        self.number("a number", |_| true)
    }

    pub(super) fn ratio(&self) -> Result<f64, BuildError> {
        self.number("a number from 0 to 1", |number| (0.0..=1.0).contains(&number))
    }

    /// A whole number in a range that lies within what an `f64` knows exactly.
    pub(super) fn whole(&self, range: std::ops::RangeInclusive<u32>) -> Result<u32, BuildError> {
        let accepted = format!("a whole number from {} to {}", range.start(), range.end());
        let is_accepted = |number: f64| {
            number.fract() == 0.0 && (f64::from(*range.start())..=f64::from(*range.end())).contains(&number)
        };
        self.number(&accepted, is_accepted).map(|number| number as u32)
    }

    /// A duration in whole milliseconds.
    pub(super) fn milliseconds(&self, range: std::ops::RangeInclusive<u32>) -> Result<Duration, BuildError> {
        self.whole(range).map(|number| Duration::from_millis(number.into()))
    }

    /// The scalar, for values of more than one type.
    pub(super) fn scalar(&self) -> Result<Scalar<'a>, BuildError> {
        match &self.yaml.content {
            _ if self.is_null() => Err(self.error("text, a number, true or false")),
            Content::Scalar { text, is_plain: false } => Ok(Scalar::Text(text)),
            Content::Scalar { text, .. } => Ok(match &**text {
                "true" | "True" | "TRUE" => Scalar::Bool(true),
                "false" | "False" | "FALSE" => Scalar::Bool(false),
                _ => match (text.parse().ok(), parse_number(text)) {
                    (Some(whole), Some(_)) => Scalar::Whole(whole),
                    (None, Some(number)) => Scalar::Number(number),
                    (_, None) => Scalar::Text(text),
                },
            }),
            _ => Err(self.error("text, a number, true or false")),
        }
    }

    pub(super) fn error(&self, accepted: impl Into<std::borrow::Cow<'static, str>>) -> BuildError {
        let value = if self.is_null() {
            "nothing".to_owned()
        } else {
            self.yaml.to_string()
        };
        BuildError::new(self.path.to_string(), value, accepted).with_source(Line(self.yaml.line))
    }

    /// What a builder says of one of its settings, said of the field of the same name.
    pub(super) fn blame(&self, error: BuildError) -> BuildError {
        self.error_of(error.field(), error.value(), error.accepted().to_owned())
    }

    /// An error of a field of this map, which may not be there.
    pub(super) fn error_of(
        &self,
        key: &str,
        value: impl fmt::Display,
        accepted: impl Into<std::borrow::Cow<'static, str>>,
    ) -> BuildError {
        let path = Path::Key(&self.path, key).to_string();
        BuildError::new(path, value, accepted).with_source(Line(self.yaml.line))
    }

    fn at(&'a self, key: &'a str, yaml: &'a Yaml) -> Self {
        Self {
            yaml,
            path: Path::Key(&self.path, key),
        }
    }
}

/// A scalar by its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    Number(f64),
    Text(&'a str),
    Whole(i64),
}

impl<'a> Fields<'a> {
    /// The field of this name; one with nothing in it is not there.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a>> {
        let (key, value) = self.entries.iter().find(|(known, _)| known == key)?;
        Some(self.of.at(key, value)).filter(|field| !field.is_null())
    }

    pub(super) fn require(&self, key: &'static str) -> Result<Field<'a>, BuildError> {
        self.get(key)
            .ok_or_else(|| self.of.error_of(key, "nothing", "a value: it is required"))
    }

    /// Every field, with its name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        let of = self.of;
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), of.at(key, value)))
    }

    fn unknown(&self, key: &str, value: &Yaml, known: &[&str]) -> BuildError {
        let field = Field {
            yaml: value,
            path: Path::Key(&self.of.path, key),
        };
        field.error(match (nearest(key, known), known) {
            (Some(nearest), _) => format!("no such key; did you mean `{nearest}`? Known: {}", listed(known)),
            (None, []) => "no keys at all".to_owned(),
            (None, _) => format!("no such key; known: {}", listed(known)),
        })
    }
}

fn listed(words: &[&str]) -> String {
    words.join(", ")
}

/// A number of the core schema.
fn parse_number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(|number| number as f64);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(|number| number as f64);
    }
    let starts_like_one = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let has_digit = unsigned.bytes().any(|byte| byte.is_ascii_digit());
    (starts_like_one && has_digit).then(|| text.parse().ok())?
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str(DOCUMENT),
            Self::Key(Self::Root, key) => f.write_str(&shown_key(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", shown_key(key)),
            Self::Index(Self::Root, index) => write!(f, "[{index}]"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("-1.5", Some(-1.5)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e-3", Some(0.001)),
            ("0x10", Some(16.0)),
            ("0o17", Some(15.0)),
            ("0x+1", None),
            (".", None),
            ("e3", None),
            ("nan", None),
            ("inf", None),
            ("infinity", None),
            ("1_000", None),
            ("10%", None),
            ("", None),
        ] {
            assert_eq!(parse_number(text), expected, "{text}");
        }
    }
}
