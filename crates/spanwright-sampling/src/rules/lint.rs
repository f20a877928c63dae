//! Rules that no span reaches.

use std::fmt;

use super::Compiled;
use super::predicate::Test;
use super::subject::Situations;

/// A rule that no span can ever reach.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lint {
    rule: String,
    shadowed_by: Vec<String>,
}

impl Lint {
    /// The rule's name.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The rules before it that take every span that it is for. None if there is no such span, because its predicates contradict
    /// each other.
    pub fn shadowed_by(&self) -> impl Iterator<Item = &str> {
        self.shadowed_by.iter().map(String::as_str)
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, shadowed_by } = self;
        if shadowed_by.is_empty() {
            return write!(f, "rule `{rule}` fits no span: its predicates contradict each other");
        }
        let earlier = shadowed_by.join("`, `");
        write!(
            f,
            "no span reaches rule `{rule}`: `{earlier}` before it takes whatever it is for"
        )
    }
}

/// The rules that cannot be reached, in their order. What it names is certain; it does not find everything.
pub(super) fn check(rules: &[Compiled]) -> Vec<Lint> {
    let checked = rules.iter().enumerate().filter_map(|(index, rule)| {
        let shadowed_by = if rule.contradicts_itself() {
            Vec::new()
        } else {
            rule.shadows(&rules[..index])?
        };
        Some(Lint {
            rule: rule.tally.name().to_owned(),
            shadowed_by: shadowed_by.iter().map(|rule| rule.tally.name().to_owned()).collect(),
        })
    });
    checked.collect()
}

impl Compiled {
    fn contradicts_itself(&self) -> bool {
        let mut tests = self.tests.iter().enumerate();
        self.situations.is_empty()
            || tests.any(|(index, test)| {
                test.is_never() || self.tests[..index].iter().any(|earlier| earlier.excludes(test))
            })
    }

    /// The earlier rules that leave nothing for this one, if they do. It may take several, each for some kinds or parents.
    fn shadows<'r>(&self, earlier: &'r [Self]) -> Option<Vec<&'r Self>> {
        let mut left = self.situations;
        let mut shadows = Vec::new();
        for rule in earlier {
            if rule.takes_all_of(self) && !left.and(rule.situations).is_empty() {
                left = left.and(rule.situations.complement());
                shadows.push(rule);
            }
        }
        (left == Situations::NONE).then_some(shadows)
    }

    /// Whether it fits every span that `other` fits, as far as kind and parent go.
    fn takes_all_of(&self, other: &Self) -> bool {
        let is_given = |test: &Test| test.is_always() || other.tests.iter().any(|known| known.implies(test));
        self.tests.iter().all(is_given)
    }
}
