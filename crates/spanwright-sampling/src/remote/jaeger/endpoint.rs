//! Whom to ask.

use spanwright_core::BuildError;

use crate::remote::address::Address;

const ACCEPTED: &str =
    "http://host:port, over HTTP also with a path, or host:port; without user information, and without TLS";

/// Where Jaeger, and an OpenTelemetry Collector, serve strategies over HTTP.
const HTTP_PORT: u16 = 5778;
const HTTP_PATH: &str = "/sampling";

/// How a server is asked for a strategy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum JaegerProtocol {
    /// `jaeger.api_v2.SamplingManager/GetSamplingStrategy`.
    Grpc,
    /// `GET {endpoint}?service={name}`.
    Http,
}

/// An endpoint that can be connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Endpoint {
    pub(super) protocol: JaegerProtocol,
    pub(super) address: Address,
    /// Of the request, with the service's name where the protocol has it there.
    pub(super) path_and_query: String,
}

impl JaegerProtocol {
    /// Where a server on this host is, if nobody says otherwise.
    #[must_use]
    pub const fn default_endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://localhost:14250",
            Self::Http => "http://localhost:5778/sampling",
        }
    }
}

impl Endpoint {
    /// Without a protocol, an endpoint with a path or with HTTP's port is one of HTTP, and any other one of gRPC, as in the
    /// specification.
    pub(super) fn resolve(
        endpoint: Option<&str>,
        protocol: Option<JaegerProtocol>,
        service_name: &str,
    ) -> Result<Self, BuildError> {
        let given = endpoint.unwrap_or_else(|| protocol.unwrap_or(JaegerProtocol::Grpc).default_endpoint());
        let refused = || Address::refused(given, ACCEPTED);
        let (address, uri) = Address::parse(given, ACCEPTED)?;
        let has_path = uri.path() != "/" || uri.query().is_some();
        let protocol = protocol.unwrap_or(if has_path || address.port == HTTP_PORT {
            JaegerProtocol::Http
        } else {
            JaegerProtocol::Grpc
        });
        let path_and_query = match protocol {
            JaegerProtocol::Grpc if has_path => return Err(refused()),
            JaegerProtocol::Grpc => "/jaeger.api_v2.SamplingManager/GetSamplingStrategy".to_owned(),
            JaegerProtocol::Http => {
                let path = if uri.path() == "/" { HTTP_PATH } else { uri.path() };
                let query = uri.query().map(|query| format!("{query}&")).unwrap_or_default();
                format!("{path}?{query}service={}", percent_encoded(service_name))
            }
        };
        Ok(Self {
            protocol,
            address,
            path_and_query,
        })
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(endpoint: Option<&str>, protocol: Option<JaegerProtocol>) -> Result<String, String> {
        let resolved = Endpoint::resolve(endpoint, protocol, "my service/\u{e9}");
        let resolved = resolved.map_err(|error| error.to_string())?;
        let Endpoint {
            protocol,
            address: Address { host, port, .. },
            path_and_query,
        } = resolved;
        Ok(format!("{protocol:?} {host} {port} {path_and_query}"))
    }

    const GRPC: &str = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy";
    const SERVICE: &str = "service=my%20service%2F%C3%A9";

    #[test]
    fn the_protocol_follows_from_the_endpoint_where_it_is_not_said() {
        for (endpoint, resolved) in [
            (None, format!("Grpc localhost 14250 {GRPC}")),
            (Some("http://host:14250"), format!("Grpc host 14250 {GRPC}")),
            (Some("host:14250"), format!("Grpc host 14250 {GRPC}")),
            (Some("[::1]:14250"), format!("Grpc ::1 14250 {GRPC}")),
            (Some("http://host:5778"), format!("Http host 5778 /sampling?{SERVICE}")),
            (Some("host:5778/"), format!("Http host 5778 /sampling?{SERVICE}")),
            (
                Some("http://host:14268/api/sampling"),
                format!("Http host 14268 /api/sampling?{SERVICE}"),
            ),
            (
                Some("http://host/s?tenant=a"),
                format!("Http host 80 /s?tenant=a&{SERVICE}"),
            ),
        ] {
            assert_eq!(resolve(endpoint, None), Ok(resolved), "{endpoint:?}");
        }
        let http = Some(JaegerProtocol::Http);
        assert_eq!(
            resolve(None, http),
            Ok(format!("Http localhost 5778 /sampling?{SERVICE}"))
        );
        assert_eq!(resolve(Some("a:1"), http), Ok(format!("Http a 1 /sampling?{SERVICE}")));
        let grpc = Some(JaegerProtocol::Grpc);
        assert_eq!(resolve(Some("a:5778"), grpc), Ok(format!("Grpc a 5778 {GRPC}")));
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_its_secrets() {
        for endpoint in [
            "",
            "collector",
            "https://host:1",
            "unix:///a",
            "http://:1",
            "host:0",
            "host:99999",
            "host:",
            "ho st:1",
        ] {
            let error = resolve(Some(endpoint), None).unwrap_err();
            assert!(
                error.starts_with(&format!("`endpoint` cannot be `{endpoint}`")),
                "{error}"
            );
        }
        let error = resolve(Some("http://me:secret@host:1/?key=secret"), None).unwrap_err();
        assert!(
            error.contains("`http://..@host:1/?..`") && !error.contains("secret"),
            "{error}"
        );
        assert!(resolve(Some("http://host:1/path"), Some(JaegerProtocol::Grpc)).is_err());
    }
}
