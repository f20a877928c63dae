//! What a sampler has counted, for people and for monitoring.

use spanwright_core::Observer;
use spanwright_core::semconv::{self, attribute};

use crate::reason::Reason;
use crate::sampler::Outcome;
use crate::tally::Tally;

/// What a [`CompositeSampler`](crate::CompositeSampler) has counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SamplerStats {
    /// Spans dropped and kept, by reason; only reasons that occurred.
    pub decisions: Vec<DecisionCount>,
    /// Spans dropped and kept by each rule, in the rules' order, also those by which nothing was decided.
    pub rules: Vec<RuleCount>,
    /// Parents whose `ot` member, or the `th` or `rv` in it, could not be read. That was left out; the members of others were kept.
    pub malformed_trace_states: u64,
    /// Thresholds that were not written because the `ot` member would have become longer than 256 characters.
    pub aborted_writes: u64,
    /// Parents whose threshold disagreed with whether they were sampled. It was erased.
    pub inconsistent_thresholds: u64,
    /// Remote parents that do not say that their trace id is random, and have no `rv`: it was taken to be, for a decision that hung
    /// on it. Above 0 means that something upstream does not pass on the flag for random trace ids (W3C Trace Context, level 2);
    /// the SDK's own `TraceContextPropagator` never does.
    pub presumed_random: u64,
    /// Members of others that went because the `ot` member came into a trace state of 32, the most that there may be. It is the
    /// last one that goes (W3C Trace Context).
    pub displaced_members: u64,
}

/// How many spans were dropped and kept for one reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DecisionCount {
    /// The reason.
    pub reason: Reason,
    /// Spans dropped.
    pub dropped: u64,
    /// Spans kept.
    pub kept: u64,
}

/// How many spans were dropped and kept by one rule.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RuleCount {
    /// The rule's name.
    pub rule: String,
    /// Spans dropped.
    pub dropped: u64,
    /// Spans kept.
    pub kept: u64,
}

impl SamplerStats {
    /// Spans dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.decisions.iter().map(|count| count.dropped).sum()
    }

    /// Spans kept, for whatever reason.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.decisions.iter().map(|count| count.kept).sum()
    }

    /// Tells `observer` what was counted since `earlier`, as `spanwright.sampler.*`. Counts that did not change are not told.
    pub fn publish(&self, earlier: &Self, observer: &dyn Observer) {
        for count in &self.decisions {
            let before = earlier.decisions.iter().find(|before| before.reason == count.reason);
            let (dropped, kept) = before.map_or((0, 0), |before| (before.dropped, before.kept));
            let reason = [(attribute::SAMPLER_REASON, count.reason.as_str())];
            decisions(observer, reason, (dropped, count.dropped), (kept, count.kept));
        }
        for (index, count) in self.rules.iter().enumerate() {
            // In its place, or where it was before the sampler was replaced.
            let is_same = |before: &&RuleCount| before.rule == count.rule;
            let before = earlier.rules.get(index).filter(is_same);
            let before = before.or_else(|| earlier.rules.iter().find(is_same));
            let (dropped, kept) = before.map_or((0, 0), |before| (before.dropped, before.kept));
            let rule = [(attribute::SAMPLER_RULE, count.rule.as_str())];
            decisions(observer, rule, (dropped, count.dropped), (kept, count.kept));
        }
        for (problem, before, now) in [
            ("malformed", earlier.malformed_trace_states, self.malformed_trace_states),
            ("too_long", earlier.aborted_writes, self.aborted_writes),
            (
                "inconsistent",
                earlier.inconsistent_thresholds,
                self.inconsistent_thresholds,
            ),
            ("presumed_random", earlier.presumed_random, self.presumed_random),
            ("displaced", earlier.displaced_members, self.displaced_members),
        ] {
            let attributes = [(attribute::ERROR_TYPE, problem)];
            tell(observer, &semconv::SAMPLER_TRACE_STATES, (before, now), &attributes);
        }
    }
}

impl RuleCount {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self {
            rule: tally.name().to_owned(),
            dropped: tally.dropped(),
            kept: tally.kept(),
        }
    }
}

/// Counts by rule have the rule as an attribute and those by reason the reason, so that neither is a part of the other's sum.
fn decisions(observer: &dyn Observer, by: [(&'static str, &str); 1], dropped: (u64, u64), kept: (u64, u64)) {
    for (outcome, change) in [(Outcome::Drop, dropped), (Outcome::RecordAndSample, kept)] {
        let attributes = [by[0], (attribute::OTEL_SPAN_SAMPLING_RESULT, outcome.as_str())];
        let metric = if by[0].0 == attribute::SAMPLER_RULE {
            &semconv::SAMPLER_RULE_DECISIONS
        } else {
            &semconv::SAMPLER_DECISIONS
        };
        tell(observer, metric, change, &attributes);
    }
}

fn tell(
    observer: &dyn Observer,
    metric: &'static semconv::Metric,
    (before, now): (u64, u64),
    attributes: &[(&'static str, &str)],
) {
    if let Some(delta) = now.checked_sub(before).filter(|delta| *delta > 0) {
        observer.count(metric, i64::try_from(delta).unwrap_or(i64::MAX), attributes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
        fn count(&self, metric: &'static semconv::Metric, delta: i64, attributes: &[(&'static str, &str)]) {
            let values: Vec<_> = attributes.iter().map(|(_, value)| *value).collect();
            let (_, name) = metric.name.split_once("sampler.").expect("a name of a sampler");
            let line = format!("{name} {} +{delta}", values.join(","));
            self.0.lock().expect("no panic").push(line);
        }
    }

    fn stats(kept: u64, by_rule: u64) -> SamplerStats {
        SamplerStats {
            decisions: vec![DecisionCount {
                reason: Reason::Probability,
                dropped: 7,
                kept,
            }],
            rules: vec![RuleCount {
                rule: "checkout".to_owned(),
                dropped: 0,
                kept: by_rule,
            }],
            malformed_trace_states: 1,
            ..SamplerStats::default()
        }
    }

    #[test]
    fn what_changed_is_told_and_nothing_else() {
        let heard = Heard::default();
        stats(3, 2).publish(&SamplerStats::default(), &heard);
        stats(5, 2).publish(&stats(3, 2), &heard);
        stats(5, 2).publish(&stats(5, 2), &heard);
        let lines = heard.0.into_inner().expect("no panic");
        assert_eq!(
            lines,
            [
                "decisions probability,DROP +7",
                "decisions probability,RECORD_AND_SAMPLE +3",
                "rule.decisions checkout,RECORD_AND_SAMPLE +2",
                "trace_states malformed +1",
                "decisions probability,RECORD_AND_SAMPLE +2",
            ]
        );
    }
}
