//! Why the demo could not do what it was asked.

use std::error::Error;

use spanwright_core::BuildError;

/// What went wrong, in words for the person at the terminal.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The same with all that led to it, on one line.
pub(crate) fn chain(failure: &(dyn Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their source in their own text.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Whether the person who called chose a value that cannot be used, and can choose another.
pub(crate) fn is_usage(failure: &(dyn Error + 'static)) -> bool {
    failure.is::<BuildError>()
}
