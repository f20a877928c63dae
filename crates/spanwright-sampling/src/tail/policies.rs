//! All the reasons to keep a trace, and which of them it gives.

use std::sync::Arc;

use spanwright_core::BuildError;

use super::budget::Budget;
use super::latency::Latencies;
use super::policy::{Condition, TailPolicy};
use super::span::TailSpan;
use crate::probability::Threshold;

/// The policies of a sampler, in order.
#[derive(Debug)]
pub(super) struct Policies {
    all: Box<[Policy]>,
    /// Those that every trace gives a reason for.
    always: Reasons,
    budget: Option<(u8, Budget)>,
}

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: Arc<str>,
    condition: Condition,
    /// `None` for a share of none.
    threshold: Option<Threshold>,
    latencies: Option<Latencies>,
}

/// Which policies a trace has given a reason for: bit n for the n-th.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Reasons(u32);

/// The lowest threshold among some policies, and whose it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wish {
    pub(super) threshold: Option<Threshold>,
    pub(super) policy: Option<u8>,
}

impl Policies {
    /// As many as there are bits.
    pub(super) const MAX: usize = 32;

    pub(super) fn new(policies: Vec<TailPolicy>) -> Result<Self, BuildError> {
        if policies.is_empty() || policies.len() > Self::MAX {
            return Err(BuildError::new("policies", policies.len(), "1 to 32"));
        }
        let mut all: Vec<Policy> = Vec::with_capacity(policies.len());
        let (mut always, mut budget) = (Reasons::default(), None);
        for (index, policy) in policies.into_iter().enumerate() {
            let TailPolicy { name, condition, ratio } = policy;
            if name.is_empty() || all.iter().any(|other| other.name == name) {
                let accepted = "a name that is not empty and that no other policy has: `with_name`";
                return Err(BuildError::new("policy name", &name, accepted));
            }
            BuildError::check_range("ratio", ratio, 0.0..=1.0)?;
            let mut latencies = None;
            match &condition {
                Condition::Always => always.insert(index),
                Condition::Budget(traces) => {
                    BuildError::check_range("budget", *traces, 1..=100_000)?;
                    if budget.is_some() || ratio < 1.0 {
                        return Err(BuildError::new("budget", traces, "one budget, without a ratio"));
                    }
                    budget = Some((index as u8, Budget::new(*traces as usize)));
                }
                Condition::SlowerThanUsual { quantile, max_names } => {
                    if !(*quantile > 0.0 && *quantile < 1.0) {
                        return Err(BuildError::new("quantile", quantile, "above 0, below 1"));
                    }
                    latencies = Some(Latencies::new(*quantile, *max_names));
                }
                Condition::RootName(names) if names.is_empty() => {
                    return Err(BuildError::new("root_name", "none", "at least one name"));
                }
                Condition::Attribute { key, .. } if key.is_empty() => {
                    return Err(BuildError::new("attribute", "", "a key that is not empty"));
                }
                _ => {}
            }
            all.push(Policy {
                name,
                condition,
                threshold: Threshold::from_probability(ratio),
                latencies,
            });
        }
        Ok(Self {
            all: all.into(),
            always,
            budget,
        })
    }

    /// The memory that they take for good.
    pub(super) fn bytes(&self) -> usize {
        let of = |policy: &Policy| match &policy.condition {
            Condition::Budget(traces) => Budget::bytes(*traces as usize),
            Condition::SlowerThanUsual { max_names, .. } => Latencies::bytes(*max_names),
            _ => 0,
        };
        self.all.iter().map(|policy| of(policy) + size_of::<Policy>()).sum()
    }

    pub(super) fn all(&self) -> &[Policy] {
        &self.all
    }

    pub(super) fn budget(&self) -> Option<(u8, &Budget)> {
        self.budget.as_ref().map(|(index, budget)| (*index, budget))
    }

    pub(super) fn name(&self, policy: Option<u8>) -> &str {
        let policy = policy.and_then(|index| self.all.get(usize::from(index)));
        policy.map_or(NO_POLICY, |policy| &*policy.name)
    }

    /// The reasons that a span gives by itself. A local root takes part in what is usual.
    pub(super) fn reasons(&self, span: &TailSpan<'_>) -> Reasons {
        let mut reasons = Reasons::default();
        for (index, policy) in self.all.iter().enumerate() {
            let is_one = match &policy.condition {
                Condition::SlowerThanUsual { .. } if span.is_local_root() => {
                    let latencies = policy.latencies.as_ref();
                    latencies.is_some_and(|latencies| latencies.is_above(span.name(), span.duration()))
                }
                other => other.fits(span),
            };
            if is_one {
                reasons.insert(index);
            }
        }
        reasons
    }

    /// What the policies besides the budget want for a trace that gave these reasons.
    pub(super) fn wish(&self, reasons: Reasons) -> Wish {
        let mut wish = Wish::default();
        for index in reasons.union(self.always).iter() {
            let threshold = self.all[index].threshold;
            if let Some(threshold) = threshold.filter(|mine| wish.threshold.is_none_or(|least| *mine < least)) {
                wish = Wish {
                    threshold: Some(threshold),
                    policy: Some(index as u8),
                };
            }
        }
        wish
    }

    /// So many seconds have passed.
    pub(super) fn set_second(&self, second: u32) {
        let latencies = self.all.iter().filter_map(|policy| policy.latencies.as_ref());
        latencies.for_each(|latencies| latencies.set_second(second));
    }
}

/// How traces are counted that no policy wanted.
pub(super) const NO_POLICY: &str = "none";

impl Policy {
    /// What it makes of these spans, in words.
    pub(super) fn explain(&self, spans: &[TailSpan<'_>]) -> Option<String> {
        let of_spans = |what: &str| {
            let fitting = spans.iter().filter(|span| self.condition.fits(span)).count();
            (fitting > 0).then(|| format!("{fitting} of {} spans {what}", spans.len()))
        };
        let root = spans.iter().find(|span| span.is_local_root());
        let reason = match &self.condition {
            Condition::Always => Some("wants a share of all traces".to_owned()),
            Condition::Attribute { key, .. } => of_spans(&format!("with `{key}` as it wants it")),
            Condition::Budget(traces) => Some(format!("wants the {traces} of the largest randomness in each second")),
            Condition::Error => of_spans("with an error"),
            Condition::RootName(_) => root
                .filter(|root| self.condition.fits(root))
                .map(|root| format!("the local root is called `{}`", root.name())),
            Condition::Slower(limit) => root
                .filter(|root| self.condition.fits(root))
                .map(|root| format!("the local root took {:?}, {limit:?} or more", root.duration())),
            Condition::SlowerThanUsual { quantile, .. } => root.and_then(|root| {
                let limit = self.latencies.as_ref()?.limit(root.name())?;
                let duration = root.duration();
                (duration >= limit)
                    .then(|| format!("the local root took {duration:?}, and a share of {quantile} less than {limit:?}"))
            }),
        }?;
        let at = match (&self.condition, self.threshold) {
            (Condition::Budget(_), _) => "at the threshold of the first that does not fit".to_owned(),
            (_, None) => "but a share of none".to_owned(),
            (_, Some(threshold)) => format!("at th:{threshold}"),
        };
        Some(format!("policy `{}`: {reason}: {at}", self.name))
    }

    /// The same decision again, without becoming a part of what is usual.
    pub(super) fn rehearse(&self, spans: &[TailSpan<'_>]) -> bool {
        !matches!(self.condition, Condition::Budget(_)) && self.explain(spans).is_some()
    }
}

impl Reasons {
    pub(super) fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..Policies::MAX).filter(move |index| self.0 & 1 << index != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::SpanContext;
    use opentelemetry::{Array, KeyValue, Value};

    fn reasons(policy: TailPolicy, attributes: &[KeyValue]) -> bool {
        let policies = Policies::new(vec![policy]).expect("a policy");
        let span = TailSpan::new(&SpanContext::NONE, "work").with_attributes(attributes);
        policies.reasons(&span) != Reasons::default()
    }

    #[test]
    fn attributes_are_compared_by_what_they_are() {
        let rows: [(Value, &str, bool); 12] = [
            ("gold".into(), "gold", true),
            ("golden".into(), "gold", false),
            (500.into(), "500", true),
            (500.into(), "500.0", false),
            (0.5.into(), "0.50", true),
            (true.into(), "true", true),
            (false.into(), "true", false),
            ("true".into(), "true", true),
            (Value::Array(vec![1_i64, 2].into()), "2", true),
            (Value::Array(vec![1_i64, 2].into()), "3", false),
            (Value::Array(Array::String(vec!["a".into(), "b".into()])), "b", true),
            (Value::Array(Array::Bool(vec![])), "false", false),
        ];
        for (value, accepted, fits) in rows {
            let attributes = [KeyValue::new("other", "gold"), KeyValue::new("key", value.clone())];
            let policy = TailPolicy::attribute("key", [accepted]);
            assert_eq!(reasons(policy, &attributes), fits, "{value:?} and {accepted}");
        }
        let any = TailPolicy::attribute::<&str>("key", []);
        assert!(reasons(any.clone(), &[KeyValue::new("key", 1)]));
        assert!(!reasons(any, &[KeyValue::new("other", 1)]));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        let refused = |policies: Vec<TailPolicy>| {
            let error = Policies::new(policies).expect_err("refused");
            error.field().to_owned()
        };
        assert_eq!(refused(vec![]), "policies");
        assert_eq!(refused(vec![TailPolicy::probability(1.5)]), "ratio");
        assert_eq!(refused(vec![TailPolicy::probability(f64::NAN)]), "ratio");
        assert_eq!(refused(vec![TailPolicy::budget(0)]), "budget");
        assert_eq!(refused(vec![TailPolicy::budget(1).with_ratio(0.5)]), "budget");
        let two = vec![TailPolicy::budget(1), TailPolicy::budget(2).with_name("other")];
        assert_eq!(refused(two), "budget");
        assert_eq!(refused(vec![TailPolicy::errors(), TailPolicy::errors()]), "policy name");
        assert_eq!(refused(vec![TailPolicy::slower_than_quantile(1.0)]), "quantile");
        assert_eq!(refused(vec![TailPolicy::slower_than_quantile(f64::NAN)]), "quantile");
        assert_eq!(refused(vec![TailPolicy::root_name::<&str>([])]), "root_name");
        assert_eq!(refused(vec![TailPolicy::attribute("", ["a"])]), "attribute");
    }

    #[test]
    fn the_lowest_threshold_counts_and_of_equals_the_first() {
        let policies = Policies::new(vec![
            TailPolicy::probability(0.25),
            TailPolicy::errors().with_ratio(0.5),
            TailPolicy::root_name(["work"]).with_ratio(0.5),
            TailPolicy::attribute("none", ["1"]).with_ratio(0.0),
        ]);
        let policies = policies.expect("four policies");
        let wish = |indices: &[usize]| {
            let mut reasons = Reasons::default();
            indices.iter().for_each(|index| reasons.insert(*index));
            let Wish { threshold, policy } = policies.wish(reasons);
            (threshold.map(Threshold::probability), policy)
        };
        assert_eq!(wish(&[]), (Some(0.25), Some(0)));
        assert_eq!(wish(&[3]), (Some(0.25), Some(0)));
        assert_eq!(wish(&[1]), (Some(0.5), Some(1)));
        assert_eq!(wish(&[2]), (Some(0.5), Some(2)));
        assert_eq!(wish(&[1, 2]), (Some(0.5), Some(1)));
    }
}
