//! What a measurement has shown, and whether that is enough.

use std::fmt;

use serde_json::{Value, json};

use super::series::{Ratio, Series};

/// A figure of ours, beside the stock pipeline's.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) id: String,
    pub(super) unit: Unit,
    pub(super) requirement: Requirement,
    pub(super) findings: Findings,
}

/// What was measured, before anybody judges it.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    pub(super) ours: Series,
    pub(super) stock: Series,
    /// What the measurement shows without any pipeline, where that says something.
    pub(super) noop: Option<Series>,
    /// Why the requirement is not reached whatever the figures are, for instance because ours lost spans.
    pub(super) failings: Vec<String>,
    /// What one should know beside the figures.
    pub(super) notes: Vec<String>,
    /// The samples as they came.
    pub(super) samples: Vec<Value>,
}

/// What must be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Requirement {
    /// Ours is at least this multiple of the stock pipeline's.
    RatioAtLeast(f64),
    /// Ours is at most this multiple of the stock pipeline's.
    RatioAtMost(f64),
    /// Ours is at least this much.
    OursAtLeast(f64),
    /// Ours is at most this much.
    OursAtMost(f64),
    /// Ours is at most this much more than the noop, which is what the measurement itself takes.
    OverNoopAtMost(f64),
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    Bytes,
    InstructionsPerSpan,
    Nanoseconds,
    NanosecondsPerDecision,
    NanosecondsPerSpan,
    SpansPerSecond,
}

impl Outcome {
    pub(super) fn ratio(&self) -> Ratio {
        self.findings.ours.ratio_to(&self.findings.stock)
    }

    pub(super) fn is_reached(&self) -> bool {
        let is_enough = match self.requirement {
            Requirement::RatioAtLeast(least) => self.ratio().value >= least,
            Requirement::RatioAtMost(most) => self.ratio().value <= most,
            Requirement::OursAtLeast(least) => self.findings.ours.median() >= least,
            Requirement::OursAtMost(most) => self.findings.ours.median() <= most,
            Requirement::OverNoopAtMost(most) => self.findings.over_noop().is_some_and(|over| over <= most),
        };
        is_enough && self.findings.failings.is_empty()
    }

    /// What is required, in words.
    pub(super) fn required(&self) -> String {
        self.requirement.show(self.unit)
    }

    pub(super) fn to_json(&self) -> Value {
        let ratio = self.ratio();
        json!({
            "id": self.id,
            "unit": self.unit.to_string(),
            "ours": self.findings.ours.to_json(),
            "stock": self.findings.stock.to_json(),
            "noop": self.findings.noop.as_ref().map(Series::to_json),
            "ratio": { "of_medians": ratio.value, "least": ratio.least, "most": ratio.most },
            "required": self.required(),
            "reached": self.is_reached(),
            "failings": self.findings.failings,
            "notes": self.findings.notes,
            "samples": self.findings.samples,
        })
    }
}

impl Findings {
    /// How much more ours is than the noop, by their medians.
    fn over_noop(&self) -> Option<f64> {
        Some(self.ours.median() - self.noop.as_ref()?.median())
    }
}

impl Requirement {
    /// In words, where the figure is of this unit.
    pub(super) fn show(self, unit: Unit) -> String {
        match self {
            Self::RatioAtLeast(least) => format!(">= {least} x stock"),
            Self::RatioAtMost(most) => format!("<= {most} x stock"),
            Self::OursAtLeast(least) => format!(">= {}", unit.show(least)),
            Self::OursAtMost(most) => format!("<= {}", unit.show(most)),
            Self::OverNoopAtMost(most) => format!("<= {} over noop", unit.show(most)),
        }
    }
}

impl Unit {
    /// A value of this unit, for people.
    pub(super) fn show(self, value: f64) -> String {
        const MIB: f64 = (1 << 20) as f64;
        match self {
            Self::Bytes => format!("{:.1} MiB", value / MIB),
            Self::InstructionsPerSpan => format!("{value:.0} instr"),
            Self::Nanoseconds => format!("{:.0} ms", value / 1e6),
            Self::NanosecondsPerDecision => format!("{value:.1} ns"),
            Self::NanosecondsPerSpan => format!("{value:.0} ns"),
            Self::SpansPerSecond => format!("{} k/s", (value / 1000.0).round()),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::InstructionsPerSpan => "instructions/span",
            Self::Nanoseconds => "ns",
            Self::NanosecondsPerDecision => "ns/decision",
            Self::NanosecondsPerSpan => "ns/span",
            Self::SpansPerSecond => "spans/s",
        })
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// Ours and stock in nanoseconds per span, one value a round.
    pub(in crate::bench) fn outcome(id: &str, ours: &[f64], stock: &[f64]) -> Outcome {
        Outcome {
            id: id.into(),
            unit: Unit::NanosecondsPerSpan,
            requirement: Requirement::RatioAtMost(0.5),
            findings: Findings {
                ours: Series::new(ours.to_vec()).expect("numbers"),
                stock: Series::new(stock.to_vec()).expect("numbers"),
                noop: None,
                failings: vec![],
                notes: vec![],
                samples: vec![],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fixture::outcome, *};

    #[test]
    fn each_requirement_holds_up_to_its_limit() {
        let mut figure = outcome("x", &[50.0], &[100.0]);
        for (requirement, is_reached) in [
            (Requirement::RatioAtMost(0.5), true),
            (Requirement::RatioAtMost(0.49), false),
            (Requirement::RatioAtLeast(0.5), true),
            (Requirement::RatioAtLeast(0.51), false),
            (Requirement::OursAtMost(50.0), true),
            (Requirement::OursAtMost(49.0), false),
        ] {
            figure.requirement = requirement;
            assert_eq!(figure.is_reached(), is_reached, "{requirement:?}");
        }
    }

    #[test]
    fn a_failing_stands_against_the_best_figure() {
        let mut figure = outcome("x", &[1.0], &[100.0]);
        figure.findings.failings.push("ours lost spans".into());
        assert!(!figure.is_reached());
    }

    #[test]
    fn values_are_shown_as_people_read_them() {
        assert_eq!(Unit::Bytes.show(74.0 * 1048576.0), "74.0 MiB");
        assert_eq!(Unit::NanosecondsPerSpan.show(431.6), "432 ns");
        assert_eq!(Unit::SpansPerSecond.show(1_200_000.0), "1200 k/s");
    }
}
