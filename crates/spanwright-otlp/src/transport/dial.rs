//! Opening a TCP connection to a name, or to an address that was given.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use crate::defaults::{CONNECT_TIMEOUT, TCP_KEEPALIVE, TCP_NODELAY};

/// Opens TCP connections. A name is resolved for each connection: a receiver that has moved is found by the next one.
#[derive(Clone)]
pub(crate) struct Dial {
    tcp: HttpConnector<Names>,
    /// Where to connect to, whatever the URI says.
    address: Option<Uri>,
}

impl Dial {
    /// To the host and port of the URI; where an `address` is given, to that.
    pub(crate) fn new(names: Names, address: Option<SocketAddr>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(names);
        tcp.enforce_http(false);
        tcp.set_nodelay(TCP_NODELAY);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        // Divided among the addresses of the name, so that one that does not answer leaves time for the others.
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self {
            tcp,
            // An address is always an authority.
            address: address.and_then(|address| format!("http://{address}/").parse().ok()),
        }
    }
}

impl Service<Uri> for Dial {
    type Response = <HttpConnector<Names> as Service<Uri>>::Response;
    type Error = <HttpConnector<Names> as Service<Uri>>::Error;
    type Future = <HttpConnector<Names> as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.tcp.call(self.address.clone().unwrap_or(uri))
    }
}

/// Who is asked for the addresses of a name.
#[derive(Clone)]
pub(crate) struct Names(Arc<dyn Fn(Name) -> Addresses + Send + Sync>);

type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl Names {
    /// The system, in a thread of the runtime's blocking pool.
    pub(crate) fn system() -> Self {
        Self(Arc::new(|name| {
            let answer = GaiResolver::new().call(name);
            Box::pin(async move { Ok(answer.await?.collect()) })
        }))
    }

    /// Whoever a test gives. A port of 0 means that of the URI, and one of the URI goes before any.
    #[cfg(test)]
    pub(crate) fn given(answer: impl Fn(&str) -> SocketAddr + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |name| {
            let address = answer(name.as_str());
            Box::pin(std::future::ready(Ok(vec![address])))
        }))
    }
}

impl Service<Name> for Names {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let addresses = (self.0)(name);
        Box::pin(async move { Ok(addresses.await?.into_iter()) })
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
