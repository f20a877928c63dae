//! What went wrong last.

use std::error::Error;

use parking_lot::Mutex;
use spanwright_core::{Event, Observer};

use crate::failure::chain;

/// Keeps the last failure in words; of Spanwright it hears as an observer.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    pub(super) fn last(&self) -> Option<String> {
        self.0.lock().clone()
    }

    pub(super) fn note(&self, error: &(dyn Error + 'static)) {
        self.say(chain(error));
    }

    fn say(&self, words: String) {
        *self.0.lock() = Some(words);
    }
}

impl Observer for Trouble {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::ExportFailed { error, .. } => self.note(*error),
            Event::ExporterPanicked { message, .. } => self.say(format!("the exporter panicked: {message}")),
            Event::PartialSuccess { message, .. } => self.say(format!("the receiver took a part only: {message}")),
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
