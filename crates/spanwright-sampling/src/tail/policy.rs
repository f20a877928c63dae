//! Reasons to keep a trace.

use std::sync::Arc;
use std::time::Duration;

use super::span::TailSpan;
use opentelemetry::{Array, Value};

/// A reason to keep a trace, and how many of those that give it.
///
/// Policies are independent of each other: a trace is kept if any of them keeps it, and its weight is that of the one that keeps
/// most of its kind. None can make that a trace is dropped.
///
/// ```
/// use std::time::Duration;
/// use spanwright_sampling::TailPolicy;
///
/// let policies = [
///     TailPolicy::errors(),
///     TailPolicy::slower_than_quantile_by_name(0.99),
///     TailPolicy::attribute("tenant.plan", ["enterprise"]).with_ratio(0.5),
///     TailPolicy::budget(100),
///     TailPolicy::probability(0.001),
/// ];
/// # let _ = policies;
/// ```
#[derive(Clone, Debug)]
pub struct TailPolicy {
    pub(super) name: Arc<str>,
    pub(super) condition: Condition,
    pub(super) ratio: f64,
}

/// What a trace must be like to give the reason.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Always,
    Attribute { key: Arc<str>, values: Vec<Accepted> },
    Budget(u32),
    Error,
    RootName(Vec<Arc<str>>),
    Slower(Duration),
    SlowerThanUsual { quantile: f64, max_names: usize },
}

/// A value of an attribute as text, and what else it may be in.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    text: Arc<str>,
    integer: Option<i64>,
    float: Option<f64>,
}

impl TailPolicy {
    /// How many names of roots have a quantile of their own with
    /// [`slower_than_quantile_by_name`](Self::slower_than_quantile_by_name): the routes of a service. 2.6 KiB for each.
    pub const DEFAULT_MAX_NAMES: usize = 100;

    fn new(name: impl Into<Arc<str>>, condition: Condition) -> Self {
        Self {
            name: name.into(),
            condition,
            ratio: 1.0,
        }
    }

    /// Traces in which any span has the status error.
    #[must_use]
    pub fn errors() -> Self {
        Self::new("errors", Condition::Error)
    }

    /// Traces whose local root took at least `duration`.
    #[must_use]
    pub fn slower_than(duration: Duration) -> Self {
        Self::new("slow", Condition::Slower(duration))
    }

    /// Traces whose local root took longer than this quantile of all local roots lately (above 0, below 1): 0.99 for the slowest
    /// hundredth.
    ///
    /// The quantile is that of the last minutes, each minute and each 20 000 roots weighing half of the next. It is exact to 6 %,
    /// on the side of keeping less, works from 100 roots on, and lags a second behind.
    #[must_use]
    pub fn slower_than_quantile(quantile: f64) -> Self {
        Self::new("slow_quantile", Condition::SlowerThanUsual { quantile, max_names: 0 })
    }

    /// As [`slower_than_quantile`](Self::slower_than_quantile), among local roots of the same name. The first
    /// [`DEFAULT_MAX_NAMES`](Self::DEFAULT_MAX_NAMES) names have their own, the others share one.
    #[must_use]
    pub fn slower_than_quantile_by_name(quantile: f64) -> Self {
        let condition = Condition::SlowerThanUsual {
            quantile,
            max_names: Self::DEFAULT_MAX_NAMES,
        };
        Self::new("slow_quantile_by_name", condition)
    }

    /// Traces in which any span has the attribute `key` with one of `values`; with any value if there are none.
    ///
    /// Numbers and booleans are compared as such, where a value can be read as one. Of an array any element counts.
    #[must_use]
    pub fn attribute<V: Into<Arc<str>>>(key: impl Into<Arc<str>>, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(Into::into).map(Accepted::new);
        let condition = Condition::Attribute {
            key: key.into(),
            values: values.collect(),
        };
        Self::new("attribute", condition)
    }

    /// Traces whose local root has one of these names.
    #[must_use]
    pub fn root_name<N: Into<Arc<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(
            "root_name",
            Condition::RootName(names.into_iter().map(Into::into).collect()),
        )
    }

    /// This share of all traces (0 to 1), the same ones wherever the same share is kept.
    #[must_use]
    pub fn probability(ratio: f64) -> Self {
        Self::new("probability", Condition::Always).with_ratio(ratio)
    }

    /// So many traces a second of those that no other policy keeps all of (1 to 100 000), chosen by their randomness.
    ///
    /// Traces wait for the end of their second, of which at most this many at once. The weights are exact for any number: the
    /// threshold is the randomness of the first that did not fit. There can be one budget.
    #[must_use]
    pub fn budget(traces_per_second: u32) -> Self {
        Self::new("budget", Condition::Budget(traces_per_second))
    }

    /// Its name in counts and explanations. Default: that of its kind. Unique.
    #[must_use]
    pub fn with_name(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// Of those traces only this share, 0 to 1. Default: 1. Not for a budget.
    #[must_use]
    pub fn with_ratio(self, ratio: f64) -> Self {
        Self { ratio, ..self }
    }
}

impl Accepted {
    fn new(text: Arc<str>) -> Self {
        Self {
            integer: text.parse().ok(),
            float: text.parse().ok(),
            text,
        }
    }

    fn is(&self, value: &Value) -> bool {
        match value {
            Value::Array(Array::Bool(all)) => all.iter().any(|value| self.is_bool(*value)),
            Value::Array(Array::F64(all)) => all.iter().any(|value| self.float == Some(*value)),
            Value::Array(Array::I64(all)) => all.iter().any(|value| self.integer == Some(*value)),
            Value::Array(Array::String(all)) => all.iter().any(|value| value.as_str() == &*self.text),
            Value::Bool(value) => self.is_bool(*value),
            Value::F64(value) => self.float == Some(*value),
            Value::I64(value) => self.integer == Some(*value),
            Value::String(value) => value.as_str() == &*self.text,
            _ => false,
        }
    }

    fn is_bool(&self, value: bool) -> bool {
        &*self.text == if value { "true" } else { "false" }
    }
}

impl Condition {
    /// Whether a span gives the reason by itself. A budget, a share of all and what is usual are no matter of one span.
    pub(super) fn fits(&self, span: &TailSpan<'_>) -> bool {
        match self {
            Self::Attribute { key, values } => {
                let with_key = span
                    .attributes()
                    .iter()
                    .filter(|attribute| attribute.key.as_str() == &**key);
                let mut found = with_key.map(|attribute| &attribute.value);
                found.any(|value| values.is_empty() || values.iter().any(|accepted| accepted.is(value)))
            }
            Self::Error => span.is_error(),
            Self::RootName(names) => span.is_local_root() && names.iter().any(|name| **name == *span.name()),
            Self::Slower(duration) => span.is_local_root() && span.duration() >= *duration,
            Self::Always | Self::Budget(_) | Self::SlowerThanUsual { .. } => false,
        }
    }
}
