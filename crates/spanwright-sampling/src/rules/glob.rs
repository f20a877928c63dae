//! Patterns with wildcards.

use std::fmt;

use super::fingerprint::Fingerprint;

/// Literal text with `?`, any one character, and `*`, any number of characters or none. Case counts, and nothing escapes.
///
/// The text between two stars is a [`Segment`] of a fixed number of characters. So the first place where one fits is the best
/// one, there is nothing to go back to, and a match takes time in the product of the two lengths at worst, whatever the pattern.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Glob {
    head: Segment,
    middle: Box<[Segment]>,
    /// What is behind the last star; `None` if there is no star.
    tail: Option<Segment>,
}

/// A part of a pattern without a star.
#[derive(Clone, Default, Eq, PartialEq)]
struct Segment {
    text: Box<str>,
    /// Whether a `?` in the text is a wildcard.
    has_wildcards: bool,
    /// Whether the text is in lower case and stands for upper case too, as far as ASCII has it.
    folds_case: bool,
}

/// A pattern, character by character.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Symbol {
    Literal(char),
    One,
    Many,
}

const ONE: char = '?';
const MANY: char = '*';

impl Glob {
    /// Reads a pattern. Any text is one.
    pub(super) fn new(pattern: &str) -> Self {
        Self::of_pattern(pattern, false)
    }

    /// The same, with letters of ASCII in either case. Only to be matched: fingerprints and comparisons of patterns know of no case.
    #[cfg(feature = "remote")]
    pub(crate) fn ignoring_case(pattern: &str) -> Self {
        Self::of_pattern(&pattern.to_ascii_lowercase(), true)
    }

    fn of_pattern(pattern: &str, folds_case: bool) -> Self {
        let mut segments = vec![String::new()];
        let mut starred = false;
        for symbol in pattern.chars() {
            match symbol {
                MANY => starred = true,
                // A star and a `?` beside it are the same the other way round. Stars last, equal patterns look alike.
                ONE => push(&mut segments, ONE),
                literal => {
                    if std::mem::take(&mut starred) {
                        segments.push(String::new());
                    }
                    push(&mut segments, literal);
                }
            }
        }
        if starred {
            segments.push(String::new());
        }
        Self::of_segments(
            segments
                .into_iter()
                .map(|text| Segment::new(text, folds_case))
                .collect(),
        )
    }

    /// Whatever contains this text, in which nothing is a wildcard.
    pub(super) fn containing(text: &str) -> Self {
        Self {
            head: Segment::default(),
            middle: [text]
                .into_iter()
                .filter(|text| !text.is_empty())
                .map(Segment::literal)
                .collect(),
            tail: Some(Segment::default()),
        }
    }

    fn of_segments(mut segments: Vec<Segment>) -> Self {
        let tail = if segments.len() > 1 { segments.pop() } else { None };
        let mut segments = segments.into_iter();
        Self {
            head: segments.next().unwrap_or_default(),
            middle: segments.collect(),
            tail,
        }
    }

    /// Whether all of `text` fits.
    ///
    /// # Cost
    ///
    /// No allocation; a comparison for what is before the first star and after the last, a search for what is between two.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(rest) = self.head.strip_start(text) else {
            return false;
        };
        let Some(tail) = &self.tail else {
            return rest.is_empty();
        };
        let Some(rest) = tail.strip_end(rest) else {
            return false;
        };
        let mut middle = self.middle.iter();
        middle.try_fold(rest, |rest, segment| segment.find(rest)).is_some()
    }

    /// What every text that fits has.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let segments = [&self.head].into_iter().chain(&self.middle).chain(&self.tail);
        let literals = segments.flat_map(Segment::literals).map(Fingerprint::of);
        literals.fold(Fingerprint::default(), Fingerprint::and)
    }

    /// The one text that fits, if there is but one.
    pub(super) fn as_literal(&self) -> Option<&str> {
        let is_literal = self.tail.is_none() && !self.head.has_wildcards;
        is_literal.then_some(&*self.head.text)
    }

    /// Whether every text fits.
    pub(crate) fn is_everything(&self) -> bool {
        self.tail.as_ref().is_some_and(Segment::is_empty) && self.head.is_empty() && self.middle.is_empty()
    }

    /// Whether whatever fits `other` fits this one too. It may say no where the answer is yes, and not the other way round.
    ///
    /// The other pattern is read like a text: its star is something that only a star matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let (pattern, text) = (self.symbols(), other.symbols());
        let (mut at, mut text_at) = (0, 0);
        // Where to go on if what is behind the last star turns out not to fit.
        let mut resume = None;
        while let Some(&found) = text.get(text_at) {
            match pattern.get(at) {
                Some(Symbol::Many) => {
                    at += 1;
                    resume = Some((at, text_at));
                }
                Some(&wanted) if wanted.covers(found) => {
                    at += 1;
                    text_at += 1;
                }
                _ => {
                    let Some((after_star, swallowed)) = resume else {
                        return false;
                    };
                    resume = Some((after_star, swallowed + 1));
                    (at, text_at) = (after_star, swallowed + 1);
                }
            }
        }
        pattern[at..].iter().all(|symbol| *symbol == Symbol::Many)
    }

    /// Whether no text fits both. It may say no where the answer is yes, and not the other way round.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let starts = self.head.symbols().zip(other.head.symbols());
        let ends = self.end().symbols().rev().zip(other.end().symbols().rev());
        let shortens = |one: &Self, other: &Self| one.tail.is_none() && one.min_chars() < other.min_chars();
        starts.chain(ends).any(|(one, other)| one.is_disjoint(other)) || shortens(self, other) || shortens(other, self)
    }

    fn end(&self) -> &Segment {
        self.tail.as_ref().unwrap_or(&self.head)
    }

    fn min_chars(&self) -> usize {
        self.symbols().iter().filter(|symbol| **symbol != Symbol::Many).count()
    }

    fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<_> = self.head.symbols().collect();
        for segment in self.middle.iter().chain(&self.tail) {
            symbols.push(Symbol::Many);
            symbols.extend(segment.symbols());
        }
        symbols
    }
}

impl Segment {
    /// Each `?` is a wildcard.
    fn new(text: String, folds_case: bool) -> Self {
        Self {
            has_wildcards: text.contains(ONE),
            folds_case,
            text: text.into(),
        }
    }

    fn literal(text: &str) -> Self {
        Self {
            text: text.into(),
            has_wildcards: false,
            folds_case: false,
        }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it fits itself only.
    fn is_exact(&self) -> bool {
        !self.has_wildcards && !self.folds_case
    }

    fn fits(&self, wanted: char, found: char) -> bool {
        // Text that folds case has been read as a pattern, in which each `?` is a wildcard.
        wanted == ONE || wanted == found || self.folds_case && wanted == found.to_ascii_lowercase()
    }

    /// What is left of `text` behind it, if the text starts with it.
    fn strip_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.is_empty() {
            return Some(text);
        }
        if self.is_exact() {
            return text.strip_prefix(&*self.text);
        }
        let mut rest = text.chars();
        let mut wanted = self.text.chars();
        wanted
            .all(|wanted| rest.next().is_some_and(|found| self.fits(wanted, found)))
            .then_some(rest.as_str())
    }

    /// What is left of `text` before it, if the text ends with it.
    fn strip_end<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.is_empty() {
            return Some(text);
        }
        if self.is_exact() {
            return text.strip_suffix(&*self.text);
        }
        let mut rest = text.chars();
        let mut wanted = self.text.chars().rev();
        wanted
            .all(|wanted| rest.next_back().is_some_and(|found| self.fits(wanted, found)))
            .then_some(rest.as_str())
    }

    /// What is left of `text` behind the first place where it fits.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.is_exact() {
            return find_literal(text, &self.text);
        }
        let mut rest = text.chars();
        loop {
            if let Some(after) = self.strip_start(rest.as_str()) {
                return Some(after);
            }
            rest.next()?;
        }
    }

    /// The parts of the text that are not wildcards.
    fn literals(&self) -> impl Iterator<Item = &str> {
        self.text.split(|symbol| self.has_wildcards && symbol == ONE)
    }

    fn symbols(&self) -> impl DoubleEndedIterator<Item = Symbol> {
        self.text.chars().map(|symbol| match symbol {
            ONE if self.has_wildcards => Symbol::One,
            literal => Symbol::Literal(literal),
        })
    }
}

impl Symbol {
    /// Whether this one, other than a star, stands for whatever `other` does.
    fn covers(self, other: Self) -> bool {
        self == other || self == Self::One && other != Self::Many
    }

    fn is_disjoint(self, other: Self) -> bool {
        matches!((self, other), (Self::Literal(one), Self::Literal(other)) if one != other)
    }
}

fn push(segments: &mut [String], symbol: char) {
    if let Some(segment) = segments.last_mut() {
        segment.push(symbol);
    }
}

/// What is left of `text` behind the first place of `literal`. Names are short: to prepare a cleverer search would cost more than
/// it saves.
fn find_literal<'t>(text: &'t str, literal: &str) -> Option<&'t str> {
    let (bytes, literal) = (text.as_bytes(), literal.as_bytes());
    let (Some(first), Some(last)) = (literal.first(), literal.last()) else {
        return Some(text);
    };
    let starts = bytes.iter().zip(bytes.get(literal.len() - 1..)?);
    // Both ends at once: where paths are compared, every part begins with a slash, but few of them end alike.
    let mut candidates = starts.enumerate().filter(|(_, ends)| *ends == (first, last));
    let (at, _) = candidates.find(|(at, _)| bytes[*at..].starts_with(literal))?;
    // A character begins where a whole text was found, and one ends where it ends.
    text.get(at + literal.len()..)
}

/// As a pattern; a wildcard that is none in a [`containing`](Glob::containing) cannot be told apart.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head.text)?;
        let rest = self.middle.iter().chain(&self.tail);
        rest.into_iter()
            .try_for_each(|segment| write!(f, "{MANY}{}", segment.text))
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({self})")
    }
}

#[cfg(test)]
mod tests;
