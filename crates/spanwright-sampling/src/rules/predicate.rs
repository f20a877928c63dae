//! What a rule asks about a span.

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::SpanKind;
use spanwright_core::BuildError;

use super::fingerprint::Fingerprint;
use super::pattern::{Pattern, Patterns, TextSet};
use super::subject::{Key, Situations, Subject};
use super::text_form::any_text;
use crate::span::{ParentOrigin, StartingSpan};

/// Something that is true of some spans: the condition of a [`Rule`](super::Rule).
///
/// ```
/// use opentelemetry::trace::SpanKind;
/// use spanwright_sampling::Predicate;
///
/// let server_errors = Predicate::attribute_glob("http.response.status_code", "5*")?;
/// let elsewhere = Predicate::not(Predicate::any([
///     Predicate::kinds([SpanKind::Server]),
///     Predicate::name_glob("internal *")?,
/// ]));
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// # Patterns
///
/// `?` stands for any one character, `*` for any number of them, none included; everything else for itself, and there is no way
/// to quote. Case counts, and a pattern must fit the whole text. It takes time in the product of the two lengths at worst.
///
/// # Attributes
///
/// Attributes that are not text are compared by their text form: `404`, `true`, `0.5`. An array fits if any of its elements does.
/// A span that lacks an attribute fits nothing that is asked of it. Only the attributes that a span starts with are there to be
/// asked for.
///
/// # Source
///
/// [Declarative configuration](https://github.com/open-telemetry/opentelemetry-configuration),
/// `ExperimentalComposableRuleBasedSamplerRule`: `attribute_values`, `attribute_patterns`, `span_kinds`, `parent`.
#[derive(Clone, Debug)]
pub struct Predicate(pub(super) Test);

#[derive(Clone)]
pub(super) enum Test {
    Situation { of: Situations, words: Arc<str> },
    Name(TextSet),
    Attribute { key: Key, texts: Option<TextSet> },
    Any(Box<[Test]>),
    Not(Box<Test>),
    Custom { words: Arc<str>, test: Arc<dyn Custom> },
}

pub(super) trait Custom: Fn(&StartingSpan<'_>) -> bool + Send + Sync {}

impl<F: Fn(&StartingSpan<'_>) -> bool + Send + Sync> Custom for F {}

/// What [`Rule::when`](super::Rule::when) takes: a predicate, or what came of making one. A failure is told when the sampler is
/// built, and by the name of the rule.
pub trait IntoPredicate {
    /// The predicate.
    ///
    /// # Errors
    ///
    /// It could not be made.
    fn into_predicate(self) -> Result<Predicate, BuildError>;
}

/// The longest pattern, in bytes. Longer than any name that a backend shows; what bounds the time that a match may take.
const MAX_PATTERN_LEN: usize = 1024;

impl Predicate {
    /// The span's name is this one.
    #[must_use]
    pub fn name(name: impl AsRef<str>) -> Self {
        Self(Test::Name(TextSet::of(Pattern::exact(name.as_ref()))))
    }

    /// The span's name contains this text, in which nothing is a wildcard.
    ///
    /// # Errors
    ///
    /// It is longer than 1 024 bytes.
    pub fn name_contains(text: impl AsRef<str>) -> Result<Self, BuildError> {
        let text = check_length("name_contains", text.as_ref())?;
        Ok(Self(Test::Name(TextSet::of(Pattern::containing(text)))))
    }

    /// The span's name fits a pattern.
    ///
    /// # Errors
    ///
    /// It is longer than 1 024 bytes.
    pub fn name_glob(pattern: impl AsRef<str>) -> Result<Self, BuildError> {
        Ok(Self(Test::Name(TextSet::of(glob("name_glob", pattern.as_ref())?))))
    }

    /// A regular expression is found in the span's name: anywhere in it, unless it has anchors.
    ///
    /// # Errors
    ///
    /// It is none, or needs more than a megabyte.
    #[cfg(feature = "regex")]
    #[cfg_attr(docsrs, doc(cfg(feature = "regex")))]
    pub fn name_regex(regex: impl AsRef<str>) -> Result<Self, BuildError> {
        Ok(Self(Test::Name(TextSet::of(self::regex(
            "name_regex",
            regex.as_ref(),
        )?))))
    }

    /// The span is of one of these kinds.
    #[must_use]
    pub fn kinds(kinds: impl IntoIterator<Item = SpanKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let words = format!("kind is {}", Words(&kinds)).to_lowercase();
        let of = Situations::of_kinds(kinds);
        Self(Test::Situation {
            of,
            words: words.into(),
        })
    }

    /// The span's parent is in one of these places.
    #[must_use]
    pub fn parents(parents: impl IntoIterator<Item = ParentOrigin>) -> Self {
        let parents: Vec<_> = parents.into_iter().collect();
        let words = format!("parent is {}", Words(&parents)).to_lowercase();
        let of = Situations::of_parents(parents);
        Self(Test::Situation {
            of,
            words: words.into(),
        })
    }

    /// The span has this attribute, whatever its value.
    #[must_use]
    pub fn attribute_exists(key: impl AsRef<str>) -> Self {
        Self::attribute(key, None)
    }

    /// The span has this attribute, with one of these values.
    #[must_use]
    pub fn attribute_values(key: impl AsRef<str>, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let values = values.into_iter().map(|value| Pattern::exact(value.as_ref()));
        Self::attribute(key, Some(TextSet::new(Some(values.collect()), Patterns::default())))
    }

    /// The span has this attribute, with a value that fits the pattern.
    ///
    /// # Errors
    ///
    /// It is longer than 1 024 bytes.
    pub fn attribute_glob(key: impl AsRef<str>, pattern: impl AsRef<str>) -> Result<Self, BuildError> {
        let pattern = glob("attribute_glob", pattern.as_ref())?;
        Ok(Self::attribute(key, Some(TextSet::of(pattern))))
    }

    /// The span has this attribute, with a value that fits an `included` pattern and no `excluded` one. All are included if no
    /// pattern is.
    ///
    /// # Errors
    ///
    /// A pattern is longer than 1 024 bytes.
    pub fn attribute_patterns(
        key: impl AsRef<str>,
        included: impl IntoIterator<Item = impl AsRef<str>>,
        excluded: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, BuildError> {
        let mut included = included.into_iter().peekable();
        let has_included = included.peek().is_some();
        let included = included.map(|pattern| glob("attribute_patterns.included", pattern.as_ref()));
        let included: Patterns = included.collect::<Result<_, _>>()?;
        let excluded = excluded.into_iter();
        let excluded = excluded.map(|pattern| glob("attribute_patterns.excluded", pattern.as_ref()));
        let texts = TextSet::new(has_included.then_some(included), excluded.collect::<Result<_, _>>()?);
        Ok(Self::attribute(key, Some(texts)))
    }

    /// The span has this attribute, with a value in which the regular expression is found.
    ///
    /// # Errors
    ///
    /// It is none, or needs more than a megabyte.
    #[cfg(feature = "regex")]
    #[cfg_attr(docsrs, doc(cfg(feature = "regex")))]
    pub fn attribute_regex(key: impl AsRef<str>, regex: impl AsRef<str>) -> Result<Self, BuildError> {
        let regex = self::regex("attribute_regex", regex.as_ref())?;
        Ok(Self::attribute(key, Some(TextSet::of(regex))))
    }

    /// Any of these is true. None of none is.
    #[must_use]
    pub fn any(predicates: impl IntoIterator<Item = Self>) -> Self {
        Self(Test::Any(predicates.into_iter().map(|predicate| predicate.0).collect()))
    }

    /// The other is not true.
    #[expect(
        clippy::should_implement_trait,
        reason = "it reads as `Predicate::not(..)` among its kind; an operator would not"
    )]
    #[must_use]
    pub fn not(predicate: Self) -> Self {
        Self(match predicate.0 {
            Test::Not(test) => *test,
            test => Test::Not(Box::new(test)),
        })
    }

    /// A function says so. `words` say what it is, for people.
    ///
    /// It must depend on nothing but the span's name, kind, attributes, links and parent: not on the trace id or its randomness,
    /// and not on whether the parent was sampled. Otherwise probabilities are not what they are said to be. It is called on the
    /// application's threads.
    #[must_use]
    pub fn matching(
        words: impl Into<Arc<str>>,
        test: impl Fn(&StartingSpan<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Test::Custom {
            words: words.into(),
            test: Arc::new(test),
        })
    }

    fn attribute(key: impl AsRef<str>, texts: Option<TextSet>) -> Self {
        let key = Key::new(key.as_ref());
        Self(Test::Attribute { key, texts })
    }
}

impl Test {
    pub(super) fn matches(&self, subject: &mut Subject<'_, '_>) -> bool {
        match self {
            Self::Situation { of, .. } => of.contains(subject.situation),
            Self::Name(texts) => texts.contains(subject.span.name()),
            Self::Attribute { key, texts } => {
                let (Some((value, fingerprint)), texts) = (subject.attribute(key), texts) else {
                    return false;
                };
                texts.as_ref().is_none_or(|texts| {
                    fingerprint.may_contain(texts.fingerprint()) && any_text(value, |text| texts.contains(text))
                })
            }
            Self::Any(tests) => tests.iter().any(|test| test.matches(subject)),
            Self::Not(test) => !test.matches(subject),
            Self::Custom { test, .. } => test(subject.span),
        }
    }

    /// What every name that it fits has.
    pub(super) fn name_fingerprint(&self) -> Fingerprint {
        match self {
            Self::Name(texts) => texts.fingerprint(),
            _ => Fingerprint::default(),
        }
    }

    /// The kinds and parents that it is about, if it is about nothing else.
    pub(super) fn as_situations(&self) -> Option<Situations> {
        match self {
            Self::Situation { of, .. } => Some(*of),
            Self::Not(test) => test.as_situations().map(Situations::complement),
            Self::Any(tests) => {
                let mut cases = tests.iter().map(Self::as_situations);
                cases.try_fold(Situations::NONE, |all, case| Some(all.or(case?)))
            }
            Self::Name(_) | Self::Attribute { .. } | Self::Custom { .. } => None,
        }
    }

    /// The lower, the earlier it is worth asking.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Situation { .. } => 0,
            Self::Name(texts) => 1 + u32::from(texts.is_costly()) * 4,
            Self::Attribute { texts, .. } => 2 + u32::from(texts.as_ref().is_some_and(TextSet::is_costly)) * 4,
            Self::Any(tests) => 1 + tests.iter().map(Self::cost).sum::<u32>(),
            Self::Not(test) => test.cost(),
            Self::Custom { .. } => 8,
        }
    }

    pub(super) fn keys_mut(&mut self, visit: &mut dyn FnMut(&mut Key)) {
        match self {
            Self::Attribute { key, .. } => visit(key),
            Self::Any(tests) => tests.iter_mut().for_each(|test| test.keys_mut(visit)),
            Self::Not(test) => test.keys_mut(visit),
            Self::Situation { .. } | Self::Name(_) | Self::Custom { .. } => {}
        }
    }
}

fn glob(field: &'static str, pattern: &str) -> Result<Pattern, BuildError> {
    check_length(field, pattern).map(Pattern::glob)
}

fn check_length<'t>(field: &'static str, text: &'t str) -> Result<&'t str, BuildError> {
    if text.len() <= MAX_PATTERN_LEN {
        return Ok(text);
    }
    Err(BuildError::new(field, text, "at most 1024 bytes"))
}

/// Room for the program of a regular expression: a tenth of the crate's default, since nobody's names need more, and far above
/// what patterns of people take.
#[cfg(feature = "regex")]
const MAX_REGEX_SIZE: usize = 1 << 20;

#[cfg(feature = "regex")]
fn regex(field: &'static str, pattern: &str) -> Result<Pattern, BuildError> {
    let regex = regex::RegexBuilder::new(pattern).size_limit(MAX_REGEX_SIZE).build();
    regex.map(Pattern::Regex).map_err(|error| {
        let accepted = "a regular expression in the syntax of the regex crate, of at most a megabyte when compiled";
        BuildError::new(field, pattern, accepted).with_source(error)
    })
}

impl IntoPredicate for Predicate {
    fn into_predicate(self) -> Result<Predicate, BuildError> {
        Ok(self)
    }
}

impl IntoPredicate for Result<Predicate, BuildError> {
    fn into_predicate(self) -> Result<Predicate, BuildError> {
        self
    }
}

/// Things that can be debugged, in words.
struct Words<'t, T>(&'t [T]);

impl<T: fmt::Debug> fmt::Display for Words<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let mut separator = "";
        self.0
            .iter()
            .try_for_each(|thing| write!(f, "{}{thing:?}", std::mem::replace(&mut separator, " or ")))
    }
}

/// In words: `name is `GET /cart*``.
impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Situation { words, .. } | Self::Custom { words, .. } => f.write_str(words),
            Self::Name(texts) => write!(f, "name is {texts}"),
            Self::Attribute { key, texts: None } => write!(f, "{} is there", key.name),
            Self::Attribute {
                key,
                texts: Some(texts),
            } => write!(f, "{} is {texts}", key.name),
            Self::Any(tests) => {
                f.write_str("any of (")?;
                let mut separator = "";
                for test in tests {
                    write!(f, "{}{test}", std::mem::replace(&mut separator, ", "))?;
                }
                f.write_str(")")
            }
            Self::Not(test) => write!(f, "not ({test})"),
        }
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
