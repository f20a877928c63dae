//! What one measurement has shown.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// Named values that are printed as one line of JSON.
#[derive(Debug, Default)]
pub(crate) struct Sample(Map<String, Value>);

impl Sample {
    /// Adds a value.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Adds a duration in nanoseconds. 585 years fit.
    pub(crate) fn with_ns(self, name: &str, duration: Duration) -> Self {
        self.with(name, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names_and_values = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
        write!(f, "{{{}}}", names_and_values.collect::<Vec<_>>().join(","))
    }
}
