//! The rules in force.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::BuildError;

use super::budget::Budget;
use super::conditions::Conditions;
use super::request::Request;
use super::service::Service;
use super::statistics::Statistics;
use super::strategy::RuleSet;
use super::target::Target;
use crate::composable::ComposableSampler;
use crate::intent::Intent;
use crate::remote::state::Active;
use crate::span::StartingSpan;
use crate::tally::Tally;
use crate::ticker::Waker;

/// Of spans that no rule is for, and before there are any rules: one a second and a twentieth, as in all of X-Ray's clients.
const FALLBACK_PER_SECOND: f64 = 1.0;
const FALLBACK_SHARE: f64 = 0.05;

const FALLBACK: &str = "no rule";

/// Those of the server's rules that are for this service, in their order, and what there is where none fits.
#[derive(Debug)]
pub(super) struct Rules {
    service: Arc<Service>,
    rules: Box<[Rule]>,
    fallback: Arc<Budget>,
    /// Whether the server has sent rules, if none at all.
    is_known: bool,
}

#[derive(Debug)]
struct Rule {
    conditions: Conditions,
    budget: Arc<Budget>,
}

impl Rules {
    /// Before the first ones have come.
    pub(super) fn none_yet(service: Service) -> Self {
        Self {
            service: Arc::new(service),
            rules: Box::default(),
            fallback: Arc::new(Budget::new(FALLBACK.into(), FALLBACK_PER_SECOND, FALLBACK_SHARE)),
            is_known: false,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// What is to be reported at `now`; if it is wished for, also what is not due yet.
    pub(super) fn statistics(&self, now: Instant, is_wished: bool) -> Vec<Statistics> {
        let rules = self.rules.iter();
        rules
            .filter_map(|rule| rule.budget.statistics(now, is_wished))
            .collect()
    }

    /// The server has taken this at `now`.
    pub(super) fn reported(&self, statistics: &Statistics, now: Instant) {
        if let Some(budget) = self.budget(&statistics.rule) {
            budget.reported(statistics.counts, now);
        }
    }

    /// What the server grants a rule. One that is not there is none of ours.
    pub(super) fn grant(&self, target: &Target, now: Instant, epoch_seconds: f64) {
        if let Some(budget) = self.budget(&target.rule) {
            budget.grant(target, now, epoch_seconds);
        }
    }

    fn budget(&self, name: &str) -> Option<&Arc<Budget>> {
        self.budgets().find(|budget| budget.name() == name)
    }

    fn budgets(&self) -> impl Iterator<Item = &Arc<Budget>> {
        self.rules.iter().map(|rule| &rule.budget)
    }
}

impl Active for Rules {
    type Strategy = RuleSet;

    fn followed_by(&self, strategy: &RuleSet, waker: Option<&Waker>) -> Result<Self, BuildError> {
        let rules = strategy.rules.iter().filter_map(|spec| {
            let conditions = Conditions::new(spec, &self.service)?;
            let budget = match self.budget(&spec.name) {
                Some(known) => {
                    known.renew(spec.reservoir_size, spec.fixed_rate);
                    Arc::clone(known)
                }
                None => {
                    let budget = Budget::new(Arc::clone(&spec.name), spec.reservoir_size, spec.fixed_rate);
                    if let Some(waker) = waker {
                        budget.attach(waker);
                    }
                    Arc::new(budget)
                }
            };
            Some(Rule { conditions, budget })
        });
        Ok(Self {
            service: Arc::clone(&self.service),
            rules: rules.collect(),
            fallback: Arc::clone(&self.fallback),
            is_known: true,
        })
    }

    fn tick(&self, now: Instant) -> Option<Self> {
        self.budgets()
            .chain([&self.fallback])
            .for_each(|budget| budget.tick(now));
        None
    }

    fn attach(&self, waker: &Waker) {
        self.budgets()
            .chain([&self.fallback])
            .for_each(|budget| budget.attach(waker));
    }
}

impl ComposableSampler for Rules {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        let request = Request::new(span);
        let fitting = self.rules.iter().find(|rule| {
            let mismatch = rule.conditions.mismatch(&request);
            span.explain(|| match mismatch {
                Some(what) => format!("xray: rule `{}` does not fit: {what}", rule.budget.name()),
                None => format!("xray: rule `{}` fits: it {}", rule.budget.name(), rule.budget.words()),
            });
            mismatch.is_none()
        });
        let Some(rule) = fitting else {
            span.explain(|| {
                let why = if self.is_known {
                    "no rule fits"
                } else {
                    "no rules have come yet"
                };
                format!("xray: {why}: it {}", self.fallback.words())
            });
            return self.fallback.intent(!span.is_rehearsal());
        };
        rule.budget.intent(!span.is_rehearsal())
    }

    fn description(&self) -> String {
        let names: Vec<_> = self.budgets().map(|budget| budget.name()).collect();
        format!("rules [{}]", names.join(","))
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        self.budgets()
            .chain([&self.fallback])
            .for_each(|budget| visit(budget.tally()));
    }
}
