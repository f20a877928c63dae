//! When the receiver is away, and how.

use std::fmt;
use std::time::Duration;

use spanwright_core::BuildError;

use crate::choices::OutageKind;

/// A part of the run in which the receiver is away. Its start is before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outage {
    pub(crate) kind: OutageKind,
    /// From the first request on.
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

/// Nobody measures a shorter one, and no run is longer.
const MOST_SECONDS: f64 = 86_400.0;

impl Outage {
    /// Reads `2..5`, or `2s..5s`, as `flag` was given it.
    pub(crate) fn parse(flag: &str, value: &str) -> Result<Self, BuildError> {
        let refused = |accepted: &'static str| BuildError::new(flag.to_owned(), value, accepted);
        let parts = value.split_once("..");
        let parts = parts.and_then(|(start, end)| Some((seconds(start)?, seconds(end)?)));
        let (start, end) =
            parts.ok_or_else(|| refused("START..END, seconds from the start of the load, for instance 2..5"))?;
        if start >= end {
            return Err(refused("an end after the start, for instance 2..5"));
        }
        Ok(Self {
            kind: OutageKind::default(),
            start,
            end,
        })
    }

    /// In words, for a run of this `duration`.
    pub(crate) fn described(&self, duration: Duration) -> String {
        let kind = match self.kind {
            OutageKind::Exhausted => "answers RESOURCE_EXHAUSTED and when to come back",
            OutageKind::Hang => "takes requests and never answers",
            OutageKind::Refuse => "refuses connections",
        };
        let (start, end) = (self.start.as_secs_f64(), self.end.as_secs_f64());
        if self.is_last(duration) {
            format!("from {start} s on the receiver {kind}, also at the shutdown")
        } else {
            format!("from {start} s to {end} s the receiver {kind}")
        }
    }

    /// Whether it lasts to the end of a run of this `duration`. Then the receiver is not there for the shutdown either.
    pub(crate) fn is_last(&self, duration: Duration) -> bool {
        self.end >= duration
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
    (0.0..=MOST_SECONDS)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start.as_secs_f64(), self.end.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for (text, written) in [("2..5", "2..5"), ("0s..1.5s", "0..1.5"), ("0.25..86400", "0.25..86400")] {
            assert_eq!(Outage::parse("--outage", text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn one_that_ends_with_the_run_is_the_last_thing_in_it() {
        let outage = Outage::parse("--outage", "2..5").unwrap();
        assert!(outage.is_last(Duration::from_secs(5)));
        assert!(!outage.is_last(Duration::from_millis(5_001)));
        assert_eq!(
            outage.described(Duration::from_secs(5)),
            "from 2 s on the receiver refuses connections, also at the shutdown"
        );
        assert_eq!(
            outage.described(Duration::from_secs(6)),
            "from 2 s to 5 s the receiver refuses connections"
        );
    }
}
