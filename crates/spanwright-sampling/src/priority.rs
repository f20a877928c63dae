//! The share of traces that is kept, by what their first span is called.

use spanwright_core::BuildError;

use crate::composable::{ParentThreshold, Probability};
use crate::composite::CompositeSampler;
use crate::rules::{Predicate, Rule, RuleBased, RuleBasedBuilder};

/// Keeps a share of the traces, by what the name of their first span contains; the parent's decision counts for all other spans.
///
/// ```
/// use spanwright_sampling::PrioritySampler;
///
/// let sampler = PrioritySampler::builder()
///     .with_priority("checkout", 1.0)
///     .with_priority("health", 0.001)
///     .with_default_ratio(0.1)
///     .build()?;
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
///
/// Rules by more than the name: [`RuleBased`], which this is made of. `sampler.composable().root()` is the rules, with their
/// counts and their lints.
pub type PrioritySampler = CompositeSampler<ParentThreshold<RuleBased>>;

/// Makes a [`PrioritySampler`].
#[derive(Clone, Debug)]
pub struct PrioritySamplerBuilder {
    priorities: Vec<(String, f64)>,
    default_ratio: f64,
}

/// The name of the rule for traces that no priority is for.
const DEFAULT_RULE: &str = "default";

/// What nobody has thought about is not lost.
const DEFAULT_RATIO: f64 = 1.0;

impl PrioritySampler {
    /// No priority yet.
    #[must_use]
    pub fn builder() -> PrioritySamplerBuilder {
        PrioritySamplerBuilder {
            priorities: Vec::new(),
            default_ratio: DEFAULT_RATIO,
        }
    }
}

impl PrioritySamplerBuilder {
    /// Of the traces whose first span has `part` in its name, keep the share `ratio`, 0 to 1. The first priority that fits counts.
    /// Case counts, and nothing in `part` is a wildcard.
    #[must_use]
    pub fn with_priority(mut self, part: impl Into<String>, ratio: f64) -> Self {
        self.priorities.push((part.into(), ratio));
        self
    }

    /// Of all other traces, keep the share `ratio`, 0 to 1. Default: 1, so that nothing is dropped that nobody has thought about.
    #[must_use]
    pub fn with_default_ratio(mut self, ratio: f64) -> Self {
        self.default_ratio = ratio;
        self
    }

    /// The sampler.
    ///
    /// # Errors
    ///
    /// A ratio outside of 0 to 1, or NaN; a part that is empty, longer than 1 024 bytes, or given twice.
    pub fn build(self) -> Result<PrioritySampler, BuildError> {
        let rules = RuleBased::builder();
        let rules = self.priorities.into_iter().try_fold(rules, with_priority)?;
        let rest = probability("default_ratio", self.default_ratio)?;
        let rules = rules.rule(Rule::new(DEFAULT_RULE).then(rest)).build()?;
        Ok(CompositeSampler::new(ParentThreshold::new(rules)))
    }
}

fn with_priority(rules: RuleBasedBuilder, (part, ratio): (String, f64)) -> Result<RuleBasedBuilder, BuildError> {
    if part.is_empty() {
        return Err(BuildError::new("priority", part, "a part of a span's name, not empty"));
    }
    let sampler = probability(&format!("priority[{part}]"), ratio)?;
    let predicate = Predicate::name_contains(&part);
    Ok(rules.rule(
        Rule::new(format!("name contains `{part}`"))
            .when(predicate)
            .then(sampler),
    ))
}

fn probability(field: &str, ratio: f64) -> Result<Probability, BuildError> {
    Probability::new(ratio)
        .map_err(|error| BuildError::new(field.to_owned(), error.value(), error.accepted().to_owned()))
}
