//! What a rule says of a text.

use crate::rules::Glob;

/// A pattern with wildcards in which case does not count.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// `None` fits everything, also what is not there.
    glob: Option<Glob>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        let glob = Glob::ignoring_case(pattern);
        Self {
            glob: (!glob.is_everything()).then_some(glob),
        }
    }

    /// Whether it says nothing.
    pub(super) fn is_everything(&self) -> bool {
        self.glob.is_none()
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        self.glob.as_ref().is_none_or(|glob| glob.matches(text))
    }

    /// Whether it fits a text that may not be there.
    pub(super) fn fits_any(&self, text: Option<&str>) -> bool {
        self.is_everything() || text.is_some_and(|text| self.fits(text))
    }
}
