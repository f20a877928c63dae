//! Where to send to.

use std::borrow::Cow;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use spanwright_core::BuildError;

use super::Protocol;
use crate::defaults::{GRPC_ENDPOINT, HTTP_ENDPOINT};

/// What [`Endpoint::Base`] gets appended for traces.
const TRACES_PATH: &str = "v1/traces";

const ACCEPTED_BY_GRPC: &str =
    "http://host:port, https://host:port or host:port, without user information; unix sockets are not supported";
const ACCEPTED_BY_HTTP: &str =
    "a URL of http or https, for instance http://host:4318, without user information; unix sockets are not supported";

/// An endpoint, as the specification's two kinds of variables name it.
///
/// gRPC takes either kind alike. It has no path: a path or query is ignored. `host:port` without a scheme means https, or http
/// where [`insecure`](crate::OtlpConfig::insecure) is set. Where a URL has no port, that of its scheme (80, 443) is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Endpoint {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the root for all signals. Over HTTP `v1/traces` is appended to its path.
    Base(String),
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: for traces alone. Over HTTP it is used as it is; without a path, the path is `/`.
    Traces(String),
}

impl Endpoint {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Base(text) | Self::Traces(text) => text,
        }
    }

    /// Checks it for `protocol`, and brings it to the URI that requests go to.
    pub(crate) fn resolve(this: Option<&Self>, protocol: Protocol, insecure: bool) -> Result<Uri, BuildError> {
        let default = || {
            Self::Base(match protocol {
                Protocol::Grpc => GRPC_ENDPOINT.to_owned(),
                Protocol::HttpProtobuf => HTTP_ENDPOINT.to_owned(),
            })
        };
        let endpoint = this.map_or_else(|| Cow::Owned(default()), Cow::Borrowed);
        let resolved = match protocol {
            Protocol::Grpc => grpc_uri(endpoint.as_str(), insecure),
            Protocol::HttpProtobuf => http_uri(&endpoint),
        };
        let accepted = match protocol {
            Protocol::Grpc => ACCEPTED_BY_GRPC,
            Protocol::HttpProtobuf => ACCEPTED_BY_HTTP,
        };
        resolved.ok_or_else(|| BuildError::new("endpoint", presentable(endpoint.as_str()), accepted))
    }
}

fn grpc_uri(text: &str, insecure: bool) -> Option<Uri> {
    let scheme = if insecure { Scheme::HTTP } else { Scheme::HTTPS };
    let (scheme, authority) = match parse(text) {
        Some(uri) => (uri.scheme()?.clone(), uri.authority()?.clone()),
        // Without a scheme there must be a port: a bare word is more likely a slip than a host.
        None => (
            scheme,
            text.parse::<Authority>().ok().filter(|it| it.port_u16().is_some())?,
        ),
    };
    build(scheme, authority, PathAndQuery::from_static("/"))
}

fn http_uri(endpoint: &Endpoint) -> Option<Uri> {
    let uri = parse(endpoint.as_str())?;
    let path_and_query = match endpoint {
        Endpoint::Traces(_) => uri.path_and_query()?.clone(),
        Endpoint::Base(_) => {
            let path = uri.path().trim_end_matches('/');
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{path}/{TRACES_PATH}{query}").parse().ok()?
        }
    };
    build(uri.scheme()?.clone(), uri.authority()?.clone(), path_and_query)
}

/// An absolute URI of http or https. `http::Uri` reads `host:4317` as an authority, which is not one.
fn parse(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme()?;
    (*scheme == Scheme::HTTP || *scheme == Scheme::HTTPS).then_some(uri)
}

fn build(scheme: Scheme, authority: Authority, path_and_query: PathAndQuery) -> Option<Uri> {
    // User information would go nowhere: neither transport sends it. And port 0 is no port to connect to.
    if authority.host().is_empty() || authority.as_str().contains('@') || !has_usable_port(&authority) {
        return None;
    }
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path_and_query)
        .build()
        .ok()
}

fn has_usable_port(authority: &Authority) -> bool {
    // `Authority` takes any digits as a port, and `port_u16` is `None` for those that are none.
    let has_colon = authority.as_str().len() > authority.host().len();
    !has_colon || authority.port_u16().is_some_and(|port| port > 0)
}

/// The endpoint as it may stand in an error: user information and query may be credentials.
pub(crate) fn presentable(text: &str) -> String {
    let (address, query) = match text.split_once('?') {
        Some((address, _)) => (address, "?..."),
        None => (text, ""),
    };
    let address = match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        (None, Some((_, host))) => format!("...@{host}"),
        _ => address.to_owned(),
    };
    address + query
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(endpoint: Endpoint, protocol: Protocol) -> Result<String, String> {
        Endpoint::resolve(Some(&endpoint), protocol, false)
            .map(|uri| uri.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn http_appends_the_path_to_a_base_and_takes_an_endpoint_for_traces_as_it_is() {
        for (given, base, traces) in [
            ("http://host:4318", "http://host:4318/v1/traces", "http://host:4318/"),
            ("http://host:4318/", "http://host:4318/v1/traces", "http://host:4318/"),
            ("https://host/otlp", "https://host/otlp/v1/traces", "https://host/otlp"),
            (
                "https://host/otlp/",
                "https://host/otlp/v1/traces",
                "https://host/otlp/",
            ),
            (
                "http://[::1]:4318//",
                "http://[::1]:4318/v1/traces",
                "http://[::1]:4318//",
            ),
            (
                "http://host/in?key=1",
                "http://host/in/v1/traces?key=1",
                "http://host/in?key=1",
            ),
        ] {
            let resolve = |endpoint| resolve(endpoint, Protocol::HttpProtobuf);
            assert_eq!(resolve(Endpoint::Base(given.into())), Ok(base.into()));
            assert_eq!(resolve(Endpoint::Traces(given.into())), Ok(traces.into()));
        }
    }

    #[test]
    fn grpc_has_no_path_and_needs_no_scheme() {
        for (given, resolved) in [
            ("http://host:4317", "http://host:4317/"),
            ("https://host:4317/", "https://host:4317/"),
            ("http://host:4317/v1/traces?a=b", "http://host:4317/"),
            ("host:4317", "https://host:4317/"),
            ("[::1]:4317", "https://[::1]:4317/"),
            ("10.0.0.1:4317", "https://10.0.0.1:4317/"),
        ] {
            for endpoint in [Endpoint::Base(given.into()), Endpoint::Traces(given.into())] {
                assert_eq!(resolve(endpoint, Protocol::Grpc), Ok(resolved.into()));
            }
        }
    }

    #[test]
    fn insecure_is_for_grpc_without_a_scheme_alone() {
        for (given, resolved) in [
            ("host:4317", "http://host:4317/"),
            ("https://host:4317", "https://host:4317/"),
        ] {
            let endpoint = Endpoint::Base(given.into());
            assert_eq!(
                Endpoint::resolve(Some(&endpoint), Protocol::Grpc, true).unwrap(),
                *resolved
            );
        }
    }

    #[test]
    fn the_default_is_a_collector_on_this_machine() {
        for (protocol, resolved) in [
            (Protocol::Grpc, "http://localhost:4317/"),
            (Protocol::HttpProtobuf, "http://localhost:4318/v1/traces"),
        ] {
            assert_eq!(Endpoint::resolve(None, protocol, false).unwrap(), *resolved);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_by_name() {
        for given in [
            "",
            "collector",
            "unix:///run/otel.sock",
            "ftp://host:21",
            "http://",
            "http://:4318",
            "http://ho st:4318",
            "http://host:0",
            "http://host:99999",
            "http://host:",
            "http://user:pass@host:4318",
            "/v1/traces",
        ] {
            for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
                let error = resolve(Endpoint::Base(given.into()), protocol).unwrap_err();
                assert!(error.starts_with("`endpoint` cannot be `"), "{error}");
                assert!(error.contains("unix sockets are not supported"), "{error}");
            }
        }
        assert!(resolve(Endpoint::Base("host:4318".into()), Protocol::HttpProtobuf).is_err());
    }

    #[test]
    fn an_error_does_not_repeat_credentials() {
        assert_eq!(presentable("http://me:secret@host:4318/a"), "http://...@host:4318/a");
        assert_eq!(presentable("me:secret@host:4318"), "...@host:4318");
        assert_eq!(presentable("ftp://host/?token=secret"), "ftp://host/?...");
        assert_eq!(presentable("ftp://host"), "ftp://host");
    }
}
