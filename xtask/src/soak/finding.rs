//! What a stage has shown, and the table of it all.

use std::fmt::Write;

use crate::Failure;

/// One figure, and what it must reach.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Finding {
    what: &'static str,
    figure: String,
    required: String,
    is_reached: bool,
}

/// The findings of a stage, or why it could not be gone through.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) stage: &'static str,
    pub(super) outcome: Result<Vec<Finding>, Failure>,
}

impl Finding {
    /// A figure that must be as `required` says.
    pub(super) fn new(what: &'static str, figure: impl ToString, required: impl ToString, is_reached: bool) -> Self {
        Self {
            what,
            figure: figure.to_string(),
            required: required.to_string(),
            is_reached,
        }
    }

    /// A figure that is only told.
    pub(super) fn told(what: &'static str, figure: impl ToString) -> Self {
        Self::new(what, figure, "", true)
    }
}

impl Verdict {
    pub(super) fn holds(&self) -> bool {
        let findings = self.outcome.as_deref().ok();
        findings.is_some_and(|findings| findings.iter().all(|finding| finding.is_reached))
    }
}

/// A line for each finding; a failure says the first line of why, and the rest below.
pub(super) fn table(verdicts: &[Verdict]) -> String {
    let mut text = format!(
        "{:<10} {:<34} {:<28} {:<22} reached\n",
        "stage", "what", "figure", "required"
    );
    for Verdict { stage, outcome } in verdicts {
        let findings = match outcome {
            Ok(findings) => findings,
            Err(failure) => {
                _ = writeln!(text, "{stage:<10} FAILED: {failure}");
                continue;
            }
        };
        for finding in findings {
            let Finding {
                what,
                figure,
                required,
                is_reached,
            } = finding;
            let reached = match is_reached {
                _ if required.is_empty() => "",
                true => "yes",
                false => "NO",
            };
            let line = format!("{stage:<10} {what:<34} {figure:<28} {required:<22} {reached}");
            _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_holds_if_every_figure_is_reached_and_nothing_failed() {
        let verdict = |outcome| Verdict { stage: "s", outcome };
        let reached = || Finding::new("lost", 0, "0", true);
        assert!(verdict(Ok(vec![reached(), Finding::told("made", 3)])).holds());
        assert!(!verdict(Ok(vec![reached(), Finding::new("time", "9 s", "<= 5 s", false)])).holds());
        let failed = verdict(Err("it broke".into()));
        assert!(!failed.holds());
        let table = table(&[failed, verdict(Ok(vec![Finding::new("time", "9 s", "<= 5 s", false)]))]);
        assert!(table.contains("FAILED: it broke") && table.ends_with("NO\n"), "{table}");
    }
}
