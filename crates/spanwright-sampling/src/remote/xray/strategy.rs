//! The rules as a server sends them.

use std::fmt;
use std::sync::Arc;

/// How many rules are named in words.
const NAMED: usize = 8;

/// Rules in the order in which they are asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleSet {
    pub(super) rules: Vec<RuleSpec>,
}

/// One rule, whose every number has been checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleSpec {
    pub(super) name: Arc<str>,
    /// Lower ones are asked first.
    pub(super) priority: u32,
    /// The share of what the reservoir does not keep, 0 to 1.
    pub(super) fixed_rate: f64,
    /// So many per second, of all services together; finite, from 0.
    pub(super) reservoir_size: f64,
    pub(super) service_name: String,
    pub(super) service_type: String,
    pub(super) resource_arn: String,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) path: String,
    /// Names, and patterns of values.
    pub(super) attributes: Vec<(String, String)>,
}

impl RuleSet {
    /// Sorts by priority, then by name. Of two with one name the later one counts.
    pub(super) fn new(mut rules: Vec<RuleSpec>) -> Self {
        rules.reverse();
        rules.sort_by(|one, other| one.name.cmp(&other.name));
        rules.dedup_by(|later, kept| later.name == kept.name);
        rules.sort_by_key(|rule| rule.priority);
        Self { rules }
    }
}

impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.rules.len() == 1 { "" } else { "s" };
        write!(f, "{} rule{s}", self.rules.len())?;
        for (index, rule) in self.rules.iter().take(NAMED).enumerate() {
            let separator = if index == 0 { ":" } else { "," };
            write!(f, "{separator} `{}`", rule.name)?;
        }
        if self.rules.len() > NAMED {
            f.write_str(", ..")?;
        }
        Ok(())
    }
}
