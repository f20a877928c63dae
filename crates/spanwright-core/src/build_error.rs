//! A setting that cannot be used.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A setting was given a value that it does not take.
///
/// Names the field, the value, and what is accepted, because the person who reads it has the three in three different places.
#[derive(Debug)]
pub struct BuildError {
    field: Cow<'static, str>,
    value: String,
    accepted: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl BuildError {
    /// `field` was given `value`, and takes only `accepted`.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        accepted: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            value: value.to_string(),
            accepted: accepted.into(),
            source: None,
        }
    }

    /// The same with the error that showed it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// `Ok` if `value` lies in `range`, else an error that names the range.
    ///
    /// # Errors
    ///
    /// The value lies outside.
    pub fn check_range<T>(field: &'static str, value: T, range: std::ops::RangeInclusive<T>) -> Result<T, Self>
    where
        T: PartialOrd + fmt::Debug,
    {
        if range.contains(&value) {
            return Ok(value);
        }
        Err(Self::new(
            field,
            format_args!("{value:?}"),
            format!("{:?} to {:?}", range.start(), range.end()),
        ))
    }

    /// The name of the setting.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What it was given, as text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it takes.
    #[must_use]
    pub fn accepted(&self) -> &str {
        &self.accepted
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot be `{}`; accepted: {}",
            self.field, self.value, self.accepted
        )
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_field_value_and_what_is_accepted() {
        let error = BuildError::check_range("max_queue_size", 0, 1..=10).unwrap_err();
        assert_eq!(error.to_string(), "`max_queue_size` cannot be `0`; accepted: 1 to 10");
        assert!(BuildError::check_range("ratio", f64::NAN, 0.0..=1.0).is_err());
        assert_eq!(BuildError::check_range("ratio", 0.5, 0.0..=1.0).unwrap(), 0.5);
    }
}
