//! What the tail may know of a span.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

/// A span that has ended: what tail policies may know of it. Borrowed and small.
#[derive(Clone, Copy, Debug)]
pub struct TailSpan<'a> {
    context: &'a SpanContext,
    name: &'a str,
    attributes: &'a [KeyValue],
    duration: Duration,
    is_local_root: bool,
    is_error: bool,
}

impl<'a> TailSpan<'a> {
    /// A span of this name, with a parent in this process, without attributes or an error, that took no time.
    #[must_use]
    pub fn new(context: &'a SpanContext, name: &'a str) -> Self {
        Self {
            context,
            name,
            attributes: &[],
            duration: Duration::ZERO,
            is_local_root: false,
            is_error: false,
        }
    }

    /// The same with these attributes.
    #[must_use]
    pub fn with_attributes(self, attributes: &'a [KeyValue]) -> Self {
        Self { attributes, ..self }
    }

    /// The same as one that took so long.
    #[must_use]
    pub fn with_duration(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }

    /// The same with or without a parent in this process.
    #[must_use]
    pub fn with_local_root(self, is_local_root: bool) -> Self {
        Self { is_local_root, ..self }
    }

    /// The same with or without the status error.
    #[must_use]
    pub fn with_error(self, is_error: bool) -> Self {
        Self { is_error, ..self }
    }

    /// Its context.
    #[must_use]
    pub fn context(&self) -> &'a SpanContext {
        self.context
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> &'a [KeyValue] {
        self.attributes
    }

    /// From its start to its end; zero if a clock went back.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether its parent is in another process, or there is none.
    #[must_use]
    pub fn is_local_root(&self) -> bool {
        self.is_local_root
    }

    /// Whether its status is error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.is_error
    }
}
