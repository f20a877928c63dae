//! What a person should know and no return value can tell.

use std::fmt;

use spanwright_core::{Event, IgnoredVariable, Observer};
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// Tells of variables that could not be used, each once.
pub(crate) fn variables_ignored(variables: &[IgnoredVariable], observer: Option<&dyn Observer>) {
    for variable in variables {
        match observer {
            Some(observer) => observer.event(&Event::VariableIgnored(variable)),
            None => warn(format_args!("{variable}")),
        }
    }
}

/// Goes where warnings of this program go. A pipeline is often built before the subscriber that its tracer belongs to, so that
/// there is none to hear about the pipeline's own settings: what nobody else would hear goes to standard error.
pub(crate) fn warn(message: fmt::Arguments<'_>) {
    if dispatcher::get_default(|subscriber| subscriber.is::<NoSubscriber>()) {
        eprintln!("spanwright: {message}");
    } else {
        tracing::warn!(target: "spanwright", "{message}");
    }
}
