//! Settings from environment variables, by the rules of the specification.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

/// Reads environment variables, and remembers those that it had to ignore.
///
/// # Source
///
/// [OpenTelemetry, environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/):
/// an empty value is an unset one; a value that cannot be parsed is ignored with a warning and the default is used; a
/// boolean is true only for `true`, in any case.
///
/// ```
/// use spanwright_core::Env;
///
/// let env = Env::from_pairs([("OTEL_BSP_MAX_QUEUE_SIZE", "many"), ("OTEL_SDK_DISABLED", "True")]);
/// assert_eq!(env.parse("OTEL_BSP_MAX_QUEUE_SIZE", "a whole number", |value| value.parse::<usize>().ok()), None);
/// assert_eq!(env.bool("OTEL_SDK_DISABLED"), Some(true));
/// assert_eq!(env.ignored()[0].to_string(), "OTEL_BSP_MAX_QUEUE_SIZE=`many` is ignored; accepted: a whole number");
/// ```
pub struct Env {
    lookup: Box<Lookup>,
    ignored: RefCell<Vec<IgnoredVariable>>,
}

type Lookup = dyn Fn(&str) -> Option<String> + Send;

/// A variable whose value could not be used; the default is in its place.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IgnoredVariable {
    /// The variable.
    pub name: String,
    /// Its value, or a stand-in where that may be a secret.
    pub value: String,
    /// What it takes.
    pub accepted: String,
}

impl Env {
    /// The variables of this process.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the process's environment is read"
    )]
    pub fn process() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// No variables at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_lookup(|_| None)
    }

    /// The given variables and no others.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs: Vec<(String, String)> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self::from_lookup(move |name| {
            pairs
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        })
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
            ignored: RefCell::default(),
        }
    }

    /// The value of `name` without the white space around it, unless it is unset or empty.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The value of `name` as `parse` reads it; where it cannot, the variable is ignored.
    pub fn parse<T>(&self, name: &str, accepted: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.string(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.ignore(name, value, accepted);
        }
        parsed
    }

    /// A whole number within `range`.
    pub fn integer(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let accepted = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &accepted, |value| {
            value.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// A duration, given in whole milliseconds within `range`.
    pub fn milliseconds(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<Duration> {
        self.integer(name, range).map(Duration::from_millis)
    }

    /// A boolean: `true` and `false` in any case; every other value is ignored and counts as `false`.
    pub fn bool(&self, name: &str) -> Option<bool> {
        let value = self.string(name)?;
        let truth = value.eq_ignore_ascii_case("true");
        if !truth && !value.eq_ignore_ascii_case("false") {
            self.ignore(name, value, "true or false");
        }
        Some(truth)
    }

    /// Remembers that `name` could not be used. Give a stand-in for a `value` that may be a secret.
    pub fn ignore(&self, name: &str, value: impl Into<String>, accepted: &str) {
        let ignored = IgnoredVariable {
            name: name.to_owned(),
            value: value.into(),
            accepted: accepted.to_owned(),
        };
        let mut known = self.ignored.borrow_mut();
        if !known.contains(&ignored) {
            known.push(ignored);
        }
    }

    /// The variables that could not be used so far, each once.
    #[must_use]
    pub fn ignored(&self) -> Vec<IgnoredVariable> {
        self.ignored.borrow().clone()
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("ignored", &self.ignored.borrow())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for IgnoredVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}=`{}` is ignored; accepted: {}",
            self.name, self.value, self.accepted
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_an_unset_one() {
        let env = Env::from_pairs([("A", ""), ("B", "  ")]);
        assert_eq!(
            (env.string("A"), env.bool("B"), env.integer("C", 0..=9)),
            (None, None, None)
        );
        assert!(env.ignored().is_empty());
    }

    #[test]
    fn numbers_outside_the_range_are_ignored_once() {
        let env = Env::from_pairs([("N", "10")]);
        assert_eq!(env.integer("N", 0..=9), None);
        assert_eq!(env.milliseconds("N", 0..=9), None);
        assert_eq!(env.ignored().len(), 1);
        assert_eq!(env.milliseconds("N", 0..=10), Some(Duration::from_millis(10)));
    }

    #[test]
    fn a_boolean_is_true_only_for_true() {
        let env = Env::from_pairs([("A", "TRUE"), ("B", "1"), ("C", "false")]);
        assert_eq!(
            (env.bool("A"), env.bool("B"), env.bool("C")),
            (Some(true), Some(false), Some(false))
        );
        assert_eq!(env.ignored().len(), 1);
    }
}
