//! How much of a span is kept.
//!
//! # Source
//!
//! [Attribute limits](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#attribute-limits) and
//! [span limits](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#span-limits): where the
//! limit of one kind of thing is not set, that for all kinds holds.

use spanwright_core::Env;

/// The limits that are set. What is not takes the SDK's default: 128 of each, values of any length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) attributes_per_span: Option<u32>,
    pub(crate) attributes_per_event: Option<u32>,
    pub(crate) attributes_per_link: Option<u32>,
    pub(crate) events_per_span: Option<u32>,
    pub(crate) links_per_span: Option<u32>,
    /// In characters.
    pub(crate) attribute_value_length: Option<usize>,
}

impl Limits {
    pub(crate) fn from_env(env: &Env) -> Self {
        let count = |name: &str| -> Option<u32> {
            let range = 0..=u64::from(u32::MAX);
            env.integer(name, range).and_then(|limit| u32::try_from(limit).ok())
        };
        let length = |name: &str| -> Option<usize> {
            let range = 0..=u64::from(u32::MAX);
            env.integer(name, range).and_then(|limit| usize::try_from(limit).ok())
        };
        let attributes = count("OTEL_ATTRIBUTE_COUNT_LIMIT");
        let value_length = length("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        Self {
            attributes_per_span: count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").or(attributes),
            attributes_per_event: count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT").or(attributes),
            attributes_per_link: count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT").or(attributes),
            events_per_span: count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
            links_per_span: count("OTEL_SPAN_LINK_COUNT_LIMIT"),
            attribute_value_length: length("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(value_length),
        }
    }
}
