//! Which spans a rule is for.

use super::pattern::Pattern;
use super::request::Request;
use super::service::Service;
use super::strategy::RuleSpec;
use crate::rules::any_text;

/// The rule that fits every span of every service, whatever else it says.
const DEFAULT: &str = "Default";

/// What a rule asks of a span of this service.
#[derive(Debug)]
pub(super) struct Conditions {
    method: Pattern,
    path: Pattern,
    host: Pattern,
    attributes: Box<[(Box<str>, Pattern)]>,
}

impl Conditions {
    /// `None` if the rule is not for `service`.
    pub(super) fn new(rule: &RuleSpec, service: &Service) -> Option<Self> {
        if &*rule.name == DEFAULT {
            return Some(Self {
                method: Pattern::new("*"),
                path: Pattern::new("*"),
                host: Pattern::new("*"),
                attributes: Box::default(),
            });
        }
        let is_for_it = Pattern::new(&rule.service_name).fits(&service.name)
            && Pattern::new(&rule.service_type).fits_any(service.kind)
            && Pattern::new(&rule.resource_arn).fits_any(service.arn.as_deref());
        let attributes = rule.attributes.iter();
        is_for_it.then(|| Self {
            method: Pattern::new(&rule.method),
            path: Pattern::new(&rule.path),
            host: Pattern::new(&rule.host),
            attributes: attributes
                .map(|(name, pattern)| (name.as_str().into(), Pattern::new(pattern)))
                .collect(),
        })
    }

    /// What does not fit, in X-Ray's words, if anything.
    ///
    /// An attribute that a rule names must be there, whatever its pattern. What is not text is matched as it is written.
    ///
    /// # Cost
    ///
    /// No allocation; a search of the attributes for each that is asked for, but for method, path and host once for all rules.
    pub(super) fn mismatch(&self, request: &Request<'_, '_>) -> Option<&str> {
        if !self.method.is_everything() && !self.method.fits_any(request.method()) {
            return Some("HTTPMethod");
        }
        if !self.path.is_everything() && !self.path.fits_any(request.path()) {
            return Some("URLPath");
        }
        if !self.host.is_everything() && !self.host.fits_any(request.host()) {
            return Some("Host");
        }
        let mut attributes = self.attributes.iter();
        let failed = attributes.find(|(name, pattern)| {
            let value = request.attribute(name);
            !value.is_some_and(|value| any_text(value, |text| pattern.fits(text)))
        });
        failed.map(|(name, _)| &**name)
    }
}
