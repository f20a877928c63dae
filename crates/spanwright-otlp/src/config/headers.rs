//! What is sent with each request.

use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use spanwright_core::BuildError;

use crate::percent;

/// Names that the transports set themselves; another value would break the request.
const OURS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

const ACCEPTED_NAME: &str = "an HTTP header's name, other than those that the exporter sets itself";
const ACCEPTED_VALUE: &str = "an HTTP header's value: no control characters";

/// Headers (over gRPC: metadata) for each request. Names are compared without regard to case.
///
/// Values are taken for secrets: `Debug` does not show them, no error repeats them, and HTTP/2 does not index them.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers {
    entries: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header, in place of an earlier one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.set(name.into(), value.into().into_bytes());
    }

    /// The names, in the order in which they were set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| &name[..])
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads the list of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` by commas, values percent-encoded. Answers what is
    /// usable, and the positions (from 1) of the entries that are not.
    ///
    /// # Source
    ///
    /// [W3C Baggage](https://www.w3.org/TR/baggage/#header-content), without properties, as the specification of the exporter says.
    pub(super) fn parse(list: &str) -> (Self, Vec<usize>) {
        let (mut headers, mut unusable) = (Self::new(), Vec::new());
        for (position, entry) in (1..).zip(list.split(',')) {
            let entry = entry.trim();
            // Lists are often put together by scripts, which leave commas at the ends.
            if entry.is_empty() {
                continue;
            }
            let usable = entry
                .split_once('=')
                .map(|(name, value)| (name.trim(), percent::decode(value.trim())))
                .filter(|(name, value)| checked(name, value).is_ok());
            match usable {
                Some((name, value)) => headers.set(name.to_owned(), value),
                None => unusable.push(position),
            }
        }
        (headers, unusable)
    }

    /// The headers as HTTP has them.
    pub(crate) fn to_map(&self) -> Result<HeaderMap, BuildError> {
        self.entries.iter().map(|(name, value)| checked(name, value)).collect()
    }

    /// What must not show in a text that comes from a receiver.
    pub(crate) fn secrets(&self) -> Secrets {
        let mut secrets: Vec<String> = Vec::new();
        for (_, value) in &self.entries {
            let value = String::from_utf8_lossy(value);
            // A receiver that complains about `Bearer abc` may name only `abc`.
            let parts = std::iter::once(&*value).chain(value.split_ascii_whitespace());
            secrets.extend(parts.filter(|part| part.len() >= Secrets::MIN_LEN).map(str::to_owned));
        }
        // The longest first, so that a part does not take the whole apart.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Secrets(secrets)
    }

    fn set(&mut self, name: String, value: Vec<u8>) {
        match self
            .entries
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name))
        {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names().map(|name| (name, "..."))).finish()
    }
}

fn checked(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), BuildError> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .ok()
        .filter(|header| !OURS.contains(header) && !header.as_str().starts_with("grpc-"))
        .ok_or_else(|| BuildError::new("headers", name, ACCEPTED_NAME))?;
    let mut value = HeaderValue::from_bytes(value)
        .map_err(|_| BuildError::new("headers", format!("{name}: ..."), ACCEPTED_VALUE))?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// The values of headers, to be taken out of texts.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Shorter values are no secrets worth the name, and would tear texts apart.
    const MIN_LEN: usize = 6;

    /// The text without any of the secrets.
    pub(crate) fn redact(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| {
            if text.contains(secret) {
                text.replace(secret, "...")
            } else {
                text
            }
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(headers: &Headers, name: &str) -> Vec<u8> {
        headers.to_map().unwrap()[name].as_bytes().to_vec()
    }

    #[test]
    fn a_list_is_read_and_decoded() {
        let (headers, unusable) = Headers::parse("api-key=abc%2C%3d , X-Tenant = a=b;c ,percent=100%,,");
        assert!(unusable.is_empty());
        assert_eq!(value(&headers, "api-key"), b"abc,=");
        assert_eq!(value(&headers, "x-tenant"), b"a=b;c");
        assert_eq!(value(&headers, "percent"), b"100%");
    }

    #[test]
    fn entries_that_are_no_headers_are_told_by_position() {
        let (headers, unusable) =
            Headers::parse("good=1,novalue,bad name=2,line=a%0Ab,content-type=x,grpc-timeout=1,empty=");
        assert_eq!(headers.names().collect::<Vec<_>>(), ["good", "empty"]);
        assert_eq!(unusable, [2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_later_header_replaces_an_earlier_one_of_the_same_name() {
        let (mut headers, _) = Headers::parse("Api-Key=old");
        headers.insert("api-key", "new");
        assert_eq!(
            (headers.names().count(), value(&headers, "api-key")),
            (1, b"new".to_vec())
        );
    }

    #[test]
    fn values_show_in_no_debug_and_in_no_error() {
        let mut headers = Headers::new();
        headers.insert("api-key", "hunter2\n");
        let shown = format!(
            "{headers:?} {:?} {:?}",
            headers.to_map().unwrap_err(),
            headers.secrets()
        );
        assert!(shown.contains("api-key") && !shown.contains("hunter2"), "{shown}");
        headers.insert("api-key", "hunter2");
        assert!(headers.to_map().unwrap()["api-key"].is_sensitive());
    }

    #[test]
    fn secrets_are_taken_out_of_what_a_receiver_says() {
        let mut headers = Headers::new();
        headers.insert("authorization", "Bearer hunter2");
        headers.insert("tenant", "a");
        let redacted = headers
            .secrets()
            .redact("a Bearer hunter2, no such token: hunter2".into());
        assert_eq!(redacted, "a ..., no such token: ...");
    }
}
