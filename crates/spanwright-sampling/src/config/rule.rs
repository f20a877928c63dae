//! A rule as a configuration has it.

use opentelemetry::trace::SpanKind;
use spanwright_core::BuildError;

use super::settings::Node;
use crate::rules::Predicate;
use crate::span::ParentOrigin;

/// All that it says must fit. What it does not speak of fits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleNode {
    pub(super) name: Option<String>,
    pub(super) span_names: Vec<String>,
    pub(super) span_name_patterns: Option<Patterns>,
    pub(super) span_kinds: Vec<SpanKind>,
    pub(super) parents: Vec<ParentOrigin>,
    pub(super) attribute_values: Option<(String, Vec<String>)>,
    pub(super) attribute_patterns: Option<(String, Patterns)>,
    pub(super) sampler: Node,
}

/// Some of the included ones, if there are any, and none of the excluded ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Patterns {
    pub(super) included: Vec<String>,
    pub(super) excluded: Vec<String>,
}

impl RuleNode {
    /// What it is counted and explained by, as the rule of this place.
    pub(super) fn name_at(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("rules[{index}]"))
    }

    /// What must be true of a span.
    pub(super) fn predicates(&self) -> Result<Vec<Predicate>, BuildError> {
        let mut predicates = Vec::new();
        if !self.span_kinds.is_empty() {
            predicates.push(Predicate::kinds(self.span_kinds.iter().cloned()));
        }
        if !self.parents.is_empty() {
            predicates.push(Predicate::parents(self.parents.iter().copied()));
        }
        if !self.span_names.is_empty() {
            predicates.push(Predicate::any(self.span_names.iter().map(Predicate::name)));
        }
        if let Some(patterns) = &self.span_name_patterns {
            let any = |patterns: &[String]| {
                let patterns = patterns.iter().map(Predicate::name_glob);
                let patterns: Result<Vec<_>, _> = patterns.collect();
                patterns
                    .map(Predicate::any)
                    .map_err(|error| BuildError::new("span_name_patterns", error.value(), error.accepted().to_owned()))
            };
            if !patterns.included.is_empty() {
                predicates.push(any(&patterns.included)?);
            }
            if !patterns.excluded.is_empty() {
                predicates.push(Predicate::not(any(&patterns.excluded)?));
            }
        }
        if let Some((key, values)) = &self.attribute_values {
            predicates.push(Predicate::attribute_values(key, values));
        }
        if let Some((key, patterns)) = &self.attribute_patterns {
            predicates.push(Predicate::attribute_patterns(
                key,
                &patterns.included,
                &patterns.excluded,
            )?);
        }
        Ok(predicates)
    }
}
