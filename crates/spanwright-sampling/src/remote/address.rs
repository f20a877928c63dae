//! Where a server is.

use http::Uri;
use http::uri::Scheme;
use spanwright_core::BuildError;

/// A host and a port that can be connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// What stands in the header `host`.
    pub(super) authority: String,
}

impl Address {
    /// Of `http://host:port` or `host:port`, and the whole for whoever has use for its path.
    pub(super) fn parse(given: &str, accepted: &'static str) -> Result<(Self, Uri), BuildError> {
        let refused = || Self::refused(given, accepted);
        let text = if given.contains("://") {
            given.to_owned()
        } else {
            format!("http://{given}")
        };
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        // `Authority` takes any digits as a port, and `port_u16` is `None` for those that are none.
        let has_colon = authority.as_str().len() > authority.host().len();
        let port = if has_colon { authority.port_u16() } else { Some(80) };
        let port = port.filter(|port| *port > 0).ok_or_else(refused)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if uri.scheme() != Some(&Scheme::HTTP) || host.is_empty() || authority.as_str().contains('@') {
            return Err(refused());
        }
        // A bare word is more likely a slip than a host.
        if !given.contains("://") && !has_colon {
            return Err(refused());
        }
        let address = Self {
            host: host.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
        };
        Ok((address, uri))
    }

    /// `given` is no endpoint.
    pub(super) fn refused(given: &str, accepted: &'static str) -> BuildError {
        BuildError::new("endpoint", presentable(given), accepted)
    }
}

/// As it may stand in an error: user information and query may be credentials.
fn presentable(endpoint: &str) -> String {
    let (address, query) = match endpoint.split_once('?') {
        Some((address, _)) => (address, "?.."),
        None => (endpoint, ""),
    };
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let rest = rest
        .rsplit_once('@')
        .map_or_else(|| rest.to_owned(), |(_, host)| format!("..@{host}"));
    format!("{scheme}{separator}{rest}{query}")
}
