//! A span as a request over HTTP.

use std::cell::OnceCell;

use opentelemetry::Value;

use crate::span::StartingSpan;

const METHODS: [&str; 2] = ["http.request.method", "http.method"];
const PATHS: [&str; 2] = ["url.path", "http.target"];
const URLS: [&str; 2] = ["url.full", "http.url"];
const HOSTS: [&str; 3] = ["server.address", "net.host.name", "http.host"];

/// What rules ask of a span, each looked up once. Of several names of an attribute the current one goes first.
pub(super) struct Request<'s, 'a> {
    span: &'s StartingSpan<'a>,
    method: OnceCell<Option<&'a str>>,
    path: OnceCell<Option<&'a str>>,
    host: OnceCell<Option<&'a str>>,
}

impl<'s, 'a> Request<'s, 'a> {
    pub(super) fn new(span: &'s StartingSpan<'a>) -> Self {
        Self {
            span,
            method: OnceCell::new(),
            path: OnceCell::new(),
            host: OnceCell::new(),
        }
    }

    pub(super) fn method(&self) -> Option<&'a str> {
        *self.method.get_or_init(|| self.first_of(&METHODS))
    }

    /// Without a query.
    pub(super) fn path(&self) -> Option<&'a str> {
        let find = || match self.first_of(&PATHS) {
            Some(target) => Some(without_query(target)),
            None => self.first_of(&URLS).map(path_of),
        };
        *self.path.get_or_init(find)
    }

    pub(super) fn host(&self) -> Option<&'a str> {
        *self.host.get_or_init(|| self.first_of(&HOSTS))
    }

    /// If it was given twice the last one counts.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a Value> {
        let attributes = self.span.attributes().iter();
        let found = attributes.rev().find(|attribute| attribute.key.as_str() == name);
        found.map(|attribute| &attribute.value)
    }

    fn first_of(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| match self.attribute(name) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Of a URL with a scheme and a host, or without.
fn path_of(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = without_query(behind_scheme);
    rest.find('/').map_or("/", |start| &rest[start..])
}

fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::SpanKind;
    use opentelemetry::{KeyValue, TraceId};

    fn facts(attributes: &[(&'static str, &'static str)]) -> [Option<String>; 3] {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| KeyValue::new(*key, *value))
            .collect();
        let span = StartingSpan::new(None, TraceId::from(1), "/x", &SpanKind::Server).with_details(&attributes, &[]);
        let request = Request::new(&span);
        [request.method(), request.path(), request.host()].map(|fact| fact.map(str::to_owned))
    }

    #[test]
    fn names_of_today_go_before_those_of_yesterday() {
        let own = |facts: [Option<&str>; 3]| facts.map(|fact| fact.map(str::to_owned));
        assert_eq!(facts(&[]), own([None, None, None]));
        let old = [
            ("http.method", "GET"),
            ("http.target", "/a?b=c#d"),
            ("http.host", "h:1"),
        ];
        assert_eq!(facts(&old), own([Some("GET"), Some("/a"), Some("h:1")]));
        let new = [
            ("http.request.method", "PUT"),
            ("url.path", "/n"),
            ("server.address", "s"),
        ];
        let both = [old, new].concat();
        assert_eq!(facts(&both), own([Some("PUT"), Some("/n"), Some("s")]));
        assert_eq!(
            facts(&[("net.host.name", "n"), ("http.host", "h")])[2].as_deref(),
            Some("n")
        );
    }

    #[test]
    fn a_url_has_a_path() {
        for (url, path) in [
            ("http://host/a/b?c=/d", "/a/b"),
            ("https://host", "/"),
            ("https://host?a=/b", "/"),
            ("host/a#b", "/a"),
            ("/a", "/a"),
            ("", "/"),
            ("://", "/"),
        ] {
            assert_eq!(facts(&[("url.full", url)])[1].as_deref(), Some(path), "{url}");
        }
    }
}
