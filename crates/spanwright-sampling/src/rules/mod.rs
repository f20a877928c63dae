//! Different spans, different samplers.
//!
//! # Source
//!
//! [SDK, ComposableRuleBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablerulebased).

mod fingerprint;
mod glob;
mod implication;
mod lint;
mod pattern;
mod predicate;
mod rule;
mod subject;
mod text_form;

use std::fmt;

use spanwright_core::BuildError;

use self::fingerprint::Fingerprint;
#[cfg(feature = "remote")]
pub(crate) use self::glob::Glob;
pub use self::lint::Lint;
use self::predicate::Test;
pub use self::predicate::{IntoPredicate, Predicate};
pub use self::rule::Rule;
use self::subject::{Situations, Subject};
#[cfg(feature = "remote")]
pub(crate) use self::text_form::any_text;
use crate::composable::ComposableSampler;
use crate::intent::Intent;
use crate::reason::Reason;
use crate::span::StartingSpan;
use crate::tally::Tally;

/// Asks the sampler of the first rule that fits the span. Wants no span that fits none.
///
/// ```
/// use opentelemetry::trace::SpanKind;
/// use spanwright_sampling::{AlwaysOff, AlwaysOn, CompositeSampler, ParentThreshold, Predicate, Probability, Rule, RuleBased};
///
/// let rules = RuleBased::builder()
///     .rule(Rule::new("health").when(Predicate::name("GET /health")).then(AlwaysOff))
///     .rule(
///         Rule::new("checkout")
///             .when(Predicate::name_glob("* /checkout*"))
///             .when(Predicate::kinds([SpanKind::Server]))
///             .then(AlwaysOn),
///     )
///     .rule(Rule::new("rest").then(Probability::new(0.1)?))
///     .build()?;
/// assert!(rules.lints().is_empty(), "each rule can be reached");
/// let sampler = CompositeSampler::new(ParentThreshold::new(rules));
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// # Cost
///
/// No allocation and no lock. A rule that is for other kinds or other parents costs a comparison; each attribute is looked up
/// once for all rules (of the first eight keys). `cargo xtask bench`, group `sampling`.
#[derive(Debug)]
pub struct RuleBased {
    /// One for each rule, side by side in memory: most rules are told by them alone.
    gates: Box<[Gate]>,
    /// Whether a gate looks at names.
    checks_names: bool,
    rules: Box<[Compiled]>,
    lints: Box<[Lint]>,
}

/// Makes a [`RuleBased`].
#[derive(Debug, Default)]
pub struct RuleBasedBuilder {
    rules: Vec<Rule<Box<dyn ComposableSampler>>>,
    denies_unreachable: bool,
}

/// What a span must have for its rule to be worth asking.
#[derive(Clone, Copy, Debug)]
struct Gate {
    situations: Situations,
    name: Fingerprint,
}

/// A rule, ready to be asked.
#[derive(Debug)]
struct Compiled {
    tally: Tally,
    /// Where it may fit at all.
    situations: Situations,
    /// The rest of the conditions, cheap ones first.
    tests: Box<[Test]>,
    /// All of them as they were given.
    predicates: Box<[Predicate]>,
    sampler: Box<dyn ComposableSampler>,
}

impl RuleBased {
    /// No rule yet.
    #[must_use]
    pub fn builder() -> RuleBasedBuilder {
        RuleBasedBuilder::default()
    }

    /// The rules' names and counts, in their order.
    pub fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.rules.iter().map(|rule| &rule.tally)
    }

    /// The rules that no span can ever reach.
    #[must_use]
    pub fn lints(&self) -> &[Lint] {
        &self.lints
    }

    fn first_match(&self, span: &StartingSpan<'_>) -> Option<&Compiled> {
        let mut subject = Subject::new(span);
        let name = if self.checks_names {
            Fingerprint::of(span.name())
        } else {
            Fingerprint::FULL
        };
        let mut rules = self.gates.iter().zip(&self.rules);
        let mut is_taken = |gate: &Gate, rule: &Compiled| {
            gate.situations.contains(subject.situation) && name.may_contain(gate.name) && rule.fits(&mut subject)
        };
        rules.find(|(gate, rule)| is_taken(gate, rule)).map(|(_, rule)| rule)
    }

    fn explain(&self, span: &StartingSpan<'_>) {
        let mut subject = Subject::new(span);
        for rule in &self.rules {
            let name = rule.tally.name();
            let mut predicates = rule.predicates.iter();
            let Some(failed) = predicates.find(|predicate| !predicate.0.matches(&mut subject)) else {
                span.explain(|| format!("rule `{name}` fits"));
                return;
            };
            span.explain(|| format!("rule `{name}` does not fit: it asks whether {failed}"));
        }
        span.explain(|| "no rule fits".to_owned());
    }
}

impl RuleBasedBuilder {
    /// One more rule. Earlier ones go first.
    #[must_use]
    pub fn rule(mut self, rule: Rule<impl ComposableSampler>) -> Self {
        self.rules.push(Rule {
            name: rule.name,
            predicates: rule.predicates,
            sampler: Box::new(rule.sampler),
        });
        self
    }

    /// Whether it is an error if a rule can never be reached. Default: no, [`lints`](RuleBased::lints) says so.
    #[must_use]
    pub fn with_deny_unreachable(mut self, denies: bool) -> Self {
        self.denies_unreachable = denies;
        self
    }

    /// The sampler.
    ///
    /// # Errors
    ///
    /// A predicate could not be made; two rules have one name; with `deny_unreachable`, a rule can never be reached.
    pub fn build(self) -> Result<RuleBased, BuildError> {
        let mut rules: Vec<Compiled> = Vec::with_capacity(self.rules.len());
        for rule in self.rules {
            if rules.iter().any(|earlier| earlier.tally.name() == &*rule.name) {
                return Err(BuildError::new(
                    "rules.name",
                    rule.name,
                    "a name that no other rule has",
                ));
            }
            rules.push(Compiled::new(rule)?);
        }
        number_keys(&mut rules);
        let lints = lint::check(&rules);
        if let Some(lint) = lints.first().filter(|_| self.denies_unreachable) {
            let accepted = format!("rules that can be reached, but {lint}");
            return Err(BuildError::new("rules", lint.rule(), accepted));
        }
        let gates: Box<[_]> = rules.iter().map(Compiled::gate).collect();
        Ok(RuleBased {
            checks_names: gates.iter().any(|gate| gate.name != Fingerprint::default()),
            gates,
            rules: rules.into(),
            lints: lints.into(),
        })
    }
}

impl Compiled {
    fn new(rule: Rule<Box<dyn ComposableSampler>>) -> Result<Self, BuildError> {
        let predicates = rule.predicates.map_err(|error| {
            let field = format!("rules[{}].{}", rule.name, error.field());
            BuildError::new(field, error.value(), error.accepted().to_owned()).with_source(error)
        })?;
        let mut situations = Situations::ALL;
        let mut tests = Vec::new();
        for Predicate(test) in &predicates {
            match test.as_situations() {
                Some(asked) => situations = situations.and(asked),
                None => tests.push(test.clone()),
            }
        }
        tests.sort_by_key(Test::cost);
        Ok(Self {
            tally: Tally::new(rule.name),
            situations,
            tests: tests.into(),
            predicates: predicates.into(),
            sampler: rule.sampler,
        })
    }

    fn gate(&self) -> Gate {
        let names = self.tests.iter().map(Test::name_fingerprint);
        Gate {
            situations: self.situations,
            name: names.fold(Fingerprint::default(), Fingerprint::and),
        }
    }

    /// Whether the span, which is past the gate, fits.
    fn fits(&self, subject: &mut Subject<'_, '_>) -> bool {
        self.tests.iter().all(|test| test.matches(subject))
    }
}

/// Gives each key that is asked for a number of its own.
fn number_keys(rules: &mut [Compiled]) {
    let mut names: Vec<Box<str>> = Vec::new();
    for test in rules.iter_mut().flat_map(|rule| &mut rule.tests) {
        test.keys_mut(&mut |key| {
            let known = names.iter().position(|name| *name == key.name);
            key.slot = known.unwrap_or_else(|| {
                names.push(key.name.clone());
                names.len() - 1
            });
        });
    }
}

impl ComposableSampler for RuleBased {
    fn sampling_intent<'a>(&'a self, span: &StartingSpan<'a>) -> Intent<'a> {
        if span.is_rehearsal() {
            self.explain(span);
        }
        match self.first_match(span) {
            Some(rule) => rule.sampler.sampling_intent(span).by_rule(&rule.tally),
            None => Intent::drop(Reason::NoRule),
        }
    }

    fn description(&self) -> String {
        let rules: Vec<_> = self.rules.iter().map(Compiled::to_string).collect();
        format!("ComposableRuleBased{{[{}]}}", rules.join(","))
    }

    fn visit_tallies(&self, visit: &mut dyn FnMut(&Tally)) {
        for rule in &self.rules {
            visit(&rule.tally);
            rule.sampler.visit_tallies(visit);
        }
    }
}

impl fmt::Display for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}:{})", self.tally.name(), self.sampler.description())
    }
}
