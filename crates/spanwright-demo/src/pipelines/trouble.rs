//! What went wrong last.

use std::error::Error;

use parking_lot::Mutex;
use spanwright_core::{Event, Observer};

use crate::failure::chain;

/// Keeps the last failure in words; of Spanwright it hears as an observer.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    last: Mutex<Option<String>>,
    disk: Mutex<Option<String>>,
}

impl Trouble {
    pub(super) fn last(&self) -> Option<String> {
        self.last.lock().clone()
    }

    /// Why the disk takes no requests, if it does not.
    pub(super) fn of_disk(&self) -> Option<String> {
        self.disk.lock().clone()
    }

    pub(super) fn note(&self, error: &(dyn Error + 'static)) {
        self.say(chain(error));
    }

    fn say(&self, words: String) {
        *self.last.lock() = Some(words);
    }
}

impl Observer for Trouble {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::ExportFailed { error, .. } => self.note(*error),
            Event::ExporterPanicked { message, .. } => self.say(format!("the exporter panicked: {message}")),
            Event::PartialSuccess { message, .. } => self.say(format!("the receiver took a part only: {message}")),
            Event::SpoolDegraded { error } => *self.disk.lock() = Some(error.to_string()),
            Event::SpoolRecovered { .. } => *self.disk.lock() = None,
            // Nobody else tells, as soon as there is an observer.
            Event::VariableIgnored(variable) => eprintln!("{variable}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_works_again_is_no_trouble() {
        let trouble = Trouble::default();
        let error = std::io::Error::other("full");
        trouble.event(&Event::SpoolDegraded { error: &error });
        assert_eq!(trouble.of_disk().as_deref(), Some("full"));
        let outage = std::time::Duration::from_secs(1);
        trouble.event(&Event::SpoolRecovered { outage });
        assert_eq!((trouble.of_disk(), trouble.last()), (None, None));
    }

    #[test]
    fn the_last_failure_is_kept() {
        let trouble = Trouble::default();
        assert_eq!(trouble.last(), None);
        trouble.note(&std::io::Error::other("no"));
        trouble.event(&Event::PartialSuccess {
            rejected: 3,
            message: "too old",
        });
        trouble.event(&Event::QueueHigh { utilization: 0.9 });
        assert_eq!(
            trouble.last().as_deref(),
            Some("the receiver took a part only: too old")
        );
    }
}
