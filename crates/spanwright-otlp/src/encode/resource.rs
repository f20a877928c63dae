//! The resource: what every request begins with.
//!
//! Source: [opentelemetry-proto, resource.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/resource/v1/resource.proto).

use opentelemetry::{Key, Value};

use super::draft::Draft;
use super::value::write_attribute;

mod tag {
    use crate::encode::wire::delimited;

    pub(super) const RESOURCE: u8 = delimited(1);
    pub(super) const SCHEMA_URL: u8 = delimited(3);
    pub(super) const ATTRIBUTES: u8 = delimited(1);
}

/// The fields of `ResourceSpans` beside the spans: `resource` and `schema_url`. Limits do not apply to resources.
pub(crate) fn encode_resource<'r>(
    attributes: impl IntoIterator<Item = (&'r Key, &'r Value)> + Copy,
    schema_url: Option<&str>,
) -> Vec<u8> {
    let mut draft = Draft::default();
    let mut encoded = Vec::new();
    draft.append_field(&mut encoded, tag::RESOURCE, |cursor| {
        attributes.into_iter().try_fold(cursor, |cursor, (key, value)| {
            write_attribute(cursor, tag::ATTRIBUTES, key.as_str(), value, usize::MAX)
        })
    });
    if let Some(schema_url) = schema_url.filter(|url| !url.is_empty()) {
        draft.append_field(&mut encoded, tag::SCHEMA_URL, |cursor| {
            cursor.bytes(schema_url.as_bytes())
        });
    }
    encoded
}
