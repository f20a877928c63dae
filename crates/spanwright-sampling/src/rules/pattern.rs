//! Which texts are meant.

use std::fmt;

#[cfg(feature = "regex")]
use regex::Regex;

use super::fingerprint::Fingerprint;
use super::glob::Glob;

/// One text, or many of a form.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(Box<str>),
    Glob(Glob),
    #[cfg(feature = "regex")]
    Regex(Regex),
}

/// Texts that fit any of some patterns.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    /// The exact ones first, in order.
    all: Box<[Pattern]>,
    exact: usize,
}

/// Texts that are included and not excluded.
#[derive(Clone, Debug)]
pub(super) struct TextSet {
    /// `None` for all of them.
    included: Option<Patterns>,
    excluded: Patterns,
    fingerprint: Fingerprint,
}

impl Pattern {
    pub(super) fn exact(text: &str) -> Self {
        Self::Exact(text.into())
    }

    pub(super) fn containing(text: &str) -> Self {
        Self::Glob(Glob::containing(text))
    }

    pub(super) fn glob(pattern: &str) -> Self {
        let glob = Glob::new(pattern);
        match glob.as_literal() {
            Some(text) => Self::exact(text),
            None => Self::Glob(glob),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *text,
            Self::Glob(glob) => glob.matches(text),
            #[cfg(feature = "regex")]
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// What every text that fits has.
    fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Exact(text) => Fingerprint::of(text),
            Self::Glob(glob) => glob.fingerprint(),
            #[cfg(feature = "regex")]
            Self::Regex(_) => Fingerprint::default(),
        }
    }

    fn is_everything(&self) -> bool {
        matches!(self, Self::Glob(glob) if glob.is_everything())
    }

    /// Whether whatever fits `other` fits this one; "no" may be wrong.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(text)) => self.matches(text),
            (Self::Glob(glob), Self::Glob(other)) => glob.covers(other),
            #[cfg(feature = "regex")]
            (Self::Regex(regex), Self::Regex(other)) => regex.as_str() == other.as_str(),
            _ => self.is_everything(),
        }
    }

    /// Whether nothing fits both; "no" may be wrong.
    fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(text), pattern) | (pattern, Self::Exact(text)) => !pattern.matches(text),
            (Self::Glob(glob), Self::Glob(other)) => glob.is_disjoint(other),
            #[cfg(feature = "regex")]
            _ => false,
        }
    }
}

impl Patterns {
    fn matches(&self, text: &str) -> bool {
        if let [pattern] = &*self.all {
            return pattern.matches(text);
        }
        let (exact, others) = self.all.split_at(self.exact);
        let by_order = |pattern: &Pattern| pattern.as_exact().cmp(text);
        exact.binary_search_by(by_order).is_ok() || others.iter().any(|pattern| pattern.matches(text))
    }

    fn cover(&self, pattern: &Pattern) -> bool {
        self.all.iter().any(|mine| mine.covers(pattern))
    }
}

impl Pattern {
    fn as_exact(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            _ => "",
        }
    }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let (mut all, others): (Vec<_>, Vec<_>) = patterns
            .into_iter()
            .partition(|pattern| matches!(pattern, Pattern::Exact(_)));
        all.sort_by(|one, other| one.as_exact().cmp(other.as_exact()));
        let exact = all.len();
        all.extend(others);
        Self { all: all.into(), exact }
    }
}

impl TextSet {
    /// These, if they are given, without those.
    pub(super) fn new(included: Option<Patterns>, excluded: Patterns) -> Self {
        let patterns = included.iter().flat_map(|included| &included.all);
        let fingerprint = patterns.map(Pattern::fingerprint).reduce(Fingerprint::common);
        Self {
            included,
            excluded,
            fingerprint: fingerprint.unwrap_or_default(),
        }
    }

    /// What every text that is in it has.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What fits this pattern.
    pub(super) fn of(pattern: Pattern) -> Self {
        Self::new(Some(Patterns::from_iter([pattern])), Patterns::default())
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.included.as_ref().is_none_or(|included| included.matches(text)) && !self.excluded.matches(text)
    }

    pub(super) fn is_everything(&self) -> bool {
        let included = self.included.as_ref();
        included.is_none_or(|included| included.all.iter().any(Pattern::is_everything)) && self.excluded.all.is_empty()
    }

    /// Whether nothing is left of it; "no" may be wrong.
    pub(super) fn is_empty(&self) -> bool {
        let is_excluded = |pattern: &Pattern| self.excluded.cover(pattern);
        let included = self.included.as_ref();
        included.is_some_and(|included| included.all.iter().all(is_excluded))
            || self.excluded.all.iter().any(Pattern::is_everything)
    }

    /// Whether every text of `other` is one of this; "no" may be wrong.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let includes = |pattern: &Pattern| other.excluded.cover(pattern) || self.includes(pattern);
        let has_all = match &other.included {
            Some(included) => included.all.iter().all(includes),
            None => self.includes(&Pattern::glob("*")),
        };
        let lacks = |pattern: &Pattern| {
            let others = other.included.as_ref();
            let none_fits = others.is_some_and(|others| others.all.iter().all(|other| other.is_disjoint(pattern)));
            none_fits || other.excluded.cover(pattern)
        };
        has_all && self.excluded.all.iter().all(lacks)
    }

    /// Whether no text is in both; "no" may be wrong.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let (Some(mine), Some(others)) = (&self.included, &other.included) else {
            return self.is_empty() || other.is_empty();
        };
        mine.all.iter().all(|pattern| {
            let is_left_out = self.excluded.cover(pattern) || other.excluded.cover(pattern);
            is_left_out || others.all.iter().all(|other| other.is_disjoint(pattern))
        })
    }

    fn includes(&self, pattern: &Pattern) -> bool {
        self.included.as_ref().is_none_or(|included| included.cover(pattern))
    }

    /// Whether a regular expression has a say.
    pub(super) fn is_costly(&self) -> bool {
        let patterns = self.included.iter().chain([&self.excluded]);
        let mut patterns = patterns.flat_map(|patterns| &patterns.all);
        patterns.any(|pattern| !matches!(pattern, Pattern::Exact(_) | Pattern::Glob(_)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "`{text}`"),
            Self::Glob(glob) => write!(f, "`{glob}`"),
            #[cfg(feature = "regex")]
            Self::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        self.all.iter().try_for_each(|pattern| {
            let separator = std::mem::replace(&mut separator, " or ");
            write!(f, "{separator}{pattern}")
        })
    }
}

impl fmt::Display for TextSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.included {
            None => f.write_str("anything")?,
            Some(included) if included.all.is_empty() => f.write_str("nothing")?,
            Some(included) => included.fmt(f)?,
        }
        if self.excluded.all.is_empty() {
            return Ok(());
        }
        write!(f, " but not {}", self.excluded)
    }
}
